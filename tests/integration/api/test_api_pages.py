"""What the pages show; their scripts draw the rest from the same JSON as everybody gets."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from api.services.reports import ReceivedReport, store_reports
from common.contracts.clusters import DeploymentState
from common.contracts.reports import AgentReport
from database import models
from database.session import Database


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """Pages ask nothing of the database that other tests do not ask of both."""
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


def test_the_first_page_says_what_to_do_when_there_is_nothing(api: TestClient) -> None:
    assert "yc-mr-prober-synchronize apply" in api.get("/").text


def test_the_first_page_counts_hosts_and_states(
    api: TestClient, described: Any, context: Context
) -> None:
    cluster = described.cluster("demo")
    with context.database.writing() as session:
        session.query(models.Cluster).one().hosts = {"demo-1": {}, "demo-2": {}}
        probers = [
            {"prober_id": uuid4(), "revision": 1, "states": states} for states in ("00", "01", "0")
        ]
        report = AgentReport(
            instance=uuid4(), boot=1, host="demo-1", version="1", clock=context.clock(),
            probers=probers,
        )  # fmt: skip
        store_reports(
            session, [ReceivedReport(UUID(cluster["id"]), report, context.clock(), 1, size=0)]
        )
    page = api.get("/").text
    assert 'href="/clusters/demo"' in page
    assert "1 reporting" in page
    assert "1 never seen" in page
    assert 'title="2 success"' in page
    assert 'title="1 failure"' in page


def test_the_error_of_the_last_deployment_is_on_top_and_harmless(
    api: TestClient, described: Any, context: Context
) -> None:
    cluster = described.cluster("demo")
    with context.database.writing() as session:
        revision = session.query(models.RecipeRevision).one()
        deployment = models.Deployment(
            cluster_id=UUID(cluster["id"]),
            cause="new <b>value</b>",
            state=DeploymentState.FAILED,
            fingerprint="",
            recipe_revision_id=revision.id,
            error="<script>no such file</script>",
            summary={"create": 3},
        )
        session.add(deployment)
        session.flush()
        log = f"/api/v1/clusters/demo/deployments/{deployment.id}/log"
    page = api.get("/clusters/demo").text
    assert page.index("&lt;script&gt;no such file") < page.index('id="grid"')
    assert "<script>no such" not in page
    assert "new &lt;b&gt;value" in page
    assert "+3" in page
    assert f'href="{log}"' in page
    assert "no such file" in api.get("/").text


def test_a_cluster_that_does_not_exist_has_no_page(api: TestClient) -> None:
    assert api.get("/clusters/unknown").status_code == 404


def test_every_page_asset_is_one_of_ours(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    page = api.get("/clusters/demo").text
    assert 'data-cluster="demo"' in page
    for asset in ("refresh.js", "grid.js", "style.css"):
        assert api.get(f"/static/{asset}").status_code == 200
    assert api.get("/static/../main.py").status_code == 404
    assert api.get("/static/%2e%2e/main.py").status_code == 404
