"""How states, outcomes and times look in a terminal: a word each, so that nothing is lost without colours. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from rich.text import Text

from common.contracts.states import Outcome, State
from tools.agent.judgement import Party, Weight
from tools.console import visible

_STATES: Mapping[State, tuple[str, str]] = {
    State.SUCCESS: ("✔ ok", "green"),
    State.FAILURE: ("✘ fails", "bold red"),
    State.TIMEOUT: ("✘ timeout", "bold red"),
    State.BROKEN: ("! broken", "magenta"),
    State.NOT_RUN_YET: ("· not yet", "dim"),
    State.PAUSED: ("‖ paused", "cyan"),
    State.GONE: ("- gone", "dim"),
}
_OUTCOMES: Mapping[Outcome, State] = {
    Outcome.SUCCESS: State.SUCCESS,
    Outcome.FAILURE: State.FAILURE,
    Outcome.TIMEOUT: State.TIMEOUT,
    Outcome.BROKEN: State.BROKEN,
}
_AMOUNT = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(
    "".join(
        f"(?:(?P<{unit}>{_AMOUNT}){unit[0]})?" for unit in ("days", "hours", "minutes", "seconds")
    )
)
_PARTIES = {Party.AGENT: "yellow", Party.HOST: "red", Party.PROBER: "magenta", Party.TARGET: "red"}


def plain(text: object, style: str = "") -> Text:
    """Text of others: control characters are shown, never obeyed."""
    return Text(visible(str(text)), style)


def state_mark(state: State) -> Text:
    """`✘ fails`."""
    return Text(*_STATES[state])


def outcome_mark(outcome: Outcome) -> Text:
    """The mark of the state to which the outcome leads."""
    return state_mark(_OUTCOMES[outcome])


def history(outcomes: list[Outcome]) -> Text:
    """`✔✔✘`, the newest last."""
    text = Text()
    for outcome in outcomes:
        word, style = _STATES[_OUTCOMES[outcome]]
        text.append(word[0], style)
    return text


def party_mark(party: Party, weight: Weight) -> Text:
    """Whom a finding is about; in colour only if something does not work."""
    return Text(party.value, _PARTIES[party] if weight is Weight.FAULT else "dim")


def ago(moment: datetime | None, now: datetime) -> str:
    """`5 s`, `3 min`, `2 h`, `4 d` since then; a dash if never."""
    # The moment may be a little later than the look at the clock.
    return "-" if moment is None else span(max(0.0, (now - moment).total_seconds()))


def ahead(moment: datetime | None, now: datetime) -> str:
    """`in 5 s`; `now` if it is due; a dash if never."""
    if moment is None:
        return "-"
    left = (moment - now).total_seconds()
    return "now" if left <= 0 else f"in {span(left)}"


def span(seconds: float) -> str:
    """A length of time in one unit: `0.25 s`, `12 s`, `3 min`, `2 h`, `4 d`."""
    if abs(seconds) < 10:
        return f"{round(seconds, 4):.2g} s"  # nobody reads 3.1e-06
    for unit, name, below in ((1, "s", 120), (60, "min", 7200), (3600, "h", 172_800)):
        if abs(seconds) < below:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} d"


def size(count: float) -> str:
    """Bytes in a unit that people read: `1.5 MiB`."""
    for name in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {name}" if count < 999.5 else f"{count:.0f} {name}"
        count /= 1024
    return f"{count:.3g} GiB"


def clock(moment: datetime) -> str:
    """The local time of day, with the date if it is another one than today's."""
    local = moment.astimezone()
    is_today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if is_today else f"{local:%Y-%m-%d %H:%M:%S}"


def duration_in(text: str) -> timedelta:
    """30m, 2h, 1h30m, 45s, 1d; ValueError that says what was expected."""
    found = _DURATION.fullmatch(text.strip().lower())
    amounts = (
        {name: float(amount) for name, amount in found.groupdict().items() if amount}
        if found
        else {}
    )
    if not amounts:
        raise ValueError("expected a duration such as 30m, 2h or 1h30m")
    try:
        return timedelta(**amounts)
    except OverflowError as error:
        raise ValueError("expected a duration such as 30m, not one of ages") from error
