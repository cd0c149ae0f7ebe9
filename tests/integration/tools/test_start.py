"""The installed commands from their first moment."""

import sys

import pytest

from tests.integration.tools.conftest import ROOT
from tests.integration.tools.test_terminal_of_synchronize import ended

# Ctrl-C comes while the tool's own modules are being loaded.
INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "tools.{tool}.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from tools import start
start.{tool}()
"""


@pytest.mark.parametrize("tool", ["agent", "meeseeks", "synchronize"])
def test_ctrl_c_while_modules_are_loaded_leaves_no_traceback(tool: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED.replace("{tool}", tool)]
    assert ended(command, {"PYTHONPATH": str(ROOT)}) == (-2, "", "")
