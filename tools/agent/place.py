"""What every command is given: which agent, and how its answers are printed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel
from rich.console import Console, RenderableType

from agent.errors import AgentNotRunningError
from agent.remains import remains_in
from common.errors import MrProberError
from tools.agent.ports import LivingAgent

NAME = "yc-mr-prober-agent"
_FOLDER = f"{NAME}.folder"
Wanted = TypeVar("Wanted")


@dataclass(frozen=True)
class Place:
    """Which agent, and where what is printed goes."""

    folder: Path
    api_url: str
    console: Console
    # The agent; nothing is asked by that yet.
    agent: Callable[[], LivingAgent]

    def show(self, page: RenderableType) -> None:
        """Print it for people."""
        # In a pipe nothing is cut: lines are as long as they need to be.
        self.console.print(page, soft_wrap=False)


# The place of a folder, or of the one that the settings name; main.py puts it into the context.
PlaceOf = Callable[[Path | None], Place]


def with_folder(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--dir`, before the command or after it."""
    return click.option(
        "--dir", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
        expose_value=False, callback=_remembered,
        help="The agent's folder, where several agents share a machine; default: MR_PROBER_AGENT_DIR.",
    )(command)  # fmt: skip


def with_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Call the command with its place; it gets `--dir`, too."""

    def called(*arguments: Any, **options: Any) -> Any:
        return command(_place_of(click.get_current_context()), *arguments, **options)

    return with_folder(update_wrapper(called, command))


def with_prober(*, required: bool = True, metavar: str = "PROBER") -> Callable[..., Any]:
    """The argument PROBER, which the shell completes."""
    if not required:
        metavar = f"[{metavar}]"
    return click.argument(
        "prober", required=required, metavar=metavar, shell_complete=_probers_that_begin
    )


def _remembered(context: click.Context, _: click.Parameter, folder: Path | None) -> None:
    if folder is not None:
        context.meta[_FOLDER] = folder


def _place_of(context: click.Context) -> Place:
    make: PlaceOf = context.obj
    return make(context.meta.get(_FOLDER))


def _probers_that_begin(context: click.Context, _: click.Parameter, text: str) -> list[str]:
    """What a shell offers: the agent's probers, or those of its disk; nothing where nobody knows."""
    try:
        place = _place_of(context)
        try:
            slugs = [one.slug for one in place.agent().state().probers]
        except AgentNotRunningError:
            slugs = [one.slug for one in remains_in(place.folder).probers]
    except MrProberError:
        return []
    return [slug for slug in sorted(slugs) if slug.startswith(text)]


def as_json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="For programs.")(command)


def checked(make: Callable[[], Wanted]) -> Wanted:
    """What it makes; a ValueError is wrong usage."""
    try:
        return make()
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def plain_json(value: BaseModel) -> Any:
    """As programs read it."""
    return value.model_dump(mode="json")


def print_json(value: Any) -> None:
    """One JSON value."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
