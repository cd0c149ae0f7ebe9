"""The commands that write or check the config repository: export, validate, schemas, new."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import JsonValue

from tools.command_line import examples_of
from tools.console import console_of, visible
from tools.exit_codes import ExitCode
from tools.synchronize.current import read_contents, read_current
from tools.synchronize.errors import ConfigMistakesError, Mistake
from tools.synchronize.export import Export
from tools.synchronize.exported import exported, wanted_hashes
from tools.synchronize.files import environments_in, read_repository
from tools.synchronize.objects import Desired
from tools.synchronize.options import NAME, Given, with_adoption_option, with_json, with_place
from tools.synchronize.ownership import Adoption
from tools.synchronize.report import counted
from tools.synchronize.scaffold import new_cluster, new_prober, new_recipe
from tools.synchronize.schemas import write_schemas
from tools.synchronize.workers import workers_of


@click.command(
    epilog=examples_of(
        NAME,
        "export                    hand edits become the files' own; comments stay",
        "export --adopt all        an existing installation as files",
        "export --prune            also remove files of what the API has not",
    )
)
@with_place
@with_adoption_option()
@click.option("--prune", is_flag=True, help="Remove files of objects that the API has not.")
@with_json
@click.pass_obj
def export(given: Given, /, *, adopt: tuple[str, ...], prune: bool, **options: Any) -> int:
    """Write the API's objects into the config repository; comments and order stay."""
    as_json = options.pop("as_json") or given.as_json
    place = given.place(options)
    adopted = Adoption(adopt)
    present = Desired()
    if place.environment in environments_in(place.configs):
        present = read_repository(place.configs, place.environment)
    with workers_of(place.access, count=place.parallel) as workers:
        current = read_current(workers)
        contents = read_contents(workers, wanted_hashes(current, adopted))
    found = exported(current.with_contents(contents), adopted)
    done = Export(place.configs, place.environment, present, found.desired, prune=prune)
    done.run()
    written = [*done.written, *write_schemas(place.configs)]
    notices = [*found.notices, *done.notices]
    if as_json:
        _print_json(
            {"written": _texts(written), "removed": _texts(done.removed), "notices": [*notices]}
        )
        return ExitCode.DONE
    console = console_of(sys.stdout)
    for path in written:
        console.print(visible(f"wrote {path}"))
    for path in done.removed:
        console.print(visible(f"removed {path}"))
    for text in notices:
        console.print(visible(f"… {text}"))
    console.print(
        f"Exported: {counted(len(written), 'file')} written, {len(done.removed)} removed."
    )
    return ExitCode.DONE


@click.command(
    epilog=examples_of(
        NAME,
        "validate                          every environment",
        "validate --environment preprod    just this one",
        "validate --json | jq '.mistakes[].file'",
    )
)
@with_place
@with_json
@click.pass_obj
def validate(given: Given, /, *, as_json: bool, **options: Any) -> int:
    """Check the files of one environment, or of all; asks nobody."""
    place = given.place(options)
    named = options["environment"] or given.general.environment
    names = [named] if named else environments_in(place.configs)
    counts: dict[str, dict[str, int]] = {}
    mistakes: list[Mistake] = []
    for name in names or [place.environment]:
        try:
            counts[name] = _counts(read_repository(place.configs, name))
        except ConfigMistakesError as error:
            mistakes += error.mistakes
    found = sorted(set(mistakes))
    if as_json or given.as_json:
        environments: JsonValue = {name: dict(kinds) for name, kinds in counts.items()}
        rows: list[JsonValue] = [
            {"file": one.file, "line": one.line, "field": one.field, "text": one.text}
            for one in found
        ]
        _print_json({"environments": environments, "mistakes": rows})
        return ExitCode.ERROR if found else ExitCode.DONE
    for name, kinds in counts.items():
        told = ", ".join(counted(count, kind.removesuffix("s")) for kind, count in kinds.items())
        click.echo(f"{name}: {told}.")
    if found:
        raise ConfigMistakesError(found)
    return ExitCode.DONE


@click.command(epilog=examples_of(NAME, "schemas      after an upgrade, for editors"))
@with_place
@click.pass_obj
def schemas(given: Given, /, **options: Any) -> int:
    """Write the JSON schemas for editors into the config repository."""
    return _told(write_schemas(given.place(options).configs))


@click.group(
    epilog=examples_of(
        NAME,
        "new recipe machines",
        "new cluster first --recipe machines",
        "new prober ssh-port",
    )
)
def new() -> None:
    """Write a prober, a cluster or a recipe that runs, to be changed."""


@new.command(epilog=examples_of(NAME, "new prober ssh-port"))
@click.argument("name")
@with_place
@click.pass_obj
def prober(given: Given, /, *, name: str, **options: Any) -> int:
    """A prober in Python, with a description of where it runs."""
    root = given.place(options).configs
    return _told([*new_prober(root, name), *write_schemas(root)])


@new.command(epilog=examples_of(NAME, "new recipe machines"))
@click.argument("name")
@with_place
@click.pass_obj
def recipe(given: Given, /, *, name: str, **options: Any) -> int:
    """Terraform files that need no provider."""
    root = given.place(options).configs
    return _told([*new_recipe(root, name), *write_schemas(root)])


@new.command(
    epilog=examples_of(
        NAME,
        "new cluster first --recipe machines",
        "new cluster first --recipe machines --environment preprod",
    )
)
@click.argument("name")
@click.option("--recipe", required=True, metavar="RECIPE", help="From which recipe it is made.")
@with_place
@click.pass_obj
def cluster(given: Given, /, *, name: str, recipe: str, **options: Any) -> int:
    """A cluster of this environment, with the variables that its recipe requires."""
    place = given.place(options)
    written = new_cluster(place.configs, place.environment, name, recipe=recipe)
    return _told([*written, *write_schemas(place.configs)])


def _counts(desired: Desired) -> dict[str, int]:
    return {
        "recipes": len(desired.recipes), "probers": len(desired.probers),
        "configs": len(desired.configs), "clusters": len(desired.clusters),
    }  # fmt: skip


def _told(paths: Sequence[Path]) -> int:
    for path in paths:
        click.echo(f"wrote {path}")
    if not paths:
        click.echo("Nothing to do.")
    return ExitCode.DONE


def _texts(paths: Sequence[Path]) -> list[JsonValue]:
    return [str(path) for path in paths]


def _print_json(value: Mapping[str, JsonValue]) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


COMMANDS = (export, validate, schemas, new)
