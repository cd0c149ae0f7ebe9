"""The live grid, hosts by probers of a cluster: from its document and its agents' reports alone. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from api.services.sightings import Sighting, Speaker, remembered, speakers
from common.contracts.agents import AgentPause, Grid, GridCell, GridHost, Presence
from common.contracts.clusters import HostDescription
from common.contracts.configuration import ConfigurationDocument
from common.contracts.references import as_text
from common.contracts.reports import AgentReport, ProberReport, Reason
from common.contracts.resolution import Combination, Host, resolve
from common.contracts.states import State, most_urgent


@dataclass(frozen=True, slots=True)
class CellShape:
    """What of a prober on a host a cell shows, whatever the agent says."""

    id: str  # as reports have it
    slug: str
    problem: str
    combinations: tuple[str, ...]


ShapesOf = Callable[[Host], Sequence[CellShape]]


def shapes_of(document: ConfigurationDocument, host: Host) -> Sequence[CellShape]:
    """The cells of a host, by prober. The expensive part of a grid: it depends on document and labels alone."""
    return tuple(
        CellShape(
            id=str(prober.id),
            slug=prober.slug,
            problem=prober.problem,
            combinations=tuple(combination_name(one) for one in prober.combinations),
        )
        for prober in resolve(document, host)
    )


def grid_of(
    document: ConfigurationDocument,
    sightings: Iterable[Sighting],
    *,
    now: datetime,
    shapes: ShapesOf | None = None,
) -> Grid:
    """One row per expected host and per host of an agent, one cell per prober that runs there.

    `shapes` may remember what `shapes_of` gives for this document.
    """
    place = _Place(shapes or partial(shapes_of, document), now)
    by_host = speakers(remembered(sightings, document.hosts, now), now)
    names = sorted({*document.hosts, *by_host}, key=_natural)
    return Grid(
        cluster=document.cluster.slug,
        document_revision=document.revision,
        generated_at=now,
        probers=sorted(prober.slug for prober in document.probers),
        hosts=[_row(document.hosts.get(name), name, by_host.get(name), place) for name in names],
    )


@dataclass(frozen=True)
class _Place:
    """What all rows share."""

    shapes: ShapesOf
    now: datetime


@dataclass(frozen=True)
class _Said:
    """What a report says, by prober."""

    labels: Mapping[str, str] = field(default_factory=dict)
    probers: Mapping[str, ProberReport] = field(default_factory=dict)
    reasons: Mapping[str, Mapping[int, Reason]] = field(default_factory=dict)
    # That of all probers by the empty text.
    pauses: Mapping[str, AgentPause] = field(default_factory=dict)

    @classmethod
    def by(cls, report: AgentReport, now: datetime) -> "_Said":
        reasons: dict[str, dict[int, Reason]] = {}
        for reason in report.reasons:
            reasons.setdefault(reason["prober_id"], {})[reason["combination"]] = reason
        probers = {prober["prober_id"]: prober for prober in report.probers}
        pauses = {
            pause.get("prober_id") or "": AgentPause.model_validate(pause)
            for pause in report.pauses
            # A silent agent cannot tell that it is over.
            if pause["until"] > now
        }
        return cls(labels=report.labels, probers=probers, reasons=reasons, pauses=pauses)


def _row(
    description: HostDescription | None, name: str, speaker: Speaker | None, place: _Place
) -> GridHost:
    report = speaker.sighting.report if speaker else None
    said = _Said.by(report, place.now) if report else _Said()
    return GridHost(
        name=name,
        address=description.address if description else "",
        presence=speaker.presence if speaker else Presence.EXPECTED,
        reported_at=speaker.sighting.reported_at if speaker else None,
        agent_version=report.version if report else "",
        problem=report.configuration_problem if report else "",
        canary_problem=report.canary_problem if report else "",
        conflict=speaker.conflict if speaker else False,
        cells={shape.slug: _cell(shape, said) for shape in place.shapes(Host(name, said.labels))},
        pause=said.pauses.get(""),
    )


def _cell(prober: CellShape, said: _Said) -> GridCell:
    if prober.problem:
        return GridCell(
            states=str(int(State.BROKEN)),
            state=State.BROKEN,
            combinations=[""],
            reasons={0: prober.problem},
            last_run_at=None,
        )
    names = list(prober.combinations)
    report = said.probers.get(prober.id)
    if report is None:
        states = str(int(State.NOT_RUN_YET)) * len(names)
        return GridCell(
            states=states, state=most_urgent(states), combinations=names,
            reasons={}, last_run_at=None,
        )  # fmt: skip
    states = report["states"]
    reasons = said.reasons.get(prober.id, {})
    return GridCell(
        states=states,
        state=most_urgent(states),
        # An agent with another document counts other combinations: better no names than wrong ones.
        combinations=names if len(names) == len(states) else [],
        reasons={index: reason["text"] for index, reason in reasons.items()},
        uploads={
            index: upload for index, reason in reasons.items() if (upload := reason.get("upload"))
        },
        last_run_at=report.get("last_run_at"),
        pause=said.pauses.get(prober.id),
    )


def combination_name(combination: Combination) -> str:
    """A combination as people read it: `port=80, target=demo-2`."""
    return ", ".join(f"{name}={as_text(value)}" for name, value in combination.items())


def _natural(name: str) -> list[tuple[int, str]]:
    """demo-2 before demo-10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
