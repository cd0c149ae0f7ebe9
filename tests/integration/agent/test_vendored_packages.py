"""What the author's guide says of packages: a wheel in the prober's folder is imported from there."""

import sys
import zipfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from agent.plan import RunKey, RunSpec
from agent.running.wiper import Wiper
from common.contracts.states import Outcome
from tests.integration.agent.one_run import results_of

ROOT = Path(__file__).parents[3]
WHEEL = "greeting-1.0-py3-none-any.whl"
CHECK = f"""
import sys
sys.path.insert(0, {WHEEL!r})
import greeting
sys.exit(greeting.words())
"""


def test_a_wheel_in_the_folder_is_imported_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("greeting/__init__.py", "def words():\n    return 'from the wheel'\n")
    (folder / "check.py").write_text(CHECK)
    folder.chmod(0o555)
    spec = RunSpec(
        key=RunKey(UUID(int=1), "{}"),
        prober_slug="vendored",
        labels={},
        arguments=(sys.executable, "check.py"),
        environment={},
        folder=folder,
        interval=timedelta(seconds=60),
        time_limit=timedelta(seconds=60),
        grace=timedelta(seconds=1),
        output="none",
    )
    wiper = Wiper()
    (result,) = results_of(spec, tmp_path / "temporary", wiper)
    wiper.close(time_limit_seconds=10)
    said = result.verdict
    assert (said.outcome, said.reason) == (Outcome.FAILURE, "from the wheel")


def test_the_guide_names_what_the_image_brings() -> None:
    named = ("requests", "urllib3", "certifi", "idna", "pydantic", "prometheus-client")
    installed = (ROOT / "agent/requirements.txt").read_text().splitlines()
    guide = (ROOT / "agent/README.md").read_text()
    for name in named:
        assert any(line.startswith(f"{name}==") for line in installed)
        assert f"`{name}`" in guide
