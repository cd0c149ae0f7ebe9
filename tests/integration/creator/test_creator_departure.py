"""A Creator that is told to end, ends, whatever its database does; terraform goes on, and the next Creator takes it up."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, make_url

from common.contracts.clusters import DeploymentState
from common.processes import Process
from creator.steps.run_folder import RunFolder
from database.models import Creator
from database.session import Database
from tests.integration.creator.chaos import Server
from tests.integration.creator.creators import Creators
from tests.integration.creator.installation import Installation
from tests.integration.creator.recipes import SLOW

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(scope="module")
def address(mortal_server: Server, migrate: Callable[..., None]) -> str:
    url = make_url(mortal_server.url).set(drivername="postgresql+psycopg")
    migrate(url.render_as_string(hide_password=False))
    return url.render_as_string(hide_password=False)


@pytest.fixture
def installation(address: str, tmp_path: Path) -> Iterator[Installation]:
    database = Database(address)
    yield Installation(database, tmp_path / "data")
    with database.writing() as session:
        session.execute(delete(Creator))  # the next test has another data folder
    database.dispose()


@pytest.fixture
def started(installation: Installation) -> Iterator[Creators]:
    creators = Creators(installation)
    yield creators
    creators.end()


@pytest.mark.parametrize(("drain", "is_frozen"), [("wait", False), ("detach", True)])
def test_a_creator_ends_although_its_database_is_away_and_the_next_one_goes_on(
    mortal_server: Server,
    installation: Installation,
    started: Creators,
    eventually: Eventually,
    drain: str,
    is_frozen: bool,
) -> None:
    slug = f"{drain}-{'frozen' if is_frozen else 'gone'}"
    marks = _described(installation, slug)
    creator = started.start(MR_PROBER_CREATOR_DRAIN=drain, MR_PROBER_CREATOR_DATABASE_PATIENCE="1")
    eventually((marks / "marks").exists)
    step = RunFolder(Path(installation.deployments(slug)[0].steps[-1].workspace))
    mortal_server.freeze() if is_frozen else mortal_server.end()

    creator.send_signal(signal.SIGTERM)
    if drain == "wait":
        _say(creator, "without a database Creator waits for a terraform that runs here")
        assert creator.poll() is None
        (marks / "go").touch()
    # Who hangs in a question ends by force.
    assert creator.wait() == (1 if is_frozen else 0)
    assert (step.exit() is not None) is (drain == "wait"), "terraform is waited for, or goes on"

    mortal_server.thaw() if is_frozen else mortal_server.begin_again()
    (marks / "go").touch()
    installation.expire_leases()
    started.start()
    eventually(lambda: installation.deployments(slug)[0].state is DeploymentState.SUCCEEDED)
    assert len(installation.deployments(slug)) == 1
    assert (marks / "marks").read_text().split() == ["begin", "end"]


def _described(installation: Installation, slug: str) -> Path:
    """A cluster in mid-apply until the file `go` is there; its folder for marks."""
    marks = installation.data_folder.parent / "marks"
    marks.mkdir()
    recipe = SLOW.replace("FOLDER_OF_THE_TEST", str(marks))
    installation.add_recipe(slug, {"main.tf": recipe})
    installation.add_cluster(slug, slug)
    return marks


def _say(creator: Process, words: str) -> None:
    """Wait until it says so."""
    assert creator.stderr
    said = []
    for line in creator.stderr:
        said.append(line.decode())
        if words in said[-1]:
            return
    raise AssertionError(f"it ended without a word of that: {said}")
