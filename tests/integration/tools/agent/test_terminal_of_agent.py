"""`yc-mr-prober-agent` in a terminal: the live table, completion by the shell, narrow windows."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from common.contracts.states import State
from tests.integration.agent.stand_ins import wait_until
from tests.integration.needs import need
from tests.integration.tools.agent.conftest import Patient, Tool
from tests.integration.tools.agent.test_on_call import state_of
from tests.integration.tools.terminal import ROOT, terminal

PROGRAM = [sys.executable, str(ROOT / "tools/agent/main.py")]
LEFT_THE_OTHER_SCREEN = "\x1b[?1049l"


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_top_is_drawn_anew_until_q_or_ctrl_c_and_leaves_the_terminal_as_it_was(
    patient: Patient, key: str
) -> None:
    command = [*PROGRAM, "top", "--every", "0.2s", "--dir", str(patient.folder)]
    with terminal(command, environment={}) as shown:
        before = shown.modes
        shown.wait_for("q ends it", times=3)
        # A share of a processor is known from the second look on.
        assert re.search(r"prober-1.*\d%", shown.seen)
        assert shown.modes != before, "keys are read one by one"
        shown.type(f"x{key}")
        assert shown.end() == 0
        assert shown.modes == before
    assert LEFT_THE_OTHER_SCREEN in shown.seen
    assert "Traceback" not in shown.seen
    assert "Interrupted" not in shown.seen


def test_top_says_so_when_its_agent_goes_away(patient: Patient) -> None:
    command = [*PROGRAM, "--dir", str(patient.folder), "top", "--every", "0.2s"]
    with terminal(command, environment={}) as shown:
        before = shown.modes
        shown.wait_for("q ends it")
        patient.end()
        assert shown.end() == 1
        assert shown.modes == before
    assert "no agent answers" in shown.seen.partition(LEFT_THE_OTHER_SCREEN)[2]


def test_bash_completes_a_command_and_the_name_of_a_prober(patient: Patient) -> None:
    program = Path(sys.executable).with_name("yc-mr-prober-agent")
    need(program.exists(), "the project installed in the environment, as make does it")
    folder = shlex.quote(str(patient.folder))
    with terminal(["bash", "--norc", "--noprofile", "-i"], environment={"PS1": "> "}) as shell:
        shell.type(
            'eval "$(_YC_MR_PROBER_AGENT_COMPLETE=bash_source yc-mr-prober-agent)"; echo re""ady\n'
        )
        shell.wait_for("ready")
        shell.type("yc-mr-prober-agent expl\t")
        shell.wait_for("explain ")
        shell.type(f"--dir {folder} prob\t")
        shell.wait_for("prober-")
        shell.type("2\n")
        shell.wait_for("next runs: ")
        # Of a dead agent from its disk.
        patient.end()
        begin = len(shell.seen)
        shell.type(f"yc-mr-prober-agent --dir {folder} show p\t")
        shell.wait_for("prober-", after=begin)
        shell.type("1\nexit\n")
        shell.end()
    assert "no agent answers" in shell.seen


@pytest.mark.parametrize("columns", [40, 60])
def test_a_narrow_terminal_still_says_why(patient: Patient, tool: Tool, columns: int) -> None:
    patient.switch.unlink()
    wait_until(lambda: state_of(patient) is State.FAILURE)
    for words in (["list"], ["status"], ["show", "prober-1"]):
        command = [*PROGRAM, "--dir", str(patient.folder), *words]
        with terminal(command, environment={}, columns=columns) as shown:
            assert shown.end() == (1 if words == ["status"] else 0)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.seen).splitlines()
        assert max(map(len, lines)) <= columns
        heads = [line.split() for line in lines if line.endswith("why") or " why " in line]
        assert heads, lines
        assert any("no answer from b" in line and "fails" in line for line in lines), lines
    # In a pipe nothing is left out.
    assert "next run" in tool("list").out


def test_the_option_dir_stands_before_the_command_or_after_it(
    patient: Patient, tool: Tool, tmp_path: Path
) -> None:
    other = str(tmp_path / "other")
    said = tool("list", "--dir", other)
    assert said.code == 1
    assert f"no agent answers in {other}" in said.out
    # Others may work on this machine, too.
    for told in (said.out, tool("--dir", other, "metrics").err):
        assert "; agents work in --dir " in told
        assert f"--dir {patient.folder}" in told
    assert "prober-1" in tool("--dir", other, "list", "--dir", str(patient.folder)).out
