"""`yc-mr-prober-synchronize`: reads settings and options, then compares the config repository with the API."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from common.errors import MrProberError
from common.logs import set_up_logging
from common.version import VERSION
from settings import SynchronizeSettings
from tools import command_line
from tools.api_access import ApiAccess
from tools.command_line import examples_of
from tools.console import console_of, visible
from tools.exit_codes import ExitCode
from tools.synchronize.apply import Applied
from tools.synchronize.comparison import Comparison, Place, Progress, compared
from tools.synchronize.differences import Choices
from tools.synchronize.errors import ConfigMistakesError
from tools.synchronize.folder_commands import COMMANDS
from tools.synchronize.markdown import plan_as_markdown
from tools.synchronize.objects import MANAGER
from tools.synchronize.options import (
    NAME,
    PARALLEL,
    Given,
    Options,
    choices_of,
    with_choices,
    with_place,
)
from tools.synchronize.plan import Change, Plan
from tools.synchronize.report import (
    applied_as_json,
    counted,
    plan_as_json,
    print_applied,
    print_plan,
)
from tools.synchronize.saved_plan import SavedPlan, read_plan, save_plan

EXAMPLES = """
\b
Examples:
  yc-mr-prober-synchronize                       what would change? (exit code 2: something would)
  yc-mr-prober-synchronize apply                 change it
  yc-mr-prober-synchronize plan --out plan.json  keep the plan for a review, and later
  yc-mr-prober-synchronize apply plan.json       do what was reviewed, and nothing else
  yc-mr-prober-synchronize plan --markdown       for a comment in CI; --json for programs
  yc-mr-prober-synchronize --environment preprod --api-url https://prober.example.net plan
  yc-mr-prober-synchronize validate              are the files right? asks nobody
  yc-mr-prober-synchronize new prober ssh-port   files that run, to be changed
  yc-mr-prober-synchronize export --adopt all    the API as files, also what was made by hand

\b
Exit codes:
  0 nothing to do, or all of it done    1 error, nothing was done
  2 plan: there are changes             4 partly applied: run it again
  64 wrong usage

The key for the API is read from MR_PROBER_API_KEY, or from the file that
MR_PROBER_API_KEY_FILE names (data/admin.key, which the API's first start writes).
"""
_EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)
_NEW = click.Path(path_type=Path, dir_okay=False)


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@click.version_option(VERSION, prog_name=NAME)
@with_place
@with_choices
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_context
def cli(context: click.Context, /, **options: Any) -> int | None:
    """Make the objects in the API what the config repository says they are.

    Without a command: plan.
    """
    own = {name: options.pop(name) for name in ("adopt", "force", "delete_protected", "as_json")}
    context.obj = Given(Options(**options), _place, as_json=own["as_json"])
    if context.invoked_subcommand is None:
        return _plan(context.obj.general, own)
    given = [name for name in ("adopt", "force", "delete_protected") if own[name]]
    if given:
        raise click.UsageError(f"--{given[0].replace('_', '-')} stands after the command")
    return None


@cli.command(
    "plan",
    epilog=examples_of(
        NAME,
        "plan                      what would change? exit code 2: something would",
        "plan --out plan.json      keep it for a review; `apply plan.json` does just that",
        "plan --adopt cluster/demo      as if what was made by hand were ours",
        "plan --markdown > comment.md   for a pull request",
        'plan --json | jq -r \'.changes[] | .action + " " + .kind + " " + .name\'',
    ),
)
@with_place
@with_choices
@click.option("--out", type=_NEW, metavar="FILE", help="Save the plan for `apply FILE`.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the plan as Markdown.")
@click.pass_context
def plan_command(context: click.Context, /, **options: Any) -> int:
    """Show what would change; changes nothing."""
    place, own = _split(context, options)
    return _plan(place, own)


@cli.command(
    "apply",
    epilog=examples_of(
        NAME,
        "apply                     change what `plan` shows",
        "apply plan.json           exactly what was reviewed, or nothing",
        "apply --adopt 'prober/*'  take over what was made by hand",
        "apply --delete-protected mesh-a   a protected cluster, where nobody can type its name",
        "apply --force             although more than 30 % of something would go",
    ),
)
@with_place
@with_choices
@click.option("--json", "as_json", is_flag=True, help="Print plan and result as JSON.")
@click.argument("plan", required=False, type=_EXISTING)
@click.pass_context
def apply_command(context: click.Context, /, **options: Any) -> int:
    """Show what changes, and change it; with PLAN exactly what that saved plan says."""
    place, own = _split(context, options)
    choices, saved = _choices(own), None
    if own["plan"]:
        if own["adopt"] or own["force"] or own["delete_protected"]:
            raise click.UsageError("a saved plan has its own --adopt, --force, --delete-protected")
        saved = read_plan(own["plan"])
        choices = choices_of(tuple(saved.adopted), tuple(saved.confirmed), force=saved.force)
    with _compared(place, choices) as (where, comparison):
        return _apply(comparison, where, saved, as_json=own["as_json"])


for command in COMMANDS:
    cli.add_command(command)


def _split(context: click.Context, options: dict[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Options of the place, over those that stand before the command, and the command's own."""
    given: Given = context.obj
    place = {name: options.pop(name) for name in Options.__dataclass_fields__}
    options["as_json"] = options["as_json"] or given.as_json
    return Options(**place).over(given.general), options


def _choices(own: dict[str, Any]) -> Choices:
    return choices_of(own["adopt"], own["delete_protected"], force=own["force"])


def _plan(options: Options, own: dict[str, Any]) -> int:
    with _compared(options, _choices(own)) as (where, comparison):
        plan = comparison.plan
    if own.get("out"):
        save_plan(
            own["out"], plan, comparison.desired, api_url=where.access.api_url,
            environment=where.environment, adopted=own["adopt"], force=own["force"],
            confirmed=own["delete_protected"],
        )  # fmt: skip
    if own.get("as_markdown"):
        click.echo(plan_as_markdown(plan))
    elif own["as_json"]:
        click.echo(plan_as_json(plan))
    else:
        print_plan(console_of(sys.stdout), plan)
    if not plan.is_applicable:
        return ExitCode.ERROR
    return ExitCode.DONE if plan.is_empty else ExitCode.CHANGES


def _apply(comparison: Comparison, where: Place, saved: SavedPlan | None, *, as_json: bool) -> int:
    console = console_of(sys.stdout)
    if saved:
        saved.require(
            comparison.plan, comparison.desired,
            api_url=where.access.api_url, environment=where.environment,
        )  # fmt: skip
    if not as_json:
        print_plan(console, comparison.plan)
        comparison = comparison.confirmed(_typed(comparison.plan.protected))
    plan, applied = comparison.plan, None
    if plan.is_applicable and not plan.is_empty:
        with _progress(plan) as progress:
            try:
                applied = comparison.applied(progress)
            except KeyboardInterrupt:
                comparison.workers.abandon()
                click.echo("Interrupted in the middle: the next run finishes.", err=True)
                return ExitCode.PARTLY
    if as_json:
        click.echo(applied_as_json(plan, applied))
    elif applied:
        print_applied(console, applied)
    if not plan.is_applicable:
        return ExitCode.ERROR
    return _exit_code_of(applied) if applied else ExitCode.DONE


def _typed(protected: Sequence[str]) -> list[str]:
    """The names of protected clusters that the person typed; nobody is asked where nobody can answer."""
    if not (protected and sys.stdin.isatty()):
        return []
    typed = []
    for slug in protected:
        answer = click.prompt(
            f"Cluster {slug} is protected. Type its name to delete it",
            default="",
            show_default=False,
        )
        if answer == slug:
            typed.append(slug)
        else:
            click.echo(f"That is not {slug}: nothing is applied.", err=True)
    return typed


@contextmanager
def _progress(plan: Plan) -> Iterator[Progress]:
    console = console_of(sys.stderr)
    if not console.is_terminal:
        yield Progress()
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Bar(*columns, console=console, transient=True) as bar:
        yield _Shown(bar, len(plan.changes))


class _Shown(Progress):
    def __init__(self, bar: Bar, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total)

    def step(self, change: Change) -> None:
        self._bar.update(self._task, advance=1, description=visible(change.title))


@contextmanager
def _compared(options: Options, choices: Choices) -> Iterator[tuple[Place, Comparison]]:
    place = _place(options)
    with compared(place, choices) as comparison:
        yield place, comparison


def _place(options: Options) -> Place:
    settings = SynchronizeSettings()
    set_up_logging(settings.log_level, settings.log_format)
    access = ApiAccess(
        options.api_url or settings.api_url,
        settings.api_key,
        settings.api_key_file,
        settings.api_authorities,
        manager=MANAGER,
    )
    return Place(
        options.configs or settings.configs,
        options.environment or settings.environment,
        access,
        options.parallel or PARALLEL,
    )


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
        NAME,
        arguments,
        text_of=_text_of,
        interrupted="Interrupted: nothing was changed.",
    )


def _text_of(error: MrProberError) -> str:
    if isinstance(error, ConfigMistakesError):
        return f"{error}\n{counted(len(error.mistakes), 'mistake')}: nothing was applied."
    return str(error)


def main() -> None:
    """Entry point of the command."""
    command_line.main(run)


if __name__ == "__main__":
    main()
