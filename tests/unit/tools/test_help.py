"""Every command of every tool shows in its help how it is typed."""

from collections.abc import Iterator

import click
import pytest

from tools.agent.main import cli as agent
from tools.agent.main import run_with as run_agent
from tools.meeseeks.main import cli as meeseeks
from tools.meeseeks.main import run as run_meeseeks
from tools.synchronize.main import cli as synchronize
from tools.synchronize.main import run as run_synchronize

TOOLS = {
    "yc-mr-prober-agent": (agent, run_agent),
    "yc-mr-prober-meeseeks": (meeseeks, run_meeseeks),
    "yc-mr-prober-synchronize": (synchronize, run_synchronize),
}


def commands_of(command: click.Command, *names: str) -> Iterator[tuple[str, ...]]:
    yield names
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands_of(inner, *names, name)


ALL = [(tool, names) for tool, (cli, _) in TOOLS.items() for names in commands_of(cli)]


@pytest.mark.parametrize(("tool", "names"), ALL)
def test_help_has_examples_of_the_command_itself(
    tool: str, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert TOOLS[tool][1]([*names, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Examples:" in told
    assert " ".join((tool, *names)) in told.partition("Examples:")[2]


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_each_tool_says_its_version(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert TOOLS[tool][1](["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"{tool}, version ")


def test_everything_that_says_something_says_it_to_programs_too() -> None:
    silent = {"apply", "cluster", "prober", "recipe", "schemas", "new"}
    for tool, (cli, _) in TOOLS.items():
        assert isinstance(cli, click.Group)
        for name, command in cli.commands.items():
            options = {option for one in command.params for option in one.opts}
            assert "--json" in options or name in silent - {"apply"}, (tool, name)
