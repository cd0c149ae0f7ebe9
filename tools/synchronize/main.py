"""`yc-mr-prober-synchronize`: reads settings and options, then compares the config repository with the API."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from common.api_client import ApiClient
from common.errors import MrProberError
from common.logs import set_up_logging
from settings import SynchronizeSettings
from tools import command_line
from tools.api_access import ApiAccess
from tools.console import console_of
from tools.exit_codes import ExitCode
from tools.synchronize.apply import Applied, apply
from tools.synchronize.current import read_current
from tools.synchronize.differences import differences
from tools.synchronize.errors import ConfigMistakesError
from tools.synchronize.files import read_repository
from tools.synchronize.objects import MANAGER, Desired
from tools.synchronize.plan import Plan
from tools.synchronize.report import plan_as_json, print_applied, print_plan

EXAMPLES = """
\b
Examples:
  yc-mr-prober-synchronize                    what would change? (exit code 2: something would)
  yc-mr-prober-synchronize apply              change it
  yc-mr-prober-synchronize --environment preprod --api-url https://prober.example.net plan
  yc-mr-prober-synchronize plan --json | jq .summary

\b
Exit codes:
  0 nothing to do, or all of it done    1 error, nothing was done
  2 plan: there are changes             4 partly applied: run it again
  64 wrong usage

The key for the API is read from MR_PROBER_API_KEY, or from the file that
MR_PROBER_API_KEY_FILE names (data/admin.key, which the API's first start writes).
"""


@dataclass(frozen=True)
class Options:
    """Where the two sides are (None = as the settings say), and how a plan is printed."""

    configs: Path | None = None
    environment: str | None = None
    api_url: str | None = None
    as_json: bool = False

    def over(self, general: "Options") -> "Options":
        """These options where they are given, the general ones elsewhere."""
        return Options(
            self.configs or general.configs,
            self.environment or general.environment,
            self.api_url or general.api_url,
            self.as_json or general.as_json,
        )


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options may stand before the command and after it."""
    for option in (
        click.option("--api-url", metavar="URL", help="Address of the API."),
        click.option("--environment", metavar="NAME", help="Which folder of environments/."),
        click.option(
            "--configs",
            metavar="DIR",
            type=click.Path(path_type=Path, file_okay=False),
            help="The config repository.",
        ),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@_with_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_context
def cli(context: click.Context, /, **options: Any) -> int | None:
    """Make the objects in the API what the config repository says they are.

    Without a command: plan.
    """
    context.obj = Options(**options)
    if context.invoked_subcommand is None:
        return _plan(context.obj)
    return None


@cli.command("plan")
@_with_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_obj
def plan_command(general: Options, /, **options: Any) -> int:
    """Show what would change; changes nothing."""
    return _plan(Options(**options).over(general))


@cli.command("apply")
@_with_options
@click.pass_obj
def apply_command(general: Options, /, **options: Any) -> int:
    """Show what changes, and change it."""
    console = console_of(sys.stdout)
    with _compared(Options(**options).over(general)) as (desired, plan, client):
        print_plan(console, plan)
        if plan.refusals:
            return ExitCode.ERROR
        if not plan.changes and not plan.postponed:
            return ExitCode.DONE
        applied = apply(plan, desired, client)
    print_applied(console, applied)
    return _exit_code_of(applied)


def _plan(options: Options) -> int:
    with _compared(options) as (_, plan, _):
        if options.as_json:
            click.echo(plan_as_json(plan))
        else:
            print_plan(console_of(sys.stdout), plan)
    if plan.refusals:
        return ExitCode.ERROR
    return ExitCode.CHANGES if plan.changes or plan.postponed else ExitCode.DONE


@contextmanager
def _compared(options: Options) -> Iterator[tuple[Desired, Plan, ApiClient]]:
    """Both sides read and compared; mistakes of the repository come before any question to the API."""
    settings = SynchronizeSettings()
    set_up_logging(settings.log_level, settings.log_format)
    desired = read_repository(
        options.configs or settings.configs, options.environment or settings.environment
    )
    access = ApiAccess(
        options.api_url or settings.api_url,
        settings.api_key,
        settings.api_key_file,
        settings.api_authorities,
        manager=MANAGER,
    )
    with access.client() as client:
        yield desired, differences(desired, read_current(client, desired)), client


def _exit_code_of(applied: Applied) -> ExitCode:
    if not applied.left:
        return ExitCode.DONE
    if applied.is_outdated:
        return ExitCode.PARTLY
    nothing_done = not applied.done and (applied.failed or applied.stopped)
    return ExitCode.ERROR if nothing_done else ExitCode.PARTLY


def run(arguments: list[str]) -> int:
    """Run with these arguments; gives the exit code."""
    return command_line.run(
        cli,
        "yc-mr-prober-synchronize",
        arguments,
        text_of=_text_of,
        interrupted="Interrupted: the next run finishes.",
    )


def _text_of(error: MrProberError) -> str:
    if isinstance(error, ConfigMistakesError):
        count = len(error.mistakes)
        return f"{error}\n{count} mistake{'s' if count > 1 else ''}: nothing was applied."
    return str(error)


def main() -> None:
    """Entry point of the command."""
    command_line.main(run)


if __name__ == "__main__":
    main()
