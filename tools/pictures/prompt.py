"""What was typed before a scene."""

from rich.console import Console


def typed(console: Console, command: str) -> None:
    """A prompt and the command."""
    console.print(f"$ {command}", style="bold")
