"""The stock network probers can be imported without doing anything: what they do begins in `main`."""

import runpy
import socket
import sys
from pathlib import Path

import pytest

PROBERS = Path(__file__).parents[3] / "configs" / "probers"


@pytest.mark.parametrize("program", ["icmp-ping/icmp_ping.py", "udp-echo/udp_echo.py"])
def test_an_import_has_no_side_effect(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = (
        sys.excepthook,
        {path.name for path in Path("/proc/self/fd").iterdir()},
        socket.getdefaulttimeout(),
    )
    module = runpy.run_path(str(PROBERS / program), run_name="imported")
    assert callable(module["main"])
    after = (
        sys.excepthook,
        {path.name for path in Path("/proc/self/fd").iterdir()},
        socket.getdefaulttimeout(),
    )
    assert after == before
    assert capsys.readouterr() == ("", "")
