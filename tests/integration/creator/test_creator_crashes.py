"""Creator as a real process that is killed, doubled and stopped while a real terraform runs."""

import os
import signal
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from common.contracts.clusters import ClusterState, DeploymentState
from common.contracts.identifiers import new_id
from creator.steps.adoption import this_machine
from creator.steps.process_table import is_alive
from creator.steps.run_folder import RunFolder
from database.models import (
    Deployment,
    DeploymentLogChunk,
    DeploymentStep,
    Lease,
    RecipeRevision,
    now,
)
from tests.integration.creator.creators import Creators
from tests.integration.creator.installation import Installation

A_WHILE = timedelta(hours=1)
Eventually = Callable[[Callable[[], object]], None]


def test_terraform_outlives_a_killed_creator_and_the_next_one_goes_on(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    first = creators.start()
    eventually((slow_cluster / "marks").exists)
    first.kill()
    first.wait()
    sqlite_installation.expire_leases()
    creators.start()
    (slow_cluster / "go").touch()
    eventually(
        lambda: sqlite_installation.deployments("demo")[0].state is DeploymentState.SUCCEEDED
    )

    (deployment,) = sqlite_installation.deployments("demo")
    assert [(step.kind, step.exit_code) for step in deployment.steps] == [
        ("init", 0),
        ("plan", 2),
        ("apply", 0),
    ]
    assert deployment.log.count("Provisioning with") == 1
    assert deployment.log.count("Plan: 1 to add") == 1
    assert "Apply complete!" in deployment.log
    assert deployment.changes[0]["state"] == "done"
    assert (slow_cluster / "marks").read_text().split() == ["begin", "end"]
    assert sqlite_installation.resources("demo") == ["terraform_data.slow"]


def test_people_see_how_far_an_apply_is(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    creators.start()
    eventually((slow_cluster / "marks").exists)

    def states() -> list[str]:
        return [one["state"] for one in sqlite_installation.deployments("demo")[0].changes]

    eventually(lambda: states() == ["applying"])
    eventually(lambda: "Plan: 1 to add" in _live_log(sqlite_installation))
    assert sqlite_installation.deployments("demo")[0].log == ""
    until = sqlite_installation.cluster("demo").applying_until
    assert until
    assert until > sqlite_installation.now()

    (slow_cluster / "go").touch()
    eventually(lambda: states() == ["done"])
    eventually(lambda: sqlite_installation.cluster("demo").applying_until is None)
    assert _live_log(sqlite_installation) == "", "the whole has taken its place"


def _live_log(installation: Installation) -> str:
    with installation.database.reading() as session:
        pieces = session.scalars(
            select(DeploymentLogChunk.text).order_by(DeploymentLogChunk.number)
        )
        return "".join(pieces)


@pytest.mark.parametrize("has_step", [True, False])
def test_a_deployment_that_never_began_is_gone_on_with(
    sqlite_installation: Installation, slow_cluster: Path, has_step: bool
) -> None:
    (slow_cluster / "go").touch()
    sqlite_installation.update_cluster("demo", deployed_fingerprint="")
    here = this_machine(socket.gethostname())
    workspace = sqlite_installation.workspace("demo")
    fingerprint = sqlite_installation.fingerprint("demo")
    with sqlite_installation.database.writing() as session:
        revision_id = session.scalars(select(RecipeRevision.id)).one()
        row = Deployment(
            cluster_id=sqlite_installation.cluster("demo").id,
            cause="new cluster",
            fingerprint=fingerprint,
            recipe_revision_id=revision_id,
        )
        session.add(row)
        session.flush()
        if has_step:
            step_id = new_id()
            step = DeploymentStep(
                id=step_id,
                deployment_id=row.id,
                kind="init",
                arguments=["terraform", "init"],
                host=here.host,
                boot_id=here.boot_id,
                pid_namespace=here.pid_namespace,
                workspace=str(workspace.run / str(step_id)),
                deadline=now(),
            )
            RunFolder(Path(step.workspace)).make()
            session.add(step)

    assert sqlite_installation.run_pass()

    (deployment,) = sqlite_installation.deployments("demo")
    assert deployment.state is DeploymentState.SUCCEEDED
    assert sqlite_installation.resources("demo") == ["terraform_data.slow"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_creator_ends_at_once_and_leaves_terraform_running(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
    number: signal.Signals,
) -> None:
    creator = creators.start()
    eventually((slow_cluster / "marks").exists)

    creator.send_signal(number)

    assert creator.wait(timeout=20) == 0
    (deployment,) = sqlite_installation.deployments("demo")
    terraform = RunFolder(Path(deployment.steps[-1].workspace)).terraform()
    assert terraform
    assert is_alive(terraform)
    (slow_cluster / "go").touch()
    eventually(lambda: not is_alive(terraform))
    assert sqlite_installation.resources("demo") == ["terraform_data.slow"]


def test_a_killed_terraform_makes_the_deployment_unknown_and_is_repaired(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    creators.start()
    eventually((slow_cluster / "marks").exists)
    folder = sqlite_installation.deployments("demo")[0].steps[-1].workspace
    terraform = RunFolder(Path(folder)).terraform()
    assert terraform
    (slow_cluster / "go").touch()

    os.kill(terraform.pid, signal.SIGKILL)

    eventually(
        lambda: sqlite_installation.deployments("demo")[0].state is DeploymentState.SUCCEEDED
    )
    states = [row.state for row in sqlite_installation.deployments("demo")]
    assert DeploymentState.UNKNOWN in states
    sqlite_installation.delete_cluster("demo")
    eventually(lambda: sqlite_installation.cluster("demo").state is ClusterState.DESTROYED)
    assert sqlite_installation.resources("demo") == []


def test_a_creator_that_lost_its_lease_in_mid_apply_writes_nothing_more(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    creator = creators.start()
    eventually((slow_cluster / "marks").exists)
    taken = {"holder": "another", "fencing": Lease.fencing + 1, "expires_at": now() + A_WHILE}
    with sqlite_installation.database.writing() as session:
        session.execute(update(Lease).values(**taken))
    (before,) = sqlite_installation.deployments("demo")
    (slow_cluster / "go").touch()
    folder = RunFolder(Path(before.steps[-1].workspace))
    eventually(lambda: folder.exit() is not None)
    creator.send_signal(signal.SIGTERM)
    _, said = creator.communicate(timeout=20)

    assert b"is lost: another process goes on" in said
    (left,) = sqlite_installation.deployments("demo")
    assert left.state is DeploymentState.APPLYING
    assert sqlite_installation.cluster("demo").deployed_fingerprint == ""
    sqlite_installation.expire_leases()
    assert sqlite_installation.run_pass()
    (ended,) = sqlite_installation.deployments("demo")
    assert (ended.id, ended.state) == (left.id, DeploymentState.SUCCEEDED)
    assert ended.fencing > left.fencing
    assert (slow_cluster / "marks").read_text().split() == ["begin", "end"]
