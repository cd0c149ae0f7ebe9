"""A run that is over, with all that the flight recorder keeps of it, as it leaves the loop; nothing in it is masked yet."""

from dataclasses import dataclass
from typing import NamedTuple

from agent.plan import RunSpec
from agent.results import RunResult

# Of each stream, head and tail together; a run that went well has less to tell.
KEPT_OF_A_SUCCESS = 1024
KEPT_OF_A_FAILURE = 32 * 1024
# Instead of the name of a limit: nobody wanted it any more.
NOT_WANTED = "not_wanted"


class Excerpt(NamedTuple):
    """Of a stream: all of it as `head`, or head and tail with so many bytes between them that are cut."""

    head: bytes = b""
    tail: bytes = b""
    cut_bytes: int = 0
    printed_bytes: int = 0


NOTHING = Excerpt()


@dataclass(slots=True)
class Flight:
    """One run; `whole` is about all of it, `results` about each of its combinations, none if nobody wanted it any more."""

    spec: RunSpec
    whole: RunResult
    results: tuple[RunResult, ...]
    exit_code: int | None = None
    ended_by: str = ""
    stdout: Excerpt = NOTHING
    stderr: Excerpt = NOTHING
