"""What an operator does by hand, as programs with their words and exit codes."""

import json
from collections.abc import Callable
from sys import executable

import pytest
from sqlalchemy import select

from common.contracts.clusters import DeploymentState
from common.processes import PIPE, start
from creator.break_glass.main import main
from creator.leases import Leases
from creator.main import ROOT
from creator.pulse import lease_name
from database.models import AuditEntry
from tests.integration.creator.conftest import RunHere
from tests.integration.creator.installation import Installation

Run = Callable[..., tuple[int, str, str]]

SECRET = "correct-horse-battery"
RECIPE = """
variable "marked" { sensitive = true }
variable "planted" {}

resource "terraform_data" "thing" {
  count = 2
  input = { marked = var.marked, planted = var.planted }
}
"""


@pytest.fixture
def deployed(sqlite_installation: Installation) -> Installation:
    sqlite_installation.add_recipe("r", {"main.tf": RECIPE})
    sqlite_installation.add_cluster("demo", "r", {"marked": "short!!"})
    sqlite_installation.add_secret("demo", "planted", SECRET)
    assert sqlite_installation.run_pass()
    return sqlite_installation


@pytest.fixture
def run(sqlite_installation: Installation, run_here: RunHere) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        environment = sqlite_installation.environment() | {"SUDO_USER": "ann"}
        return run_here(main, arguments, environment)

    return run


def _run_as_a_program(installation: Installation, *arguments: str) -> tuple[int, str, str]:
    program = start(
        [executable, str(ROOT / "creator/break_glass/main.py"), *arguments],
        environment=installation.environment() | {"SUDO_USER": "ann"},
        cwd=installation.data_folder,
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complained = program.communicate()
    return program.returncode, said.decode(), complained.decode()


def _audit(installation: Installation) -> list[tuple[str, str, str]]:
    """What people did; Creator's own entries are left out."""
    by_people = select(AuditEntry).where(AuditEntry.actor != "creator")
    with installation.database.reading() as session:
        rows = session.scalars(by_people.order_by(AuditEntry.id))
        return [(row.actor, row.action, row.slug) for row in rows]


def test_the_state_is_shown_without_secrets_and_leaves_an_entry(
    deployed: Installation, run: Run
) -> None:
    code, said, _ = _run_as_a_program(deployed, "show", "demo")
    assert code == 0
    assert "terraform_data.thing[1]" in said
    assert "not locked" in said
    _, as_json, _ = run("show", "demo", "--json")
    assert json.loads(as_json)["addresses"] == [
        "terraform_data.thing[0]",
        "terraform_data.thing[1]",
    ]
    for text in (said, as_json):
        assert SECRET not in text
        assert "(sensitive)" in text, "masked"
        assert "(sensitive value)" in text, "marked"
    assert _audit(deployed) == [("os:ann", "show state", "demo")] * 2
    assert list((deployed.data_folder / "break-glass").iterdir()) == []


def test_a_sick_resource_is_made_anew_by_the_next_deployment(
    deployed: Installation, run: Run
) -> None:
    code, _, complained = run("replace", "demo", "terraform_data.other")
    assert code == 1
    assert (
        "the state of cluster demo has no terraform_data.other; it has: terraform_data.thing[0]"
        in complained
    )
    code, said, _ = run("replace", "demo", "terraform_data.thing[0]")
    assert (code, "makes terraform_data.thing[0] anew" in said) == (0, True)

    assert deployed.run_pass()

    newest = deployed.deployments("demo")[0]
    assert newest.state is DeploymentState.SUCCEEDED
    assert newest.cause == "asked for by os:ann"
    assert [(one["address"], one["action"]) for one in newest.changes] == [
        ("terraform_data.thing[0]", "replace")
    ]
    assert _audit(deployed) == [("os:ann", "replace resource", "demo")]


def test_a_lock_is_freed_only_by_its_id_and_while_nobody_works(
    deployed: Installation, run: Run
) -> None:
    code, _, complained = run("unlock", "demo", "--lock-id", "some-id")
    assert (code, "is not locked" in complained) == (1, True)
    info = deployed.state("demo").with_name(".terraform.tfstate.lock.info")
    lock = {"ID": "left-behind", "Who": "bob@host", "Operation": "OperationTypeApply", "Path": "x"}
    info.write_text(
        json.dumps(lock | {"Info": "", "Version": "1", "Created": "2026-01-01T00:00:00Z"})
    )
    code, _, complained = run("unlock", "demo", "--lock-id", "some-id")
    assert (code, "left-behind by bob@host" in complained) == (1, True)
    leases = Leases(deployed.database, "a Creator")
    lease = leases.claim(lease_name(deployed.cluster("demo").id))
    assert lease
    code, _, complained = run("unlock", "demo", "--lock-id", "left-behind")
    assert (code, "a Creator works on it just now" in complained) == (1, True)
    leases.give_up(lease)
    # One in S3 would be freed now: tests/integration/creator/test_states_in_s3.py.
    code, _, complained = run("unlock", "demo", "--lock-id", "left-behind")
    assert (code, "goes with the process that holds it" in complained) == (1, True)


def test_a_lost_state_is_forgotten_only_by_a_person_who_says_that_nothing_is_left(
    deployed: Installation, run: Run
) -> None:
    code, _, complained = run("forget-state", "demo")
    assert (code, "the state of cluster demo is there" in complained) == (1, True)
    deployed.state("demo").unlink()
    deployed.add_secret("demo", "planted", "another-secret")
    assert not deployed.run_pass()

    code, said, _ = run("forget-state", "demo")

    assert (code, "makes everything anew" in said) == (0, True)
    assert _audit(deployed) == [("os:ann", "forget state", "demo")]
    assert deployed.run_pass()
    assert deployed.deployments("demo")[0].state is DeploymentState.SUCCEEDED
    assert deployed.resources("demo") == ["terraform_data.thing"]
    assert deployed.cluster("demo").has_state


@pytest.mark.parametrize("arguments", [[], ["unlock", "demo"], ["no-such-command"], ["show"]])
def test_wrong_usage_has_its_own_code(run: Run, arguments: list[str]) -> None:
    code, _, complained = run(*arguments)
    assert code == 64
    assert "usage:" in complained


def test_help_has_examples(run: Run) -> None:
    code, said, _ = run("--help")
    assert (code, "examples:" in said) == (0, True)
