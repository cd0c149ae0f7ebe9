"""Options of the command line, and what they come to together with the settings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from tools.synchronize.differences import Choices
from tools.synchronize.ownership import Adoption

PARALLEL = 8


@dataclass(frozen=True)
class Options:
    """Where the two sides are (None = as the settings say), and how much is done at a time."""

    configs: Path | None = None
    environment: str | None = None
    api_url: str | None = None
    parallel: int | None = None

    def over(self, general: "Options") -> "Options":
        """These options where they are given, the general ones elsewhere."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return replace(general, **given)


def with_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where both sides are; these options may stand before the command and after it."""
    return _with(
        command,
        click.option("--parallel", type=click.IntRange(1, 64), metavar="N", help=f"How many calls of the API at a time ({PARALLEL})."),
        click.option("--api-url", metavar="URL", help="Address of the API."),
        click.option("--environment", metavar="NAME", help="Which folder of environments/."),
        click.option("--configs", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="The config repository."),
    )  # fmt: skip


def with_choices(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the author decides beside the files."""
    return _with(
        command,
        click.option("--delete-protected", metavar="CLUSTER", multiple=True, help="A protected cluster that may be deleted, by its whole name."),
        click.option("--force", is_flag=True, help="Also if much would change at once, or the files are suddenly empty."),
        with_adoption_option(),
    )  # fmt: skip


def with_adoption_option() -> Callable[..., Any]:
    """Which objects that nobody manages are taken over."""
    return click.option(
        "--adopt", metavar="PATTERN", multiple=True,
        help="Take over what was made by hand: cluster/demo, 'prober/*', config/ping/all, or all.",
    )  # fmt: skip


def choices_of(
    adopt: tuple[str, ...], delete_protected: tuple[str, ...], *, force: bool
) -> Choices:
    """The choices that these options come to."""
    return Choices(Adoption(adopt), force=force, confirmed=frozenset(delete_protected))


def _with(command: Callable[..., Any], *options: Callable[..., Any]) -> Callable[..., Any]:
    for option in options:
        command = option(command)
    return command
