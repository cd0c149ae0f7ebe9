"""Locks that stay in S3: Creator frees those of its own dead steps, and no other one."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from common.contracts.clusters import ClusterState, DeploymentState
from common.processes import Process
from common.s3_object_storage import S3Access
from creator.command_line import ExitCode
from creator.steps.adoption import TAKE_OVER_MARGIN
from creator.steps.orders import GRACE
from creator.steps.process_table import ProcessIdentity, is_alive, kill_step
from creator.steps.run_folder import RunFolder
from database.models import DeploymentLogChunk, DeploymentStep, now
from tests.integration.creator.creators import Creators
from tests.integration.creator.installation_in_s3 import InstallationInS3

Eventually = Callable[[Callable[[], object]], None]
OVER = GRACE + TAKE_OVER_MARGIN
MINUTE = timedelta(minutes=1)
SAID_THERE = "terraform_data.slow: Still creating... [10s elapsed]"

# Two applies at the same time would not both get through.
SLOW = """
variable "word" {}

resource "terraform_data" "slow" {
  input = var.word
  provisioner "local-exec" {
    command = "exec 9> $FOLDER/lock; flock -n 9 || exit 7; echo begin >> $FOLDER/marks; while [ ! -e $FOLDER/go ]; do sleep 0.05; done; echo end >> $FOLDER/marks"
    environment = { FOLDER = "FOLDER_OF_THE_TEST" }
  }
}
"""


@dataclass(frozen=True)
class Apply:
    """An apply in the middle, which holds the lock and whose Creator waits for it."""

    installation: InstallationInS3
    access: S3Access
    creator: Process
    marks: Path
    step: DeploymentStep
    wrapper: ProcessIdentity
    terraform: ProcessIdentity

    @property
    def said(self) -> list[str]:
        """What the provisioners did."""
        return (self.marks / "marks").read_text().split()

    def go(self) -> None:
        """Provisioners come to their end from now on."""
        (self.marks / "go").touch()

    def kill_creator(self) -> None:
        """And time has passed since."""
        self.creator.kill()
        self.creator.wait()
        self.installation.expire_leases()

    def kill_step(self, eventually: Eventually) -> None:
        """All of it, as a machine does that goes down."""
        os.kill(self.wrapper.pid, signal.SIGKILL)
        kill_step(self.wrapper.pid, str(self.step.id))
        eventually(lambda: not is_alive(self.terraform))


@pytest.fixture
def apply(
    in_s3: InstallationInS3, s3_access: S3Access, tmp_path: Path, eventually: Eventually
) -> Iterator[Apply]:
    """In mid-apply, with the id of its lock recorded."""
    marks = tmp_path / "marks"
    marks.mkdir()
    in_s3.add_recipe("slow", {"main.tf": SLOW.replace("FOLDER_OF_THE_TEST", str(marks))})
    in_s3.add_cluster("demo", "slow", {"word": "one"})
    creators = Creators(in_s3)
    try:
        creator = creators.start("--once")
        eventually((marks / "marks").exists)
        eventually(lambda: _step(in_s3).lock_id)
        step = _step(in_s3)
        assert json.loads(in_s3.lock("demo"))["ID"] == step.lock_id
        folder = RunFolder(Path(step.workspace))
        wrapper, terraform = folder.wrapper(), folder.terraform()
        assert wrapper
        assert terraform
        yield Apply(in_s3, s3_access, creator, marks, step, wrapper, terraform)
        (marks / "go").touch()
        eventually(lambda: not is_alive(terraform))
    finally:
        (marks / "go").touch()
        creators.end()


def _step(installation: InstallationInS3) -> DeploymentStep:
    """The newest one."""
    return installation.deployments("demo")[0].steps[-1]


def _live_log(installation: InstallationInS3) -> str:
    """What was stored while terraform ran."""
    with installation.database.reading() as session:
        return "".join(session.scalars(select(DeploymentLogChunk.text)))


@pytest.fixture
def other_machine(apply: Apply, tmp_path: Path) -> InstallationInS3:
    """Shares database and S3 with the machine of the apply, whose Creator is dead and whose folders it does not see."""
    apply.kill_creator()
    elsewhere = {"host": "another", "boot_id": "another", "workspace": "/folder/of/another"}
    with apply.installation.database.writing() as session:
        session.execute(update(DeploymentStep).values(**elsewhere))
        header = " ".join(apply.step.arguments)
        text = f"$ {header}\n{SAID_THERE}\n"
        row = DeploymentLogChunk(deployment_id=apply.step.deployment_id, number=99, text=text)
        session.add(row)
    return InstallationInS3(apply.installation.database, tmp_path / "other", apply.access)


def _set_deadline(installation: InstallationInS3, deadline: datetime) -> None:
    """Of the step under way."""
    under_way = DeploymentStep.finished_at.is_(None)
    with installation.database.writing() as session:
        session.execute(update(DeploymentStep).where(under_way).values(deadline=deadline))


def _seen(installation: InstallationInS3) -> list[object]:
    """All that a pass could have done about the cluster, but for the text of its log."""
    cluster = installation.cluster("demo")
    return [
        [
            (row.id, row.state, row.error, [(step.id, step.finished_at) for step in row.steps])
            for row in installation.deployments("demo")
        ],
        (cluster.applying_until, cluster.deployed_fingerprint, cluster.hosts),
        installation.lock("demo"),
        installation.stored_state("demo"),
        _live_log(installation),
    ]


@pytest.mark.parametrize("dead", ["terraform", "terraform, wrapper and Creator"])
def test_the_lock_of_a_step_that_was_killed_is_freed_by_the_next_pass(
    apply: Apply, dead: str
) -> None:
    installation, lock_id = apply.installation, apply.step.lock_id
    if dead == "terraform":
        os.kill(apply.terraform.pid, signal.SIGKILL)
        assert apply.creator.wait(timeout=20) == ExitCode.WENT_WRONG
        assert installation.deployments("demo")[0].state is DeploymentState.UNKNOWN
    else:
        apply.kill_creator()
        os.kill(apply.wrapper.pid, signal.SIGKILL)
        os.kill(apply.terraform.pid, signal.SIGKILL)
    assert json.loads(installation.lock("demo"))["ID"] == lock_id
    apply.go()

    assert installation.run_pass(), installation.deployments("demo")[0].error

    repaired, killed = installation.deployments("demo")
    assert (killed.state, repaired.state) == (DeploymentState.UNKNOWN, DeploymentState.SUCCEEDED)
    assert "the next pass plans again" in killed.error
    assert "the last deployment" in repaired.cause
    assert f"force-unlock -force {lock_id}" in repaired.log
    assert f"The lock {lock_id} is of a step that is dead." in repaired.log
    assert [(step.kind, step.exit_code) for step in repaired.steps] == [
        ("plan", 1),
        ("unlock", 0),
        ("plan", 2),
        ("apply", 0),
    ]
    assert installation.lock("demo") == b""
    assert apply.said[-2:] == ["begin", "end"]
    assert apply.said.count("begin") == 2
    (thing,) = json.loads(installation.stored_state("demo"))["resources"]
    assert thing["instances"][0]["attributes"]["input"]["value"] == "one"


@pytest.mark.parametrize("whose", ["a stranger's", "ours, unrecorded"])
def test_a_lock_that_no_dead_step_recorded_is_for_a_person(apply: Apply, whose: str) -> None:
    installation = apply.installation
    os.kill(apply.terraform.pid, signal.SIGKILL)
    assert apply.creator.wait(timeout=20) == ExitCode.WENT_WRONG
    lock = json.loads(installation.lock("demo"))
    if whose == "a stranger's":
        lock |= {"ID": "11111111-2222-3333-4444-555555555555", "Who": "ann@laptop"}
        installation.put_lock("demo", json.dumps(lock).encode())
    else:
        with installation.database.writing() as session:
            session.execute(update(DeploymentStep).values(lock_id=""))
    lies_there, state = installation.lock("demo"), installation.stored_state("demo")
    apply.go()

    for _ in range(2):
        assert not installation.run_pass()
        newest = installation.deployments("demo")[0]
        assert newest.state is DeploymentState.FAILED
        assert [(step.kind, step.exit_code) for step in newest.steps] == [("plan", 1)]
        assert newest.lock
        assert (newest.lock["id"], newest.lock["who"]) == (lock["ID"], lock["Who"])
        assert f"the state is locked by {lock['Who']}" in newest.error
        assert f"free it with: terraform force-unlock {lock['ID']}" in newest.error
        assert "force-unlock -force" not in newest.log
        assert (installation.lock("demo"), installation.stored_state("demo")) == (lies_there, state)
    assert apply.said == ["begin"]

    installation.remove_lock("demo")
    assert installation.run_pass(), installation.deployments("demo")[0].error
    assert apply.said == ["begin", "begin", "end"]


def test_a_step_of_another_machine_is_left_alone_until_its_time_and_grace_are_over(
    apply: Apply, other_machine: InstallationInS3, eventually: Eventually
) -> None:
    seen = _seen(other_machine)

    assert other_machine.run_pass()
    assert _seen(other_machine) == seen

    apply.go()
    eventually(lambda: not other_machine.lock("demo"))  # which proves nothing
    eventually(lambda: not is_alive(apply.terraform))
    seen = _seen(other_machine)
    other_machine.set_variable("demo", "word", "two")
    other_machine.update_cluster("demo", deploy_requested_at=now(), deploy_requested_by="ann")
    for deadline in (now(), now() - OVER + MINUTE):
        _set_deadline(other_machine, deadline)
        assert other_machine.run_pass()
        assert _seen(other_machine) == seen
    other_machine.delete_cluster("demo")
    assert other_machine.run_pass()
    assert _seen(other_machine) == seen
    other_machine.update_cluster("demo", state=ClusterState.ACTIVE)

    _set_deadline(other_machine, now() - OVER)
    assert other_machine.run_pass(), other_machine.deployments("demo")[0].error

    planned_again, silent = other_machine.deployments("demo")
    assert silent.state is DeploymentState.UNKNOWN
    assert "it ran on another machine, which is silent" in silent.error
    assert SAID_THERE in silent.log
    assert silent.steps[-1].finished_at
    assert silent.steps[-1].exit_code is None
    assert planned_again.state is DeploymentState.SUCCEEDED
    assert b'"two"' in other_machine.stored_state("demo")
    assert other_machine.cluster("demo").applying_until is None


def test_the_lock_of_a_step_on_another_machine_is_for_a_person_whatever_was_recorded(
    apply: Apply, other_machine: InstallationInS3, eventually: Eventually
) -> None:
    apply.kill_step(eventually)
    lock = json.loads(other_machine.lock("demo"))
    lies_there, state = other_machine.lock("demo"), other_machine.stored_state("demo")
    assert lock["ID"] == other_machine.deployments("demo")[0].steps[-1].lock_id
    _set_deadline(other_machine, now() - OVER)
    apply.go()

    for _ in range(2):
        assert not other_machine.run_pass()
        assert (other_machine.lock("demo"), other_machine.stored_state("demo")) == (
            lies_there,
            state,
        )
        assert apply.said == ["begin"]

    refused, silent = other_machine.deployments("demo")[-2:]
    assert silent.state is DeploymentState.UNKNOWN
    assert refused.state is DeploymentState.FAILED
    for row in (silent, refused):
        assert row.lock
        assert row.lock["id"] == lock["ID"]
        assert f"free it with: terraform force-unlock {lock['ID']}" in row.error
    other_machine.remove_lock("demo")
    assert other_machine.run_pass(), other_machine.deployments("demo")[0].error
    assert apply.said == ["begin", "begin", "end"]
