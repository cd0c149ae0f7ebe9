"""What people see of a deployment: its log while it grows, its plan, cause beside effect, what stops it."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from common.contracts.clusters import DeploymentState
from database import models
from database.configuration_changes import mark_changed

DEMO = "/api/v1/clusters/demo"


@pytest.fixture
def demo(described: Any) -> UUID:
    return UUID(described.cluster("demo")["id"])


def add_deployment(context: Context, cluster_id: UUID, **fields: Any) -> str:
    """Of the cluster, as Creator would have written it; its address."""
    with context.database.writing() as session:
        revision = session.query(models.RecipeRevision).first()
        assert revision
        row = models.Deployment(
            cluster_id=cluster_id, cause="a test", fingerprint="", recipe_revision_id=revision.id,
            **fields,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return f"{DEMO}/deployments/{row.id}"


def add_chunks(context: Context, address: str, *texts: str, first: int = 0) -> None:
    deployment_id = UUID(address.rpartition("/")[2])
    with context.database.writing() as session:
        for number, text in enumerate(texts, start=first):
            chunk = models.DeploymentLogChunk(deployment_id=deployment_id, number=number, text=text)
            session.add(chunk)


# Texts


def test_a_log_is_joined_from_its_pieces_while_it_grows(
    api: TestClient, demo: UUID, context: Context
) -> None:
    address = add_deployment(context, demo, state=DeploymentState.APPLYING)
    other = add_deployment(context, demo, state=DeploymentState.APPLYING)
    assert api.get(f"{address}/log").text == ""
    add_chunks(context, address, "ten\n", "eleven\n", first=10)
    add_chunks(context, address, "nine\n", first=9)
    add_chunks(context, other, "of another\n")
    assert api.get(f"{address}/log").text == "nine\nten\neleven\n"
    assert api.get(f"{DEMO}/deployments/{uuid4()}/log").status_code == 404


def test_a_log_that_goes_on_after_an_approval_is_told_from_its_beginning(
    api: TestClient, demo: UUID, context: Context
) -> None:
    address = add_deployment(context, demo, state=DeploymentState.PLANNING, log="planned\n")
    add_chunks(context, address, "applying\n", "applied\n")
    assert api.get(f"{address}/log").text == "planned\napplying\napplied\n"


def test_a_plan_is_shown_as_terraform_shows_it(
    api: TestClient, demo: UUID, context: Context
) -> None:
    address = add_deployment(context, demo, plan_text="  # a.b will be created\n")
    plan = api.get(f"{address}/plan")
    assert plan.text == "  # a.b will be created\n"
    assert plan.headers["content-type"] == "text/plain; charset=utf-8"
    assert api.get(f"{DEMO}/deployments/{uuid4()}/plan").status_code == 404


# Cause, effect and what stops it


def test_a_deployment_tells_its_cause_its_times_and_what_stopped_it(
    api: TestClient, demo: UUID, context: Context, clock: Any
) -> None:
    cause = {"kind": "variable", "name": "hosts", "action": "changed", "by": "ann"}
    cause |= {"at": "2026-01-01T11:00:00Z"}
    lock = {"id": "7", "operation": "OperationTypeApply", "who": "bob@laptop", "created": "", "path": ""}  # fmt: skip
    step = models.DeploymentStep(
        kind="plan",
        arguments=[],
        started_at=clock.now,
        finished_at=clock.now + timedelta(seconds=3),
    )
    address = add_deployment(
        context, demo, state=DeploymentState.SUCCEEDED, differences=[cause], gate="too much", lock=lock,
        changed_at=clock.now, finished_at=clock.now + timedelta(seconds=90), steps=[step],
    )  # fmt: skip
    shown = api.get(address).json()
    assert shown["differences"] == [cause]
    assert (shown["gate"], shown["lock"]) == ("too much", lock)
    assert (shown["convergence_seconds"], shown["steps"][0]["seconds"]) == (90.0, 3.0)
    failed = add_deployment(
        context, demo, state=DeploymentState.FAILED, changed_at=clock.now, finished_at=clock.now
    )
    assert api.get(failed).json()["convergence_seconds"] is None


def test_gates_are_written_read_and_taken_back(api: TestClient, demo: UUID) -> None:
    gates = {"destroyed_count": 2, "destroyed_percent": None, "protected": ["a.*"]}
    before = api.get(DEMO).json()
    assert before["gates"] == {"destroyed_count": None, "destroyed_percent": None, "protected": []}
    changed = api.patch(DEMO, json={"gates": gates}).json()
    assert changed["gates"] == gates
    assert changed["etag"] != before["etag"]
    assert api.patch(DEMO, json={"gates": gates}).json()["etag"] == changed["etag"]
    assert api.patch(DEMO, json={"protected": True}).json()["gates"] == gates
    entry = api.get("/api/v1/audit", params={"kind": "cluster"}).json()["items"][1]
    assert entry["after"]["gates"] == gates
    assert api.patch(DEMO, json={"gates": {}}).json()["gates"] == before["gates"]


@pytest.mark.parametrize(
    ("gates", "field"),
    [
        ({"destroyed_percent": 101}, "gates.destroyed_percent"),
        ({"destroyed_count": -1}, "gates.destroyed_count"),
        ({"protected": [""]}, "gates.protected.0"),
        ({"protect": []}, "gates.protect"),
        (None, "gates"),
    ],
)
def test_gates_that_mean_nothing_are_refused(
    api: TestClient, demo: UUID, gates: Any, field: str
) -> None:
    refused = api.patch(DEMO, json={"gates": gates})
    assert refused.status_code == 422
    assert [one["field"] for one in refused.json()["errors"]] == [field]


def test_a_cluster_is_made_with_gates_and_shows_what_creator_left_alone(
    api: TestClient, described: Any, context: Context, clock: Any
) -> None:
    described.cluster("demo", gates={"destroyed_percent": 10})
    quarantine = {"addresses": ["a.b"], "since": "2026-01-01T12:00:00Z", "applies": 3}
    quarantine |= {"fingerprint": "f"}
    with context.database.writing() as session:
        row = session.query(models.Cluster).one()
        row.quarantine, row.replace_addresses, row.applying_until = quarantine, ["a.c"], clock.now
    shown = api.get(DEMO).json()
    assert shown["gates"]["destroyed_percent"] == 10
    assert shown["quarantine"] == quarantine
    assert shown["replace_addresses"] == ["a.c"]
    assert shown["applying_until"] == "2026-01-01T12:00:00Z"


# Approval


def test_only_a_plan_that_is_still_good_is_approved(
    api: TestClient, demo: UUID, context: Context, clock: Any
) -> None:
    plan = {"key": "k", "expires_at": (clock.now + timedelta(hours=1)).isoformat()}
    waiting = DeploymentState.WAITING_FOR_APPROVAL
    address = add_deployment(context, demo, state=waiting, plan=plan)
    expires_at = api.get(address).json()["plan_expires_at"]
    assert expires_at == "2026-01-01T13:00:00Z"
    clock.forward(hours=1)
    refused = api.post(f"{address}/approve")
    assert refused.status_code == 409
    assert "has expired at 2026-01-01 13:00:00 UTC" in refused.json()["detail"]
    assert api.get(address).json()["approved"] is None
    clock.forward(seconds=-1)
    assert api.post(f"{address}/approve").status_code == 200


def test_a_plan_that_another_one_replaced_is_not_approved(
    api: TestClient, demo: UUID, context: Context
) -> None:
    address = add_deployment(context, demo, state=DeploymentState.SUPERSEDED)
    refused = api.post(f"{address}/approve")
    assert refused.status_code == 409
    assert "is superseded" in refused.json()["detail"]


@pytest.mark.parametrize("action", ["delete", "replace"])
def test_nobody_approves_the_end_of_what_is_protected(
    api: TestClient, demo: UUID, context: Context, action: str
) -> None:
    changes = [{"address": "module.db.disk", "action": action}, {"address": "a.b", "action": "create"}]  # fmt: skip
    waiting = DeploymentState.WAITING_FOR_APPROVAL
    address = add_deployment(context, demo, state=waiting, changes=changes)
    api.patch(DEMO, json={"gates": {"protected": ["module.db.*", "a.b"]}})
    refused = api.post(f"{address}/approve")
    assert refused.status_code == 409
    assert "module.db.disk (module.db.*); nobody can approve that" in refused.json()["detail"]
    assert "a.b" not in refused.json()["detail"]
    api.patch(DEMO, json={"gates": {}})
    assert api.post(f"{address}/approve").status_code == 200


# The document


def test_the_document_tells_that_an_apply_is_under_way(
    demo: UUID, context: Context, clock: Any
) -> None:
    before = context.documents.current("demo")
    assert before.parsed().applying_until is None
    _apply_until(context, demo, clock.now + timedelta(hours=1))
    during = context.documents.current("demo")
    assert during.parsed().applying_until == clock.now + timedelta(hours=1)
    _apply_until(context, demo, None)
    after = context.documents.current("demo").parsed()
    assert after.applying_until is None
    assert before.parsed().revision < during.parsed().revision < after.revision


def _apply_until(context: Context, cluster_id: UUID, until: Any) -> None:
    with context.database.writing() as session:
        session.get_one(models.Cluster, cluster_id).applying_until = until
        mark_changed(session, [cluster_id])
