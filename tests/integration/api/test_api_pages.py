"""What the pages show; their scripts draw the rest from the same JSON as everybody gets."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from api.services.reports import ReceivedReport, store_reports
from common.contracts.clusters import DeploymentState
from common.contracts.keys import Role
from common.contracts.reports import REPORT_PERIOD_SECONDS, AgentReport
from common.contracts.states import State
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
            {"prober_id": str(uuid4()), "revision": 1, "states": states}
            for states in ("00", "01", "0")
        ]
        report = AgentReport(
            instance=uuid4(), boot=1, host="demo-1", version="1", clock=context.clock(),
            probers=probers,
        )  # fmt: skip
        store_reports(
            session,
            [ReceivedReport.of(report, UUID(cluster["id"]), context.clock(), token_version=1)],
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


def test_the_legend_names_every_state_with_a_sign_that_fonts_have(
    api: TestClient, described: Any
) -> None:
    described.cluster("demo")
    page = api.get("/clusters/demo").text
    legend = re.findall(r'class="mark s(\d)" data-name="([^"]+)" data-sign="([^"]+)"', page)
    names = [(str(state.value), state.name.lower().replace("_", " ")) for state in State]
    assert [(code, name) for code, name, _ in legend] == names
    signs = [sign for *_, sign in legend]
    assert len(set(signs)) == len(signs)
    assert not re.search("[\u2300-\u23ff\U0001f000-\U0001ffff]", "".join(signs))


def test_says_how_old_results_may_be(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    assert f"every {REPORT_PERIOD_SECONDS} s" in api.get("/clusters/demo").text


@pytest.mark.parametrize("path", ["/clusters/unknown", "/clusters/NO%00<b>", "/nowhere"])
def test_what_does_not_exist_is_said_on_a_page_to_people_and_as_a_problem_to_programs(
    api: TestClient, callers: Any, path: str
) -> None:
    assert api.get(path).headers["content-type"] == "application/problem+json"
    browser = callers.nobody()
    browser.post("/sign-in", data={"key": callers.key(Role.VIEWER)})
    answer = browser.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is no" in answer.text
    assert 'href="/"' in answer.text
    assert "<b>" not in answer.text
    data = browser.get("/api/v1/clusters/unknown", headers={"Accept": "text/html"})
    assert data.headers["content-type"] == "application/problem+json"


def test_every_page_asset_is_one_of_ours(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    page = api.get("/clusters/demo").text
    assert 'data-cluster="demo"' in page
    for asset in ("refresh.js", "grid.js", "style.css"):
        assert api.get(f"/static/{asset}").status_code == 200
    assert api.get("/static/../main.py").status_code == 404
    assert api.get("/static/%2e%2e/main.py").status_code == 404
