"""What every command is given: which agent, and how its answers are printed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel
from rich.console import Console, RenderableType

from tools.agent.ports import LivingAgent

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
