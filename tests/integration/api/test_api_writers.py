"""Many writers at once: nobody is turned away, nothing is lost."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

from fastapi.testclient import TestClient

from api.context import Context
from api.services.reports import ReceivedReport, store_reports
from common.contracts.reports import AgentReport
from database import models

WRITERS = 8
WRITES = 5


def test_variables_written_at_once_are_all_there(
    api: TestClient, described: Any, context: Context
) -> None:
    cluster = described.cluster("demo")

    def write(writer: int) -> list[int]:
        return [
            api.put(
                f"/api/v1/clusters/demo/variables/v{writer}_{number}", json={"value": number}
            ).status_code
            for number in range(WRITES)
        ]

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = [status for some in pool.map(write, range(WRITERS)) for status in some]
    assert set(statuses) == {200}
    with context.database.reading() as session:
        row = session.get_one(models.Cluster, UUID(cluster["id"]))
        assert row.configuration_change == 1 + WRITERS * WRITES
    assert len(api.get("/api/v1/clusters/demo").json()["variables"]) == WRITERS * WRITES


def test_revisions_made_at_once_get_numbers_of_their_own(
    api: TestClient, described: Any, file_upload: Any
) -> None:
    described.prober("ping")

    def write(writer: int) -> int:
        body = {"files": [file_upload("ping", str(writer).encode())]}
        number: int = api.post("/api/v1/probers/ping/revisions", json=body).json()["number"]
        return number

    with ThreadPoolExecutor(WRITERS) as pool:
        numbers = sorted(pool.map(write, range(WRITERS)))
    assert numbers == list(range(2, WRITERS + 2))


def test_one_slug_is_given_once(api: TestClient, described: Any) -> None:
    described.recipe()

    def write(_writer: int) -> int:
        body = {"slug": "demo", "recipe": "local"}
        return api.post("/api/v1/clusters", json=body).status_code

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = sorted(pool.map(write, range(WRITERS)))
    assert statuses == [201] + [409] * (WRITERS - 1)


def test_first_reports_of_one_agent_at_once_make_one_row(described: Any, context: Context) -> None:
    cluster_id = UUID(described.cluster("demo")["id"])
    instance = uuid4()

    def write(boot: int) -> None:
        now = context.clock()
        report = AgentReport(
            instance=instance, boot=boot, host="demo-1", version="1", clock=now, probers=[]
        )
        with context.database.writing() as session:
            store_reports(session, [ReceivedReport.of(report, cluster_id, now, token_version=1)])

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    with context.database.reading() as session:
        assert session.query(models.Agent).one().boot == WRITERS - 1


def test_readers_of_a_changed_document_get_one_answer(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(
            pool.map(lambda _: api.get("/api/v1/clusters/demo/configuration"), range(WRITERS))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["etag"] for answer in answers}) == 1
