"""Options of the command line, and what they come to together with the settings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from tools.synchronize.comparison import Place
from tools.synchronize.differences import Choices
from tools.synchronize.ownership import ADOPTABLE, Adoption, is_pattern

NAME = "yc-mr-prober-synchronize"
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


@dataclass(frozen=True)
class Given:
    """What stood before the command; `place_of` adds the settings."""

    general: Options
    place_of: Callable[[Options], Place]
    as_json: bool = False

    def place(self, own: dict[str, Any]) -> Place:
        """Where both sides are, by the command's own options over the general ones."""
        return self.place_of(Options(**own).over(self.general))


def with_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where both sides are; these options may stand before the command and after it."""
    return _with(
        command,
        click.option("--parallel", type=click.IntRange(1, 64), metavar="N", help=f"How many calls of the API at a time ({PARALLEL})."),
        click.option("--api-url", metavar="URL", help="Address of the API; default: MR_PROBER_API_URL."),
        click.option("--environment", metavar="NAME", help="Which folder of environments/; default: MR_PROBER_ENVIRONMENT, else local."),
        click.option("--configs", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="The config repository; default: MR_PROBER_CONFIGS, else configs."),
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
        "--adopt", metavar="PATTERN", multiple=True, callback=_patterns,
        help="Take over what was made by hand: cluster/demo, 'prober/*', config/ping/all, or all.",
    )  # fmt: skip


def choices_of(
    adopt: tuple[str, ...], delete_protected: tuple[str, ...], *, force: bool
) -> Choices:
    """The choices that these options come to."""
    return Choices(Adoption(adopt), force=force, confirmed=frozenset(delete_protected))


def with_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="For programs.")(command)


def _patterns(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if not is_pattern(value):
            raise click.BadParameter(
                f"{value!r} names nothing: expected KIND/NAME, with KIND one of {', '.join(ADOPTABLE)}, or all",
                context, option,
            )  # fmt: skip
    return values


def _with(command: Callable[..., Any], *options: Callable[..., Any]) -> Callable[..., Any]:
    for option in options:
        command = option(command)
    return command
