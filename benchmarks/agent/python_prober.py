"""A Python file that imports `requests`, as a prober of ours in each mode and as a check of the peers: CPU of the whole tree per run."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks.agent.runs import AgentRow, compiled, measured, witness_file
from benchmarks.agent.systems import Command, Load, agent, floor, icinga, nagios
from common import processes

PROGRAMS, PERIOD_SECONDS, SECONDS = 4, 2, 30.0
# One that any user may run: some of the peers drop their rights.
_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_WITNESS = """#!{python}
import requests
import sys
import time

with open(sys.argv[1], "a") as file:
    file.write(f"{{sys.argv[2]}} {{time.time_ns()}}\\n")
"""


def measure() -> list[AgentRow]:
    """One row per system; those that are not installed are left out, and a line says so."""
    rows: dict[str, AgentRow] = {}
    for name, command in _systems().items():
        folder = Path(tempfile.mkdtemp(prefix="mr-prober-bench-"))
        folder.chmod(0o755)
        try:
            what = "a Python file that imports requests, 2 a second"
            row = measured(name, command, _load(folder), SECONDS, rows, what=what)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if row:
            rows[name] = row
    return list(rows.values())


def _systems() -> Mapping[str, Callable[[Load], Command | None]]:
    python = _python()
    return {
        "C loop": floor,
        "Mr. Prober, mode run": partial(agent, interpreter=python),
        "Mr. Prober, mode warm": partial(agent, interpreter=python, mode="warm"),
        "Nagios Core": nagios,
        "Icinga 2": icinga,
    }


def _load(folder: Path) -> Load:
    witness = folder / "witness.py"
    witness.write_text(_WITNESS.format(python=_python()))
    witness.chmod(0o755)
    compiled(folder, "floor")
    return Load(PROGRAMS, PERIOD_SECONDS, witness, witness_file(folder), folder)


def _python() -> str:
    for python in filter(Path.exists, map(Path, _PYTHONS)):
        trying = processes.start(
            [str(python), "-c", "import requests"], environment={}, cwd=Path("/")
        )
        if trying.wait() == 0:
            return str(python)
    raise SystemExit(
        f"the benchmark of Python probers needs requests for {' or '.join(_PYTHONS)} (Debian: python3-requests)"
    )
