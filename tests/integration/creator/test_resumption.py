"""Creator's death at each of its writes: whoever comes next brings the deployment to its one right end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import JsonValue
from sqlalchemy.orm import Session

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from database.session import Database
from tests.integration.creator.installation import Installation
from tests.integration.creator.recipes import NEVER_FRESH

MARKING = """
variable "marks" {}
variable "word" {}

resource "terraform_data" "thing" {
  triggers_replace = [var.word]
  input            = var.marks
  provisioner "local-exec" {
    command = "echo made >> ${var.marks}"
  }
  provisioner "local-exec" {
    when    = destroy
    command = "echo gone >> ${self.input}"
  }
}

output "mr_prober_hosts" {
  value = { "demo-1" = { address = var.word } }
}
"""
MOST_WRITES = 40


class CreatorDiedError(BaseException):
    """No code of ours catches it: the process is gone."""


class Death:
    """Comes right after the n-th write, and nothing is written any more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._writing = Database.writing
        self._left = 0
        self.is_dead = False
        monkeypatch.setattr(Database, "writing", self._dying())

    def after(self, writes: int) -> None:
        """Count from now on; 0 = never."""
        self._left, self.is_dead = writes, False

    def _dying(self) -> object:
        death = self

        @contextmanager
        def dying(database: Database) -> Iterator[Session]:
            if death.is_dead:
                raise CreatorDiedError
            with death._writing(database) as session:
                yield session
            if death._left:
                death._left -= 1
                if not death._left:
                    death.is_dead = True
                    raise CreatorDiedError

        return dying


@pytest.fixture
def death(monkeypatch: pytest.MonkeyPatch) -> Death:
    return Death(monkeypatch)


def _die_and_come_back(
    installation: Installation, death: Death, writes: int, **settings: object
) -> bool:
    """Whether there was anything to interrupt; afterwards another Creator has done what was due."""
    death.after(writes)
    loop = installation.loop(**settings)
    try:
        loop.run_once()
    except CreatorDiedError:
        pass
    finally:
        was_interrupted = death.is_dead
        death.after(0)
        loop.close()
    installation.expire_leases()
    for _ in range(3):
        installation.run_pass()
        if not installation.has_work():
            break
    return was_interrupted


def test_whatever_was_written_last_the_next_creator_goes_on(
    sqlite_installation: Installation, death: Death, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    sqlite_installation.add_recipe("marking", {"main.tf": MARKING})
    sqlite_installation.add_cluster("demo", "marking", {"marks": str(marks), "word": "0"})
    sqlite_installation.run_pass()
    for writes in range(1, MOST_WRITES):
        marks.unlink()
        sqlite_installation.set_variable("demo", "word", str(writes))
        was_interrupted = _die_and_come_back(sqlite_installation, death, writes)

        told = [(row.state.value, row.error) for row in sqlite_installation.deployments("demo")]
        assert told[0] == ("succeeded", ""), f"after {writes} writes: {told[:3]}"
        hosts = sqlite_installation.cluster("demo").hosts
        assert hosts["demo-1"]["address"] == str(writes)
        assert marks.read_text().split() == ["gone", "made"], f"after {writes} writes"
        assert sqlite_installation.cluster("demo").applying_until is None
        if not was_interrupted:
            assert writes > 10
            return
    pytest.fail("there are more writes than that")


def test_a_revision_that_does_not_exist_leaves_no_deployment_open(
    sqlite_installation: Installation, death: Death, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    sqlite_installation.add_recipe("marking", {"main.tf": MARKING})
    for writes in (3, 10):
        slug = f"demo-{writes}"
        sqlite_installation.add_cluster(slug, "marking", {"marks": str(marks), "word": slug})
        death.after(writes)
        loop = sqlite_installation.loop()
        with pytest.raises(CreatorDiedError):
            loop.run_once()
        death.after(0)
        loop.close()
        sqlite_installation.expire_leases()
        sqlite_installation.update_cluster(slug, recipe_revision=99)
        sqlite_installation.run_pass()
        (deployment,) = sqlite_installation.deployments(slug)
        assert deployment.state is DeploymentState.UNKNOWN
        assert all(step.finished_at for step in deployment.steps)


def test_a_check_that_is_gone_on_with_still_leaves_no_row(
    sqlite_installation: Installation, death: Death, tmp_path: Path
) -> None:
    variables: dict[str, JsonValue] = {"marks": str(tmp_path / "marks"), "word": "0"}
    sqlite_installation.add_recipe("marking", {"main.tf": MARKING})
    sqlite_installation.add_cluster("demo", "marking", variables)
    sqlite_installation.run_pass()
    for writes in range(1, MOST_WRITES, 2):
        planned_at = sqlite_installation.cluster("demo").last_planned_at
        was_interrupted = _die_and_come_back(
            sqlite_installation, death, writes, creator_maximum_plan_age=NEVER_FRESH
        )

        (deployment,) = sqlite_installation.deployments("demo")
        assert deployment.cause == "new cluster", f"after {writes} writes"
        assert sqlite_installation.cluster("demo").last_planned_at != planned_at or writes < 3
        if not was_interrupted:
            assert writes > 5
            return
    pytest.fail("there are more writes than that")


def test_a_destroy_is_gone_on_with_too(
    sqlite_installation: Installation, death: Death, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    sqlite_installation.add_recipe("marking", {"main.tf": MARKING})
    for writes in range(1, MOST_WRITES, 3):
        slug = f"demo-{writes}"
        sqlite_installation.add_cluster(slug, "marking", {"marks": str(marks), "word": slug})
        sqlite_installation.run_pass()
        marks.unlink()
        sqlite_installation.delete_cluster(slug)
        was_interrupted = _die_and_come_back(sqlite_installation, death, writes)

        told = [(row.state, row.error) for row in sqlite_installation.deployments(slug)]
        assert sqlite_installation.cluster(slug).state is ClusterState.DESTROYED, told
        assert {state for state, _ in told} <= {DeploymentState.SUCCEEDED, DeploymentState.UNKNOWN}
        assert marks.read_text().split() == ["gone"], f"after {writes} writes"
        if not was_interrupted:
            return
    pytest.fail("there are more writes than that")


def test_an_approved_plan_is_applied_once_whatever_happens(
    sqlite_installation: Installation, death: Death, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    sqlite_installation.add_recipe("marking", {"main.tf": MARKING})
    for writes in range(1, MOST_WRITES, 2):
        slug = f"demo-{writes}"
        sqlite_installation.add_cluster(
            slug,
            "marking",
            {"marks": str(marks), "word": slug},
            deploy_policy=DeployPolicy.APPROVE,
        )
        sqlite_installation.run_pass()
        sqlite_installation.rule(slug, approved=True)
        was_interrupted = _die_and_come_back(sqlite_installation, death, writes)

        (deployment,) = sqlite_installation.deployments(slug)
        assert (deployment.state, deployment.error) == (DeploymentState.SUCCEEDED, ""), writes
        assert [step.kind for step in deployment.steps].count("plan") == 1
        assert marks.read_text().split() == ["made"], f"after {writes} writes"
        marks.unlink()
        if not was_interrupted:
            return
    pytest.fail("there are more writes than that")
