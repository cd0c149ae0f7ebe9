"""What Creator did is in the audit log, beside what people did: states and counts, nothing that may be secret."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from common.contracts.clusters import DeployPolicy
from common.contracts.recipes import RevisionProblem, Validity
from creator.check_records import CheckRecords, UncheckedRevision
from database.models import AuditEntry, RecipeRevision
from tests.integration.creator.installation import Installation

THING = """
variable "word" {}

resource "terraform_data" "thing" {
  input = var.word
}
"""
BROKEN = THING + '\nresource "terraform_data" "more" {\n  input = file("not-there")\n}\n'
SECRET = "planted-secret-of-the-plan"


def entries(installation: Installation) -> list[AuditEntry]:
    with installation.database.reading() as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def told(installation: Installation) -> list[tuple[str, str]]:
    return [(entry.kind, entry.action) for entry in entries(installation)]


def test_the_life_of_a_cluster_is_told(installation: Installation) -> None:
    installation.add_recipe("thing", {"main.tf": THING})
    cluster_id = installation.add_cluster("demo", "thing", {"word": SECRET})
    assert installation.run_pass()
    applying, succeeded = entries(installation)
    counts = {"create": 1, "change": 0, "destroy": 0}
    assert (applying.before, applying.after) == (
        {"state": "planning", "summary": counts}, {"state": "applying", "summary": counts},
    )  # fmt: skip
    assert succeeded.after == {"state": "succeeded", "summary": counts}
    (deployment,) = installation.deployments("demo")
    for entry in (applying, succeeded):
        assert (entry.actor, entry.role, entry.key_id) == ("creator", "creator", None)
        assert entry.slug == f"demo/{deployment.id}"
        assert (entry.object_id, entry.cluster_id) == (deployment.id, cluster_id)
    installation.delete_cluster("demo")
    assert installation.run_pass()
    assert told(installation)[2:] == [
        ("deployment", "applying"), ("deployment", "succeeded"), ("cluster", "destroyed"),
    ]  # fmt: skip
    assert entries(installation)[-1].slug == "demo"
    assert SECRET not in str([(one.before, one.after) for one in entries(installation)])


def test_a_check_that_finds_nothing_says_nothing(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    installation.add_recipe("thing", {"main.tf": THING})
    installation.add_cluster("demo", "thing", {"word": "one"})
    installation.run_pass()
    before = told(installation)
    planned_at = installation.cluster("demo").last_planned_at
    assert installation.run_pass(creator_maximum_plan_age=timedelta(0))
    assert installation.cluster("demo").last_planned_at != planned_at
    assert told(installation) == before


def test_plans_that_wait_fail_and_are_superseded_are_told(installation: Installation) -> None:
    installation.add_recipe("thing", {"main.tf": THING})
    installation.add_cluster("demo", "thing", {"word": "one"}, deploy_policy=DeployPolicy.APPROVE)
    installation.run_pass()
    installation.set_variable("demo", "word", "two")
    installation.run_pass()
    waiting = ("deployment", "waiting_for_approval")
    assert told(installation) == [waiting, waiting, ("deployment", "superseded")]
    older, newer, superseded = entries(installation)
    assert superseded.object_id == older.object_id != newer.object_id
    installation.add_recipe("thing", {"main.tf": BROKEN})
    installation.run_pass()
    assert told(installation)[3:] == [("deployment", "failed")]


def test_a_verdict_is_told_once(installation: Installation) -> None:
    installation.add_recipe("thing", {"main.tf": 'resource "x" {'}, validity=Validity.UNCHECKED)
    installation.run_pass()
    (entry,) = entries(installation)
    assert (entry.kind, entry.slug, entry.action) == ("recipe_revision", "thing/1", "invalid")
    with installation.database.reading() as session:
        problems = session.scalars(select(RecipeRevision.problems)).one()
    assert entry.before == {"validity": "unchecked", "problems": 0}
    assert entry.after == {"validity": "invalid", "problems": len(problems)}
    assert entry.cluster_id is None


def test_a_revision_that_nobody_can_judge_yet_is_not_told(installation: Installation) -> None:
    installation.add_recipe("thing", {"main.tf": THING}, validity=Validity.UNCHECKED)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with installation.database.reading() as session:
        row: Any = session.scalars(select(RecipeRevision)).one()
    revision = UncheckedRevision(row.id, "thing", 1, moment)
    records = CheckRecords(installation.database, lambda: moment)
    reason = [RevisionProblem(message="it cannot be fetched")]
    records.judged(revision, Validity.UNCHECKED, reason, again_at=moment)
    assert told(installation) == []
    # Two Creators may have judged it at the same time.
    for problems in ([], reason):
        records.judged(revision, Validity.VALID, problems, again_at=moment)
    # One whose folder another one took away knows nothing, and takes no verdict back.
    records.judged(revision, Validity.UNCHECKED, reason, again_at=moment)
    assert told(installation) == [("recipe_revision", "valid")]
    with installation.database.reading() as session:
        assert session.scalars(select(RecipeRevision.validity)).one() is Validity.VALID
