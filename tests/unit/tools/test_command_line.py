"""The edge that all tools share: one line and an exit code for each foreseen mishap, a traceback for a bug."""

import click
import pytest
from pydantic import BaseModel

from common.errors import MrProberError
from tools.command_line import run


class Settings(BaseModel):
    api_url: int


def ended(action: object) -> int:
    @click.command()
    @click.option("--times", type=int, default=1)
    def command(times: int) -> int | None:
        if isinstance(action, BaseException):
            raise action
        return action(times) if callable(action) else None

    return run(command, "yc-mr-prober-tool", [])


@pytest.mark.parametrize(
    ("action", "status", "told"),
    [
        (lambda _: 2, 2, ""),
        (None, 0, ""),
        (MrProberError("no \x1b[2Jluck"), 1, "no \\x1b[2Jluck\n"),
        (KeyboardInterrupt(), 1, "Interrupted.\n"),
        (click.ClickException("not there"), 1, "not there\n"),
        (lambda _: Settings.model_validate({"api_url": "x"}), 1, "MR_PROBER_API_URL: "),
    ],
)
def test_each_end_has_its_code_and_its_line(
    action: object, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(action) == status
    assert told in capsys.readouterr().err


def test_a_bug_shows_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        ended(lambda times: times // 0)


def test_wrong_usage_is_64_and_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    command = click.Command("c", params=[click.Option(["--times"], type=int)])
    assert run(command, "yc-mr-prober-tool", ["--times", "x"]) == 64
    assert "Error: Invalid value for '--times'" in capsys.readouterr().err
    assert run(command, "yc-mr-prober-tool", ["--help"]) == 0
