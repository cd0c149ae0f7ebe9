"""`yc-mr-prober-agent`: reads settings and options; the commands are in `looking.py` and `acting.py`."""

import sys
from pathlib import Path

import click

from agent.control.client import ControlClient
from agent.errors import AgentNotRunningError
from common.errors import MrProberError
from common.logs import set_up_logging
from common.version import VERSION
from settings import AgentToolSettings
from tools import command_line
from tools.agent import acting, looking
from tools.agent.errors import with_neighbours
from tools.agent.machine import agents_here
from tools.agent.place import NAME, Place, with_folder
from tools.console import console_of

EXAMPLES = """
\b
Examples:
  yc-mr-prober-agent status                       is it me, the host or the target?
  yc-mr-prober-agent logs dns-resolve --failed    why did it fail?
  yc-mr-prober-agent run dns-resolve --verbose    once more, exactly as the agent does it
  yc-mr-prober-agent run --path ./port-open --set target=127.0.0.1:22
  yc-mr-prober-agent pause dns-resolve --for 30m --why "the resolver is replaced"
  yc-mr-prober-agent top

\b
Exit codes:
  0 done, all is well     1 error, or something is not well
  64 wrong usage

\b
Shell completion (bash):
  eval "$(_YC_MR_PROBER_AGENT_COMPLETE=bash_source yc-mr-prober-agent)"

The agent's folder is that of MR_PROBER_AGENT_DIR, or of --dir where several agents share a machine.
Most commands need the rights of the agent's user or group.
"""
# In a pipe nothing is cut.
_WIDE = 400


def _place(folder: Path | None) -> Place:
    settings = AgentToolSettings()
    set_up_logging(settings.log_level, settings.log_format)
    console = console_of(sys.stdout, width=None if sys.stdout.isatty() else _WIDE)
    place = (folder or settings.agent_dir).absolute()
    return Place(place, settings.api_url, console, lambda: ControlClient(place))


@click.group(epilog=EXAMPLES, context_settings={"obj": _place})
@click.version_option(VERSION, prog_name=NAME)
@with_folder
def cli() -> None:
    """Ask the agent on this machine what it does, and have it do something once more."""


for command in (*looking.COMMANDS, *acting.COMMANDS):
    cli.add_command(command)


def run_with(arguments: list[str]) -> int:
    """Run with these arguments; gives the exit code."""
    return command_line.run(cli, NAME, arguments, text_of=_text_of)


def _text_of(error: MrProberError) -> str:
    if isinstance(error, AgentNotRunningError):
        return with_neighbours(error, agents_here())
    return str(error)


def main() -> None:
    """Entry point of the command."""
    command_line.main(run_with)


if __name__ == "__main__":
    main()
