"""What people wrote on the command line as what the agent is asked for. Pure."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta

from pydantic import JsonValue, ValidationError

from common.contracts.control import (
    MAX_PAUSE_SECONDS,
    LocalProber,
    PauseWanted,
    RunWanted,
)


def value_in(text: str) -> JsonValue:
    """`3`, `true` and `["a"]` as JSON, everything else as the text that it is."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return text
    return value


def pairs_in(texts: Iterable[str]) -> dict[str, JsonValue]:
    """`k=v` each; ValueError that says what was expected."""
    pairs: dict[str, JsonValue] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ValueError(f"{text!r}: expected NAME=VALUE")
        pairs[name] = value_in(value)
    return pairs


def run_wanted(
    prober: str, *, combination: Sequence[str], values: Sequence[str], local: LocalProber | None
) -> RunWanted:
    """What to run once; ValueError with one line per mistake."""
    try:
        return RunWanted(
            prober=prober,
            combination=pairs_in(combination),
            values=pairs_in(values),
            local=local,
        )
    except ValidationError as error:
        raise ValueError(_mistakes(error)) from error


def pause_wanted(prober: str | None, *, length: timedelta, why: str, who: str) -> PauseWanted:
    """What to silence; ValueError with one line per mistake."""
    if not timedelta(0) < length <= timedelta(seconds=MAX_PAUSE_SECONDS):
        raise ValueError(
            f"--for: expected more than nothing and at most {MAX_PAUSE_SECONDS // 86400}d"
        )
    try:
        return PauseWanted(prober=prober, seconds=length.total_seconds(), why=why, who=who)
    except ValidationError as error:
        raise ValueError(_mistakes(error)) from error


def _mistakes(error: ValidationError) -> str:
    return "\n".join(
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors(include_url=False)
    )
