"""Outcomes of runs and the codes of states: in reports, in the metric `state`, in the grid."""

from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """What one execution said about one combination."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    BROKEN = "broken"


class SkipReason(StrEnum):
    """Why a due run did not start."""

    OVERLAP = "overlap"
    SLOTS = "slots"
    EXCLUSIVE = "exclusive"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    AGENT_RESTART = "agent_restart"


class State(IntEnum):
    """What the grid shows for one combination; fixed for ever, agents cannot take it back."""

    SUCCESS = 0
    FAILURE = 1
    TIMEOUT = 2
    BROKEN = 3
    NOT_RUN_YET = 4
    PAUSED = 5
    GONE = 6


STATE_OF_OUTCOME = {
    Outcome.SUCCESS: State.SUCCESS,
    Outcome.FAILURE: State.FAILURE,
    Outcome.TIMEOUT: State.TIMEOUT,
    Outcome.BROKEN: State.BROKEN,
}

# From the one that needs a person most to the one that needs nobody, each as the character in reports.
_BY_URGENCY = {
    str(state.value): state
    for state in (
        State.FAILURE,
        State.TIMEOUT,
        State.BROKEN,
        State.NOT_RUN_YET,
        State.PAUSED,
        State.GONE,
        State.SUCCESS,
    )
}


def most_urgent(characters: str) -> State:
    """The one state that stands for all combinations of a cell; nothing at all has not run yet."""
    # Runs for each cell of each look at a grid: characters are searched for, never read one by one.
    found = (state for character, state in _BY_URGENCY.items() if character in characters)
    return next(found, State.NOT_RUN_YET)
