"""What shall run on this host, as plain values: *decide*, between `resolve` and the loop.

A prober that this agent cannot run (unknown mode or output, a missing file) is in the plan with its `problem`:
it is broken and says why, the others run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Self
from uuid import UUID

from pydantic import JsonValue

from agent.aggregates import AGGREGATES
from agent.outputs.table import OUTPUTS
from common.contracts.modes import MODES, RUN, mode_problem
from common.contracts.probers import EffectiveAxis, EffectiveSettings, confirmation
from common.contracts.references import as_text, secrets_in, with_secrets
from common.contracts.resolution import Combination, EffectiveProber, PlannedRun
from common.contracts.values import canonical_json
from common.masking import forms_of

MIB = 1024 * 1024
# Solomon's own labels, those of every point of ours, and those that tell our series apart.
RESERVED_LABELS = frozenset(
    {"project", "cluster", "service", "name", "cluster_slug", "host", "prober_slug",
     "outcome", "reason", "flag", "mode", "bin"}
)  # fmt: skip
# 12 labels in all: cluster_slug, host, prober_slug and one of outcome, reason, mode, bin are ours.
MAX_MATRIX_VARIABLES = 8


class RunKey(tuple[int, str]):
    """One combination of one prober; survives changes of everything else.

    A tuple, whose hash is quick to have: it is asked for a dozen times in each run.
    """

    __slots__ = ()

    def __new__(cls, prober_id: UUID, combination: str) -> Self:
        """`combination` is the canonical JSON of the matrix variables."""
        return super().__new__(cls, (prober_id.int, combination))

    def __getnewargs__(self) -> tuple[UUID, str]:
        """What `copy` and `pickle` make another one of."""
        return self.prober_id, self.combination

    def __repr__(self) -> str:
        return f"RunKey({self.prober_id}, {self.combination})"

    @property
    def prober_id(self) -> UUID:
        """Whose combination it is."""
        return UUID(int=self[0])

    @property
    def combination(self) -> str:
        """Canonical JSON of the matrix variables."""
        return self[1]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Rights and limits that programs share if these are equal."""

    user: str = ""  # empty: the default of the host's owner
    memory_bytes: int = 256 * MIB  # of all processes of a run together
    processes: int = 64  # of a run
    open_files: int = 256  # of one process


@dataclass(frozen=True, slots=True)
class Batch:
    """The combinations of one run that is for many of them."""

    targets: str  # JSON, what the prober finds in the file MR_PROBER_TARGETS
    keys: tuple[RunKey, ...]
    labels: tuple[Mapping[str, str], ...]  # one map per key


@dataclass(frozen=True, slots=True)
class RunSpec:
    """All that one program start needs, and how often; two equal ones need no restart."""

    key: RunKey  # of the schedule; a batch has one of its own, which stays when a combination comes or goes
    prober_slug: str
    labels: Mapping[str, str]
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)  # may hold secrets
    folder: Path
    interval: timedelta
    time_limit: timedelta
    grace: timedelta
    output: str
    mode: str = RUN
    sandbox: Sandbox = Sandbox()
    cpu_seconds: int = 60
    output_bytes: int = 64 * MIB  # printed, not kept
    allow_overlap: bool = False
    exclusive: str = ""
    confirm: tuple[int, int] = (1, 1)  # N of the last M
    # Texts that no reason may repeat.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    batch: Batch | None = None
    # What a record of a run says beside; no reason for a restart.
    revision: int = field(default=0, compare=False)
    secret_names: frozenset[str] = field(default=frozenset(), compare=False)  # of its environment
    evidence: str = field(default="never", compare=False)
    is_trial: bool = field(default=False, compare=False)  # asked for at the control socket

    @property
    def combinations(self) -> tuple[RunKey, ...]:
        """What a run is about, and each skipped one, too."""
        return self.batch.keys if self.batch else (self.key,)


@dataclass(frozen=True, slots=True)
class PlannedProber:
    """A prober in the plan; with a `problem` none of its combinations runs."""

    id: UUID
    slug: str
    revision: int
    keys: tuple[RunKey, ...]  # in the order of `resolve`; the order of states in reports
    labels: tuple[Mapping[str, str], ...]  # matrix variables as labels, one map per key
    specs: tuple[RunSpec, ...]
    problem: str = ""
    aggregate: str = "last"  # of what is printed several times in a cell


@dataclass(frozen=True)
class HostPlan:
    """Everything that runs on this host under one revision of the document."""

    cluster_id: UUID
    cluster_slug: str
    document_revision: int
    probers: tuple[PlannedProber, ...]
    # Creator is changing the machines, at most until then; seconds since the epoch.
    applying_until: float | None = None

    def specs(self) -> dict[RunKey, RunSpec]:
        """What the schedule starts, by key."""
        return {spec.key: spec for prober in self.probers for spec in prober.specs}


def secrets_of(prober: EffectiveProber) -> set[str]:
    """Names of the secrets without which the prober cannot run."""
    return {
        name
        for run in prober.runs
        for value in run.secret_environment.values()
        for name in secrets_in(value)
    }


def planned_prober(
    prober: EffectiveProber,
    *,
    folder: Path | None,
    problem: str = "",
    secrets: Mapping[str, JsonValue] = MappingProxyType({}),
) -> PlannedProber:
    """The prober as this agent runs it; `folder` holds its unpacked files, `problem` says why there is none.

    `secrets` has the value of each secret that it needs, or there is a problem.
    """
    labels = tuple(_labels(combination) for combination in prober.combinations)
    keys = tuple(_key(prober.id, combination) for combination in prober.combinations)
    problem = prober.problem or _unsupported(prober) or problem
    specs: tuple[RunSpec, ...] = ()
    if folder is None and not problem:
        problem = "its files are missing"
    if folder is not None and not problem:
        specs = tuple(
            RunSpec(
                key=_run_key(prober, run),
                prober_slug=prober.slug,
                labels=labels[run.combinations[0]],
                arguments=run.arguments,
                environment={**run.environment, **_filled(run.secret_environment, secrets)},
                folder=folder,
                interval=_duration(prober.settings.interval_seconds),
                time_limit=_duration(prober.settings.time_limit_seconds),
                grace=_duration(prober.settings.grace_seconds),
                output=prober.settings.output,
                mode=prober.settings.mode,
                sandbox=_sandbox(prober.settings),
                cpu_seconds=prober.settings.cpu_seconds,
                output_bytes=prober.settings.output_mb * MIB,
                allow_overlap=prober.settings.allow_overlap,
                exclusive=prober.settings.exclusive,
                confirm=confirmation(prober.settings.confirm),
                secrets=_hidden(run.secret_environment, secrets),
                batch=_batch(run, keys, labels),
                revision=prober.revision,
                secret_names=frozenset(run.secret_environment),
                evidence=prober.settings.evidence,
            )
            for run in prober.runs
        )
    return PlannedProber(
        id=prober.id, slug=prober.slug, revision=prober.revision,
        keys=keys, labels=labels, specs=specs, problem=problem, aggregate=prober.settings.aggregate,
    )  # fmt: skip


def _sandbox(settings: EffectiveSettings) -> Sandbox:
    return _same_sandbox(
        settings.user, settings.memory_mb * MIB, settings.processes, settings.open_files
    )


# A thousand probers have the same few values: one object for each.
_same_sandbox = lru_cache(maxsize=256)(Sandbox)


@lru_cache(maxsize=256)
def _duration(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _filled(wanted: Mapping[str, JsonValue], secrets: Mapping[str, JsonValue]) -> dict[str, str]:
    return {name: as_text(with_secrets(value, secrets)) for name, value in wanted.items()}


def _hidden(wanted: Mapping[str, JsonValue], secrets: Mapping[str, JsonValue]) -> tuple[str, ...]:
    names = {name for value in wanted.values() for name in secrets_in(value)}
    return tuple(form for name in sorted(names) for form in forms_of(secrets[name]))


def _key(prober_id: UUID, combination: Combination) -> RunKey:
    return RunKey(prober_id, canonical_json(dict(combination)).decode())


def _run_key(prober: EffectiveProber, run: PlannedRun) -> RunKey:
    """The schedule's key: the variables that all combinations of the run share."""
    first = prober.combinations[run.combinations[0]]
    matrix = prober.settings.matrix
    batched = {name for name in first if name in matrix and matrix[name].deliver == "batch"}
    return _key(prober.id, {name: value for name, value in first.items() if name not in batched})


def _batch(
    run: PlannedRun, keys: tuple[RunKey, ...], labels: tuple[Mapping[str, str], ...]
) -> Batch | None:
    if run.targets is None:
        return None
    return Batch(
        targets=canonical_json([dict(target) for target in run.targets]).decode(),
        keys=tuple(keys[index] for index in run.combinations),
        labels=tuple(labels[index] for index in run.combinations),
    )


def _labels(combination: Combination) -> dict[str, str]:
    return {name: as_text(value) for name, value in combination.items()}


def _unsupported(prober: EffectiveProber) -> str:
    settings = prober.settings
    if settings.mode not in MODES:
        return f"this agent does not know mode {settings.mode!r}, only {', '.join(MODES)}"
    if settings.output not in OUTPUTS:
        return f"this agent does not know output {settings.output!r}, only {', '.join(OUTPUTS)}"
    if settings.aggregate not in AGGREGATES:
        return f"this agent does not know aggregate {settings.aggregate!r}, only {', '.join(AGGREGATES)}"
    is_batch = any(axis.deliver == "batch" for axis in settings.matrix.values())
    if is_batch and not OUTPUTS[settings.output].knows_batch:
        return f"output {settings.output!r} has one verdict for a whole run: deliver: batch needs another one"
    return _unsupported_mode(prober) or _unsupported_matrix(settings.matrix)


def _unsupported_mode(prober: EffectiveProber) -> str:
    settings = prober.settings
    problems = (
        mode_problem(settings.mode, command=run.arguments, output=settings.output)
        for run in prober.runs
    )
    return next(filter(None, problems), "")


def _unsupported_matrix(matrix: Mapping[str, EffectiveAxis]) -> str:
    if reserved := sorted(RESERVED_LABELS & matrix.keys()):
        return f"matrix.{reserved[0]} cannot be a label, the name is reserved: choose another one"
    if len(matrix) > MAX_MATRIX_VARIABLES:
        return f"{len(matrix)} matrix variables, more than {MAX_MATRIX_VARIABLES} labels"
    return ""
