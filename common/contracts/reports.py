"""What an agent says about itself and its states; the API keeps one row per agent."""

from typing import Annotated, NotRequired
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints
from typing_extensions import TypedDict

from common.contracts.identifiers import HostName, UuidText
from common.contracts.values import Wire

MAX_REASONS = 200
MAX_REASON_BYTES = 200
MAX_PAUSES = 200
MAX_WHO_CHARACTERS = 100
REPORT_PERIOD_SECONDS = 30

# As a pattern and not as a check of ours: this runs for every text of thousands of reports a second.
# No database holds NUL, and pydantic itself refuses lone surrogates.
StorableText = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
LabelName = Annotated[StorableText, StringConstraints(max_length=64)]
LabelValue = Annotated[StorableText, StringConstraints(max_length=200)]
StateCharacters = Annotated[str, StringConstraints(pattern=r"^[0-6]*$", max_length=100_000)]


# A report has up to thousands of these, so they are dictionaries of plain values:
# objects would take half of the API's time to make, and to be looked through by the garbage collector.
class ProberReport(TypedDict):
    """States of one prober: one character per combination, in the order of `resolve`."""

    prober_id: UuidText
    revision: Annotated[int, Field(ge=0, lt=2**63)]
    states: StateCharacters
    last_run_at: NotRequired[AwareDatetime | None]


class Reason(TypedDict):
    """Why one combination is not green."""

    prober_id: UuidText
    combination: Annotated[int, Field(ge=0, lt=2**31)]
    text: Annotated[StorableText, Field(max_length=MAX_REASON_BYTES)]
    # Id of the evidence of the run, if the agent uploaded it (contracts/evidence.py).
    upload: NotRequired[UuidText | None]


class ReportedPause(TypedDict):
    """A pause of one prober, or without `prober_id` of all probers of the host."""

    prober_id: NotRequired[UuidText | None]
    since: AwareDatetime
    until: AwareDatetime
    who: Annotated[StorableText, Field(max_length=MAX_WHO_CHARACTERS)]
    why: Annotated[StorableText, Field(max_length=300)]


class AgentReport(Wire):
    """One report; identity is (cluster, host, instance, boot), the newest boot wins."""

    instance: UUID
    boot: int = Field(ge=0, le=2**31 - 1)
    host: HostName
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, max_length=16)
    version: StorableText = Field(max_length=64)
    clock: AwareDatetime
    # A database compares it: no larger than a database's integers.
    document_revision: int | None = Field(default=None, ge=0, lt=2**63)
    # Why the newest document is not in use, if it is not.
    configuration_problem: StorableText = Field(default="", max_length=1000)
    # Why its verdicts are not to be believed: probers of its own get wrong ones.
    canary_problem: StorableText = Field(default="", max_length=1000)
    probers: list[ProberReport] = Field(default_factory=list, max_length=2000)
    reasons: list[Reason] = Field(default_factory=list, max_length=MAX_REASONS)
    pauses: list[ReportedPause] = Field(default_factory=list, max_length=MAX_PAUSES)


def shortened(text: str, *, limit: int = MAX_REASON_BYTES) -> str:
    """The last `limit` (at least 1) bytes of a text, never cut inside a character."""
    return text.strip().encode(errors="replace")[-limit:].decode(errors="ignore").strip()
