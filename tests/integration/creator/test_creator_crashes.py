"""Creator as a real process that is killed, doubled and stopped while a real terraform runs."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from sys import executable

import pytest

from common.contracts.clusters import ClusterState, DeploymentState
from common.processes import PIPE, Process, start
from creator.deployment.records import Records
from creator.deployment.terraform import Kind
from creator.main import ROOT
from creator.process_table import find
from database.models import now
from tests.integration.creator.installation import Installation

Eventually = Callable[[Callable[[], object]], None]

# Each apply holds a lock that another one at the same time would not get,
# and ends only when the test says so.
SLOW = """
resource "terraform_data" "slow" {
  triggers_replace = "${path.root}"
  provisioner "local-exec" {
    command = "exec 9> $FOLDER/lock; flock -n 9 || exit 7; echo begin >> $FOLDER/marks; while [ ! -e $FOLDER/go ]; do sleep 0.05; done; echo end >> $FOLDER/marks"
    environment = { FOLDER = "FOLDER_OF_THE_TEST" }
  }
}
"""


class Creators:
    """Starts Creators and ends those that are left."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._started: list[Process] = []

    def start(self, *options: str) -> Process:
        """One more."""
        process = start(
            [executable, str(ROOT / "creator/main.py"), *options],
            environment=self._installation.environment(),
            cwd=self._installation.data_folder,
            stderr=PIPE,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """None stays."""
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def creators(sqlite_installation: Installation) -> Iterator[Creators]:
    """Creators of one installation."""
    started = Creators(sqlite_installation)
    yield started
    started.end()


@pytest.fixture
def slow_cluster(sqlite_installation: Installation, tmp_path: Path) -> Iterator[Path]:
    """A cluster whose apply takes as long as the test wants; its folder for marks."""
    marks = tmp_path / "marks"
    marks.mkdir()
    recipe = SLOW.replace("FOLDER_OF_THE_TEST", str(marks))
    sqlite_installation.add_recipe("slow", {"main.tf": recipe})
    sqlite_installation.add_cluster("demo", "slow")
    yield marks
    (marks / "go").touch()


def test_terraform_outlives_a_killed_creator_and_the_next_one_waits_for_it(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    first = creators.start()
    eventually((slow_cluster / "marks").exists)
    first.kill()
    first.wait()
    creators.start()
    # The live log is stored by the Creator that found the process.
    eventually(lambda: "Provisioning with" in sqlite_installation.deployments("demo")[0].log)
    assert len(sqlite_installation.deployments("demo")) == 1

    (slow_cluster / "go").touch()
    eventually(
        lambda: sqlite_installation.deployments("demo")[0].state is DeploymentState.SUCCEEDED
    )

    newest, oldest = sqlite_installation.deployments("demo")
    assert oldest.state is DeploymentState.UNKNOWN
    assert "Creator ended during terraform apply" in oldest.error
    assert "Apply complete!" in oldest.log
    assert newest.cause == "how the last deployment ended is not known"
    # terraform had finished: nothing was left to do.
    assert newest.summary == {"create": 0, "change": 0, "destroy": 0}
    assert (slow_cluster / "marks").read_text().split() == ["begin", "end"]
    assert sqlite_installation.resources("demo") == ["terraform_data.slow"]


def test_a_terraform_whose_start_nobody_recorded_is_found(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    first = creators.start()
    eventually((slow_cluster / "marks").exists)
    first.kill()
    first.wait()
    (deployment,) = sqlite_installation.deployments("demo")
    step = deployment.steps[-1]
    records = Records(sqlite_installation.database, now)
    pid = step.pid
    records._update_step(step.id, pid=None, process_start_ticks=None)

    assert sqlite_installation.run_pass()

    (deployment,) = sqlite_installation.deployments("demo")
    assert deployment.state is DeploymentState.APPLYING
    assert deployment.steps[-1].pid == pid


def test_a_step_that_never_started_is_settled_at_once(
    sqlite_installation: Installation, slow_cluster: Path
) -> None:
    (slow_cluster / "go").touch()
    records = Records(sqlite_installation.database, now)
    (cluster,) = records.clusters()
    assert cluster.revision
    left = records.begin(cluster, cluster.revision.id, cause="new cluster", fingerprint="f")
    records.begin_step(left, Kind.INIT, ["terraform", "init"])

    assert sqlite_installation.run_pass()

    newest, oldest = sqlite_installation.deployments("demo")
    assert (oldest.id, oldest.state) == (left, DeploymentState.UNKNOWN)
    assert oldest.steps[0].finished_at
    assert newest.state is DeploymentState.SUCCEEDED


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
    arguments = deployment.steps[-1].arguments
    folder = sqlite_installation.workspace("demo").recipe
    assert find(folder, arguments[1:])
    (slow_cluster / "go").touch()
    eventually(lambda: find(folder, arguments[1:]) is None)
    assert sqlite_installation.resources("demo") == ["terraform_data.slow"]


def test_a_second_creator_in_one_data_folder_says_so_and_ends(
    sqlite_installation: Installation, creators: Creators, eventually: Eventually
) -> None:
    sqlite_installation.data_folder.mkdir()
    creators.start()
    eventually((sqlite_installation.data_folder / "terraform.rc").exists)

    second = creators.start("--once")

    _, said = second.communicate(timeout=20)
    assert second.returncode == 1
    (line,) = said.decode().splitlines()
    assert "another Creator works already in" in line


def test_a_killed_terraform_makes_the_deployment_unknown_and_is_repaired(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    creators.start()
    eventually((slow_cluster / "marks").exists)
    pid = sqlite_installation.deployments("demo")[0].steps[-1].pid
    assert pid
    (slow_cluster / "go").touch()

    os.kill(pid, signal.SIGKILL)

    eventually(
        lambda: sqlite_installation.deployments("demo")[0].state is DeploymentState.SUCCEEDED
    )
    states = [row.state for row in sqlite_installation.deployments("demo")]
    assert DeploymentState.UNKNOWN in states
    sqlite_installation.delete_cluster("demo")
    eventually(lambda: sqlite_installation.cluster("demo").state is ClusterState.DESTROYED)
    assert sqlite_installation.resources("demo") == []


def test_the_time_limit_holds_for_a_terraform_without_its_creator(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    first = creators.start()
    eventually((slow_cluster / "marks").exists)
    first.kill()
    first.wait()
    arguments = sqlite_installation.deployments("demo")[0].steps[-1].arguments
    folder = sqlite_installation.workspace("demo").recipe

    sqlite_installation.run_pass(creator_step_time_limit=timedelta(0))

    eventually(lambda: find(folder, arguments[1:]) is None)
    (slow_cluster / "go").touch()
    sqlite_installation.run_pass()
    newest, oldest = sqlite_installation.deployments("demo")
    assert oldest.state is DeploymentState.UNKNOWN
    assert "Interrupt received" in oldest.log
    # The half made resource was saved, as tainted.
    assert newest.summary == {"create": 1, "change": 0, "destroy": 1}
