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
from settings import SynchronizeSettings
from tools import command_line
from tools.api_access import ApiAccess
from tools.console import console_of, visible
from tools.exit_codes import ExitCode
from tools.synchronize.apply import Applied
from tools.synchronize.comparison import Comparison, Place, Progress, compared
from tools.synchronize.current import read_contents, read_current
from tools.synchronize.differences import Choices
from tools.synchronize.errors import ConfigMistakesError, Mistake
from tools.synchronize.export import Export
from tools.synchronize.exported import exported, wanted_hashes
from tools.synchronize.files import environments_in, read_repository
from tools.synchronize.markdown import plan_as_markdown
from tools.synchronize.objects import MANAGER, Desired
from tools.synchronize.options import (
    PARALLEL,
    Options,
    choices_of,
    with_adoption_option,
    with_choices,
    with_place,
)
from tools.synchronize.ownership import Adoption
from tools.synchronize.plan import Change, Plan
from tools.synchronize.report import (
    applied_as_json,
    plan_as_json,
    print_applied,
    print_plan,
)
from tools.synchronize.saved_plan import SavedPlan, read_plan, save_plan
from tools.synchronize.scaffold import new_cluster, new_prober, new_recipe
from tools.synchronize.schemas import write_schemas
from tools.synchronize.workers import workers_of

NAME = "yc-mr-prober-synchronize"
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
@with_place
@with_choices
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_context
def cli(context: click.Context, /, **options: Any) -> int | None:
    """Make the objects in the API what the config repository says they are.

    Without a command: plan.
    """
    own = {name: options.pop(name) for name in ("adopt", "force", "delete_protected", "as_json")}
    context.obj = Options(**options)
    if context.invoked_subcommand is None:
        return _plan(context.obj, own)
    given = [name for name in ("adopt", "force", "delete_protected") if own[name]]
    if given:
        raise click.UsageError(f"--{given[0].replace('_', '-')} stands after the command")
    context.meta["as_json"] = own["as_json"]
    return None


@cli.command("plan")
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


@cli.command("apply")
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


@cli.command("export")
@with_place
@with_adoption_option()
@click.option("--prune", is_flag=True, help="Remove files of objects that the API has not.")
@click.pass_obj
def export_command(
    general: Options, /, *, adopt: tuple[str, ...], prune: bool, **options: Any
) -> int:
    """Write the API's objects into the config repository; comments and order stay."""
    place = _place(Options(**options).over(general))
    adopted = Adoption(adopt)
    present = Desired()
    if place.environment in environments_in(place.configs):
        present = read_repository(place.configs, place.environment)
    with workers_of(place.access, count=place.parallel) as workers:
        current = read_current(workers)
        contents = read_contents(workers, wanted_hashes(current, adopted))
    found = exported(current.with_contents(contents), adopted)
    place.configs.mkdir(parents=True, exist_ok=True)
    export = Export(place.configs, place.environment, present, found.desired, prune=prune)
    export.run()
    schemas = write_schemas(place.configs)
    console = console_of(sys.stdout)
    for path in [*export.written, *schemas]:
        console.print(visible(f"wrote {path}"))
    for path in export.removed:
        console.print(visible(f"removed {path}"))
    for text in [*found.notices, *export.notices]:
        console.print(visible(f"… {text}"))
    console.print(f"Exported: {len(export.written)} files written, {len(export.removed)} removed.")
    return ExitCode.DONE


@cli.command("validate")
@with_place
@click.pass_obj
def validate_command(general: Options, /, **options: Any) -> int:
    """Check the files of one environment, or of all; asks nobody."""
    given = Options(**options).over(general)
    configs = given.configs or SynchronizeSettings().configs
    names = [given.environment] if given.environment else environments_in(configs)
    console = console_of(sys.stdout)
    mistakes: list[Mistake] = []
    for name in names or [SynchronizeSettings().environment]:
        try:
            desired = read_repository(configs, name)
        except ConfigMistakesError as error:
            mistakes += error.mistakes
            continue
        console.print(
            f"{name}: {len(desired.recipes)} recipes, {len(desired.probers)} probers, "
            f"{len(desired.configs)} configs, {len(desired.clusters)} clusters."
        )
    if mistakes:
        raise ConfigMistakesError(mistakes)
    return ExitCode.DONE


@cli.command("schemas")
@with_place
@click.pass_obj
def schemas_command(general: Options, /, **options: Any) -> int:
    """Write the JSON schemas for editors into the config repository."""
    root = Options(**options).over(general).configs or SynchronizeSettings().configs
    return _told(write_schemas(root))


@cli.group("new")
def new_group() -> None:
    """Write a prober, a cluster or a recipe that runs, to be changed."""


@new_group.command("prober")
@click.argument("name")
@with_place
@click.pass_obj
def new_prober_command(general: Options, /, *, name: str, **options: Any) -> int:
    """A prober in Python, with a description of where it runs."""
    return _told(new_prober(_place(Options(**options).over(general)).configs, name))


@new_group.command("recipe")
@click.argument("name")
@with_place
@click.pass_obj
def new_recipe_command(general: Options, /, *, name: str, **options: Any) -> int:
    """Terraform files that need no provider."""
    return _told(new_recipe(_place(Options(**options).over(general)).configs, name))


@new_group.command("cluster")
@click.argument("name")
@click.option("--recipe", required=True, metavar="RECIPE", help="From which recipe it is made.")
@with_place
@click.pass_obj
def new_cluster_command(general: Options, /, *, name: str, recipe: str, **options: Any) -> int:
    """A cluster of this environment, with the variables that its recipe requires."""
    place = _place(Options(**options).over(general))
    return _told(new_cluster(place.configs, place.environment, name, recipe=recipe))


def _split(context: click.Context, options: dict[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Options of the place, over those that stand before the command, and the command's own."""
    place = {name: options.pop(name) for name in Options.__dataclass_fields__}
    options["as_json"] = options["as_json"] or context.meta.get("as_json", False)
    return Options(**place).over(context.obj), options


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
            applied = comparison.applied(progress)
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


def _told(paths: Sequence[Path]) -> int:
    for path in paths:
        click.echo(f"wrote {path}")
    if not paths:
        click.echo("Nothing to do.")
    return ExitCode.DONE


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
