"""What is asked and answered at an agent's control socket, `$AGENT_DIR/control.sock` (HTTP/1.1 and JSON).

| request | body | answer |
| --- | --- | --- |
| GET /v1/state | | AgentState |
| GET /v1/probers/{slug} | | ProberDetails |
| GET /v1/probers/{slug}/explanation | | ProberExplanation |
| GET /v1/metrics?prober= | | NewestMetrics |
| GET /v1/records?prober=&failed=&limit=&after=&wait= | | Records |
| POST /v1/runs | RunWanted | RunTicket |
| GET /v1/runs/{id}?wait= | | RunProgress |
| DELETE /v1/runs/{id} | | RunProgress |
| GET /v1/pauses | | Pauses |
| POST /v1/pauses | PauseWanted | Pause |
| DELETE /v1/pauses?prober= | | Pauses |

Anything else than 2xx comes with a `Problem`. `wait` is in seconds, at most MAX_WAIT_SECONDS.
Without `prober`, pauses are about all probers. One request per connection.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, model_validator

from common.contracts.files import MAX_FILES, FileReference, FileUpload
from common.contracts.host_configuration import ExplainedProber
from common.contracts.identifiers import ProberVariableName, Slug
from common.contracts.probers import Command, ProberSettings
from common.contracts.records import RunRecord
from common.contracts.states import Outcome, SkipReason, State
from common.contracts.values import Input, Wire

SOCKET_NAME = "control.sock"
MAX_WAIT_SECONDS = 25
MAX_PAUSE_SECONDS = 7 * 86400
MAX_RECORDS = 200
# Of all files of one local folder together.
MAX_LOCAL_BYTES = 4 * 1024 * 1024
# More combinations of one prober are not listed, only counted.
MAX_COMBINATIONS_SHOWN = 2000

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
Who = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]


class PauseWanted(Input):
    """No run of a prober, or without `prober` of any, is due for that long; then it goes on by itself.

    `who`: for people; empty: the name of the caller's user.
    """

    prober: Slug | None = None
    seconds: float = Field(gt=0, le=MAX_PAUSE_SECONDS)
    why: Why
    who: Who = ""


class Pause(Wire):
    """A pause of a prober, or without `prober` of all; it ends at `until`."""

    prober: str | None = None
    since: AwareDatetime
    until: AwareDatetime
    who: str
    why: str


class Pauses(Wire):
    """The pauses that have not ended."""

    pauses: list[Pause] = []


class LocalProber(Input):
    """A prober from an author's folder: its files come along, since the agent reads nothing on somebody's behalf."""

    command: Command
    files: list[FileUpload] = Field(default=[], max_length=MAX_FILES)
    settings: ProberSettings = ProberSettings()


class RunWanted(Input):
    """One run exactly as the agent makes it, outside of its schedule; in no metric, state or count.

    `values` replace variables, or all values of a matrix variable.
    `combination` chooses one of several: each matrix variable with its value; without it the first one runs.
    With `local` the prober need not be known to the agent; what else is configured for its slug does not count.
    """

    prober: Slug
    combination: dict[ProberVariableName, JsonValue] = Field(default={}, max_length=16)
    values: dict[ProberVariableName, JsonValue] = Field(default={}, max_length=100)
    local: LocalProber | None = None
    # For a slot, or for the end of a run of the same exclusion group.
    wait_seconds: float = Field(default=10.0, ge=0, le=60)

    @model_validator(mode="after")
    def _one_way_of_choosing(self) -> Self:
        if both := sorted(self.combination.keys() & self.values.keys()):
            raise ValueError(f"{both[0]} in `combination` or in `values`, not in both")
        return self


class RunTicket(Wire):
    """A run that was asked for: under which id to ask how it goes, and how long it may take with its grace."""

    id: UUID
    prober: str
    combination: dict[str, JsonValue] = {}
    combinations: int = 1  # of the prober with these values
    user: str = ""
    longest_seconds: float


class RunPhase(StrEnum):
    """How far a run is that was asked for."""

    WAITING = "waiting"  # for a slot or an exclusion group
    RUNNING = "running"
    ENDED = "ended"
    NOT_RUN = "not_run"  # `problem` says why


class RunProgress(Wire):
    """A run that was asked for, and its record once it has ended."""

    id: UUID
    phase: RunPhase
    problem: str = ""
    record: RunRecord | None = None


class Records(Wire):
    """Records by ascending number; `newest` is what to ask `after` for what comes next."""

    records: list[RunRecord] = []
    newest: int = 0
    # Lines on disk that are no records: a crash or a flipped bit.
    damaged: int = 0


class AboutAgent(Wire):
    """Who answers."""

    cluster: str
    host: str
    environment: str = ""
    instance: UUID
    boot: int
    version: str
    python: str
    pid: int
    user: str
    folder: str
    started_at: datetime
    clock: datetime


class ConfigurationState(Wire):
    """Which configuration is in force, where it came from, and what is wrong with a newer one."""

    revision: int | None = None
    source: Literal["none", "disk", "api", "object storage", "file"] = "none"
    # Since the API last said that it is the newest; None: never since the start.
    confirmed_seconds_ago: float | None = None
    problem: str = ""
    applying_until: datetime | None = None


class LinkState(Wire):
    """How it goes with another service: the last answer and the last failure of calls to it."""

    address: str = ""
    is_used: bool = True
    succeeded_seconds_ago: float | None = None
    failed_seconds_ago: float | None = None
    # Of the last call; empty if that succeeded.
    problem: str = ""


class Pressure(Wire):
    """Shares of the last 10 s in which somebody on this host waited; None where the kernel does not say."""

    cpu: float | None = None
    memory: float | None = None
    io: float | None = None


class HostState(Wire):
    """How this machine is."""

    processors: int
    load: list[float]
    pressure: Pressure = Pressure()
    memory_bytes: int = 0
    memory_available_bytes: int = 0
    disk_bytes: int = 0
    disk_free_bytes: int = 0


class OwnState(Wire):
    """How the agent itself is."""

    cpu_seconds: float
    rss_bytes: int
    slots: int
    runs_in_progress: int
    runs_started: int
    bugs: int = 0
    # Probers of the agent's own whose verdicts are known: runs by verdict (`right`, `wrong`), and what it got wrong.
    canary_runs: Mapping[str, int] = {}
    canary_problem: str = ""
    # What this agent cannot do here, each with its reason.
    missing_powers: list[str] = []


class SinkState(Wire):
    """What becomes of points: lost ones since the start by reason, and what waits on disk."""

    dropped: Mapping[str, int] = {}
    spool_bytes: int = 0
    spool_age_seconds: float = 0.0


class RecorderState(Wire):
    """The flight recorder: what it holds on disk, and what it could not keep."""

    bytes: int = 0
    max_bytes: int = 0
    dropped_records: int = 0
    uploads_waiting: int = 0
    problem: str = ""


class RunFigures(Wire):
    """What was counted since the start of the agent."""

    runs: Mapping[Outcome, int] = {}
    skipped: Mapping[SkipReason, int] = {}
    starved: int = 0
    run_seconds: float = 0.0
    cpu_seconds: float = 0.0


class ProberState(Wire):
    """A prober on this host; `states` has one character per combination, as in reports.

    Times and figures are those of its first 1,000 combinations.
    """

    id: UUID
    slug: str
    revision: int
    state: State
    states: str
    # Why it cannot run, or the reason of its most urgent combination.
    reason: str = ""
    problem: str = ""
    since: datetime | None = None
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    interval_seconds: float | None = None
    time_limit_seconds: float | None = None
    mode: str = ""
    # Why runs of mode `warm` are started as in mode `run`; empty if they are not.
    mode_problem: str = ""
    user: str = ""
    runs_in_progress: int = 0
    figures: RunFigures = RunFigures()
    pause: Pause | None = None


class CombinationState(Wire):
    """One combination of a prober."""

    labels: dict[str, str] = {}
    state: State
    reason: str = ""
    # Since when it is in this state.
    since: datetime | None = None
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    # Of the last runs, the newest last.
    recent: list[Outcome] = []
    figures: RunFigures = RunFigures()
    # Id of the evidence that was uploaded.
    upload: str | None = None


class ProberDetails(Wire):
    """A prober and its combinations in the order of reports; `left_out` more are not listed."""

    prober: ProberState
    combinations: list[CombinationState]
    left_out: int = 0


class ExplainedFiles(Wire):
    """The files of a prober and the folder in which they are unpacked, None if they are not."""

    folder: str | None = None
    files: list[FileReference] = []


class ProberExplanation(Wire):
    """Why a prober runs as it does: each value with the layer that gave it, its files, and when it runs next."""

    document_revision: int
    prober: ExplainedProber
    files: ExplainedFiles
    # Forbidden by the machine's owner, unknown words, missing files or secrets; empty: it runs.
    problem: str = ""
    # Why its runs are started as in mode `run` although it is `warm`; empty if they are not.
    mode_problem: str = ""
    next_runs: list[datetime] = []
    pause: Pause | None = None


class AgentState(Wire):
    """All about an agent on one page: is it me, the host, or the target?"""

    agent: AboutAgent
    configuration: ConfigurationState
    api: LinkState
    # Looked at once an hour, and read while the API is away.
    storage: LinkState = LinkState(is_used=False)
    reports: LinkState
    solomon: LinkState
    sink: SinkState = SinkState()
    recorder: RecorderState = RecorderState()
    host: HostState
    own: OwnState
    pauses: list[Pause] = []
    probers: list[ProberState] = []


class MetricPoint(Wire):
    """One series: a number, or a histogram with counts per bucket."""

    name: str
    kind: Literal["GAUGE", "IGAUGE", "RATE", "HIST_RATE"]
    labels: dict[str, str] = {}
    value: float | None = None
    bounds: list[float] = []
    buckets: list[int] = []
    above: int = 0


class NewestMetrics(Wire):
    """The series as they stand now: counters since the start, gauges of the cell that is still open."""

    at: datetime
    common_labels: dict[str, str] = {}
    points: list[MetricPoint] = []
