"""A bug in a stock prober is the prober's fault, not the target's: exit 3 with the traceback."""

import sys
from pathlib import Path

import pytest

from common.processes import start

PROBERS = Path(__file__).parents[3] / "configs" / "probers"
_RUN_WITH_A_BUG = """
import argparse, runpy, sys
argparse.ArgumentParser.parse_args = None
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("program", sorted(PROBERS.glob("*/*.py")), ids=lambda path: path.stem)
def test_a_bug_is_broken_and_shown(program: Path, tmp_path: Path) -> None:
    with (tmp_path / "errors").open("wb") as errors:
        arguments = [sys.executable, "-c", _RUN_WITH_A_BUG, str(program)]
        process = start(arguments, environment={}, cwd=tmp_path, stderr=errors)
        assert process.wait(30) == 3
    assert "TypeError: 'NoneType' object is not callable" in (tmp_path / "errors").read_text()
