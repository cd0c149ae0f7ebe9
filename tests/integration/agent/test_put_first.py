"""Whoever goes before others for the scheduler does so alone: a shell from which it was started stays as it was."""

import sys
from pathlib import Path

from common import processes

ROOT = Path(__file__).parents[3]
# The niceness of the session where the kernel has one, before and after.
STEPS = """
import os, subprocess, sys
from pathlib import Path
from agent.running.kernel import put_first

def of_session():
    file = Path("/proc/self/autogroup")
    return file.read_text().split()[-1] if file.exists() else "none"

print(of_session())
if sys.argv[1] == "child":
    subprocess.run([sys.executable, "-c", "from agent.running.kernel import put_first; put_first(3)"], check=True)
else:
    put_first(3)
print(of_session(), os.getpriority(os.PRIO_PROCESS, 0))
"""


def steps(who: str, log: Path) -> list[str]:
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, "-c", STEPS, who],
            environment={"PYTHONPATH": str(ROOT)}, cwd=ROOT, stdout=output, stderr=output,
        )  # fmt: skip
    assert process.wait(60) == 0, log.read_text()
    return log.read_text().split()


def test_who_has_a_session_of_its_own_puts_all_of_it_first(tmp_path: Path) -> None:
    before, after, niceness = steps("itself", tmp_path / "log")
    has_autogroups = Path("/proc/self/autogroup").exists()
    assert (before, after) == (("0", "3") if has_autogroups else ("none", "none"))
    assert niceness == "3"


def test_the_session_of_others_stays_as_it_was(tmp_path: Path) -> None:
    before, after, niceness = steps("child", tmp_path / "log")
    assert before == after
    assert niceness == "0"
