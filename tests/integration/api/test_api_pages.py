"""What the pages show; their scripts draw the rest from the same JSON as everybody gets."""

import re
from collections.abc import Iterator
from datetime import timedelta
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


def add_deployment(context: Context, cluster: dict[str, Any], **fields: Any) -> UUID:
    with context.database.writing() as session:
        row = models.Deployment(
            cluster_id=UUID(cluster["id"]), cause="c", fingerprint="",
            recipe_revision_id=session.query(models.RecipeRevision).one().id, **fields,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


def test_cause_stands_beside_effect_with_states_and_times(
    api: TestClient, described: Any, context: Context
) -> None:
    now = context.clock()
    step = {"arguments": [], "started_at": now}
    add_deployment(
        context, described.cluster("demo"), state=DeploymentState.APPLYING,
        differences=[{"kind": "variable", "name": "<i>hosts", "action": "changed", "by": "ann"}],
        changes=[
            {"address": "vm.a", "action": "replace", "state": "done", "seconds": 3.2},
            {"address": "vm.b", "action": "update", "state": "applying", "is_drift": True},
        ],
        steps=[
            models.DeploymentStep(kind="plan", finished_at=now + timedelta(seconds=130), exit_code=2, **step),
            models.DeploymentStep(kind="apply", **step),
        ],
    )  # fmt: skip
    page = api.get("/clusters/demo").text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "variable &lt;i&gt;hosts changed by ann" in text
    assert "± replace vm.a done 3.2 s" in text
    assert "~ update vm.b applying drift: nobody described that" in text
    assert "plan 2 min 10 s apply …" in text
    assert 'id="live"' in page


def test_says_what_stops_a_deployment_and_what_to_do(
    api: TestClient, described: Any, context: Context, clock: Any
) -> None:
    cluster = described.cluster("demo", gates={"protected": ["vm.db"]})
    plan = {"key": "k", "expires_at": (clock.now + timedelta(hours=1)).isoformat()}
    waiting = {"state": DeploymentState.WAITING_FOR_APPROVAL, "plan": plan, "gate": "too much"}
    first = add_deployment(context, cluster, **waiting)
    page = api.get("/clusters/demo").text
    assert f"POST /api/v1/clusters/demo/deployments/{first}/approve" in page
    assert f'href="/api/v1/clusters/demo/deployments/{first}/plan"' in page
    assert "until 2026-01-01 13:00:00 UTC" in page
    assert "A gate stopped it: too much" in page
    clock.forward(hours=2)
    assert "This plan cannot be approved" in api.get("/clusters/demo").text
    clock.forward(hours=-2)
    changes = [{"address": "vm.db", "action": "delete"}]
    add_deployment(context, cluster, changes=changes, **waiting)
    assert "nobody can approve that" in api.get("/clusters/demo").text
    lock = {"id": "7f", "who": "bob@laptop"}
    add_deployment(context, cluster, state=DeploymentState.FAILED, lock=lock)
    page = api.get("/clusters/demo").text
    assert "unlock demo --lock-id 7f" in page
    assert "bob@laptop" in page


def test_says_what_creator_leaves_alone(api: TestClient, described: Any, context: Context) -> None:
    described.cluster("demo")
    api.post("/api/v1/clusters/demo/pause", json={"reason": "works on the rack"})
    quarantine = {"addresses": ["vm.a"], "since": "2026-01-01T12:00:00Z", "applies": 3}
    with context.database.writing() as session:
        row = session.query(models.Cluster).one()
        row.quarantine, row.replace_addresses = quarantine | {"fingerprint": "f"}, ["vm.sick"]
    page = api.get("/clusters/demo").text
    for text in ("Paused by admin", "works on the rack", "In quarantine", "vm.a", "vm.sick"):
        assert text in page


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
    for asset in ("refresh.js", "grid.js", "live_log.js", "style.css"):
        assert api.get(f"/static/{asset}").status_code == 200
    assert api.get("/static/../main.py").status_code == 404
    assert api.get("/static/%2e%2e/main.py").status_code == 404
