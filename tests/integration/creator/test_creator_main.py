"""Creator as a program: what it answers, how it ends, how it works beside another one."""

import json
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from common.contracts.clusters import DeploymentState
from creator.main import main
from creator.pulse import lease_name
from database import models
from tests.integration.creator.conftest import RunHere
from tests.integration.creator.creators import Creators
from tests.integration.creator.installation import Installation

Eventually = Callable[[Callable[[], object]], None]
Ran = Callable[..., tuple[int, str, str]]

THING = 'variable "word" {}\nresource "terraform_data" "thing" {\n  input = var.word\n}\n'


@pytest.fixture
def ran(sqlite_installation: Installation, run_here: RunHere) -> Ran:
    """A Creator in this process, that ends by itself."""

    def run(*options: str, **environment: str) -> tuple[int, str, str]:
        given = sqlite_installation.environment() | environment
        return run_here(main, options, given)

    return run


def _state(installation: Installation) -> DeploymentState | None:
    rows = installation.deployments("demo")
    return rows[0].state if rows else None


def _creators_at_work(installation: Installation) -> int:
    with installation.database.reading() as session:
        return session.scalar(select(func.count()).select_from(models.Creator)) or 0


def test_plan_only_shows_each_decision_and_changes_nothing(
    sqlite_installation: Installation, creators: Creators, ran: Ran
) -> None:
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    sqlite_installation.add_cluster("demo", "thing", {"word": "one"})

    code, table, _ = creators.ran("--plan-only")
    also, answer, _ = ran("--plan-only", "--json")

    assert (code, also) == (2, 2)
    assert "demo" in table
    assert "new cluster" in table
    (decision,) = json.loads(answer)
    assert decision["cluster"] == "demo"
    assert (decision["decision"], decision["reason"]) == ("deploy", "new cluster")
    assert decision["lane"] == "people"
    with sqlite_installation.database.reading() as session:
        for table_of in (models.Deployment, models.Lease, models.Creator):
            assert session.scalar(select(func.count()).select_from(table_of)) == 0
    assert not sqlite_installation.workspace("demo").root.exists()


def _everything_below(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """By path: mode, moment of the last change, content."""
    return {
        str(path): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
        # SQLite's own, while the file is open.
        if not path.name.endswith(("-wal", "-shm"))
    }


@pytest.mark.parametrize("is_new", [True, False])
def test_plan_only_makes_neither_keys_nor_files(
    sqlite_installation: Installation, ran: Ran, is_new: bool
) -> None:
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    sqlite_installation.add_cluster("demo", "thing", {"word": "one"})
    no_keys = {"MR_PROBER_SERVER_KEY": "", "MR_PROBER_ENCRYPTION_KEYS": ""}
    folder = sqlite_installation.data_folder
    if is_new:
        shutil.rmtree(folder)
    else:
        assert ran("--once", **no_keys)[0] == 0
        assert (folder / "server.key").exists()
    before = _everything_below(folder)

    code, answer, complaint = ran("--plan-only", "--json", **no_keys)

    (decision,) = json.loads(answer)
    assert (code, decision["decision"]) == ((2, "deploy") if is_new else (0, "skip")), complaint
    assert folder.exists() is not is_new
    assert _everything_below(folder) == before


def test_plan_only_makes_no_database(
    sqlite_installation: Installation, ran: Ran, caplog: pytest.LogCaptureFixture
) -> None:
    nothing = sqlite_installation.data_folder.parent / "nothing.sqlite"
    url = {"MR_PROBER_DATABASE_URL": f"sqlite:///{nothing}"}
    assert ran("--plan-only", **url)[0] == 1
    assert "there is no database" in caplog.text
    assert not nothing.exists()


def test_once_that_is_ended_says_that_not_all_is_well(
    slow_cluster: Path, creators: Creators, eventually: Eventually
) -> None:
    creator = creators.start("--once")
    eventually((slow_cluster / "marks").exists)
    creator.send_signal(signal.SIGTERM)
    assert creator.wait(timeout=60) == 1


def test_once_deploys_what_is_due_and_then_nothing_is(
    sqlite_installation: Installation, creators: Creators, ran: Ran
) -> None:
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    sqlite_installation.add_cluster("demo", "thing", {"word": "one"})

    assert creators.ran("--once")[0] == 0

    assert _state(sqlite_installation) is DeploymentState.SUCCEEDED
    assert ran("--plan-only")[0] == 0
    with sqlite_installation.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(models.Creator)) == 0


@pytest.mark.parametrize("options", [["--never"], ["--json"], ["--once", "--plan-only"]])
def test_wrong_usage_is_said_at_once(ran: Ran, options: list[str]) -> None:
    code, _, complaint = ran(*options)

    assert code == 64
    assert "usage:" in complaint


def test_help_tells_examples_and_exit_codes(ran: Ran) -> None:
    code, text, _ = ran("--help")

    assert code == 0
    for word in ("examples:", "--plan-only --json", "exit codes:", "64", "MR_PROBER_CREATOR_DRAIN"):
        assert word in text


def test_two_creators_in_one_data_folder_share_the_work_and_never_a_cluster(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    for number in range(4):
        sqlite_installation.add_cluster(f"c{number}", "thing", {"word": "one"})
    for _ in range(2):
        creators.start(MR_PROBER_CREATOR_WORKERS="1")
    eventually((slow_cluster / "marks").exists)

    # One of them holds the slow cluster; the other one does all the rest.
    eventually(
        lambda: all(
            [row.state for row in sqlite_installation.deployments(f"c{number}")]
            == [DeploymentState.SUCCEEDED]
            for number in range(4)
        )
    )

    (slow_cluster / "go").touch()
    eventually(lambda: _state(sqlite_installation) is DeploymentState.SUCCEEDED)
    assert (slow_cluster / "marks").read_text().split() == ["begin", "end"]
    assert len(sqlite_installation.deployments("demo")) == 1


def test_another_creator_goes_on_at_once_with_what_a_drained_one_left(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    first = creators.start()
    eventually((slow_cluster / "marks").exists)
    holder = sqlite_installation.deployments("demo")[0].holder
    creators.start()
    eventually(lambda: _creators_at_work(sqlite_installation) == 2)

    first.send_signal(signal.SIGTERM)

    assert first.wait(timeout=20) == 0
    # Not after the lease has run out: it was given up.
    eventually(lambda: sqlite_installation.deployments("demo")[0].holder != holder)
    (slow_cluster / "go").touch()
    eventually(lambda: _state(sqlite_installation) is DeploymentState.SUCCEEDED)
    assert len(sqlite_installation.deployments("demo")) == 1
    assert (slow_cluster / "marks").read_text().split() == ["begin", "end"]


def test_a_creator_that_is_to_wait_ends_after_what_runs_and_begins_nothing(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    creator = creators.start(MR_PROBER_CREATOR_DRAIN="wait")
    eventually((slow_cluster / "marks").exists)
    creator.send_signal(signal.SIGTERM)
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    sqlite_installation.add_cluster("late", "thing", {"word": "one"})
    (slow_cluster / "go").touch()

    assert creator.wait(timeout=60) == 0

    assert _state(sqlite_installation) is DeploymentState.SUCCEEDED
    assert sqlite_installation.deployments("late") == []


def test_whoever_is_to_wait_waits_although_a_turn_went_wrong(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    """In a container terraform would end with Creator."""
    creator = creators.start(MR_PROBER_CREATOR_DRAIN="wait")
    eventually((slow_cluster / "marks").exists)
    creator.send_signal(signal.SIGTERM)
    before = _fencing(sqlite_installation)
    with sqlite_installation.database.writing() as session:
        session.execute(update(models.Lease).values(holder="", fencing=before + 1))
    sqlite_installation.expire_leases()
    # terraform says something every ten seconds, and storing it shows that the lease is lost.
    eventually(lambda: creator.poll() is not None or _fencing(sqlite_installation) > before + 1)
    assert creator.poll() is None

    (slow_cluster / "go").touch()

    assert creator.wait(timeout=60) == 0
    assert _state(sqlite_installation) is DeploymentState.SUCCEEDED
    assert (slow_cluster / "marks").read_text().split() == ["begin", "end"]


def test_nobody_waits_for_what_runs_on_another_machine(
    sqlite_installation: Installation, creators: Creators, eventually: Eventually
) -> None:
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    cluster_id = sqlite_installation.add_cluster("demo", "thing", {"word": "one"})
    there = {"host": "another", "boot_id": "another", "workspace": "/folder/of/another"}
    with sqlite_installation.database.writing() as session:
        revision_id = session.scalars(select(models.RecipeRevision.id)).one()
        row = models.Deployment(
            cluster_id=cluster_id, cause="test", fingerprint="f", recipe_revision_id=revision_id
        )
        session.add(row)
        session.flush()
        step = models.DeploymentStep(deployment_id=row.id, kind="plan", arguments=[], **there)
        step.deadline = sqlite_installation.now() + timedelta(hours=1)
        session.add(step)
    creator = creators.start(MR_PROBER_CREATOR_DRAIN="wait")
    eventually(lambda: sqlite_installation.deployments("demo")[0].holder)

    creator.send_signal(signal.SIGTERM)

    assert creator.wait(timeout=60) == 0
    assert _state(sqlite_installation) is DeploymentState.PLANNING


def _fencing(installation: Installation) -> int:
    with installation.database.reading() as session:
        of_cluster = models.Lease.name == lease_name(installation.cluster("demo").id)
        return session.scalars(select(models.Lease.fencing).where(of_cluster)).one()


def test_a_second_signal_ends_the_waiting(
    sqlite_installation: Installation,
    slow_cluster: Path,
    creators: Creators,
    eventually: Eventually,
) -> None:
    creator = creators.start(MR_PROBER_CREATOR_DRAIN="wait")
    eventually((slow_cluster / "marks").exists)

    def another() -> bool:
        creator.send_signal(signal.SIGTERM)
        return creator.poll() is not None

    eventually(another)

    # A third one may meet an interpreter that is at its end already.
    assert creator.returncode in (0, -signal.SIGTERM)
    assert _state(sqlite_installation) is DeploymentState.APPLYING
