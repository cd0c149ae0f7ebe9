"""What is shown of an agent that does not answer, from its folder. Pure, but for the reading of `Remains` by who calls it."""

from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from agent.recorder.records import URGENCY
from agent.remains import Remains
from common.contracts.control import ExplainedFiles, ProberExplanation
from common.contracts.explanation import explained_prober
from common.contracts.records import RunRecord
from tools.agent.errors import NothingKnownError, UnknownProberError
from tools.agent.marks import clock, outcome_mark, plain, size
from tools.agent.pages import pauses_page
from tools.agent.tables import FittedTable


def explanation_from(remains: Remains, slug: str) -> ProberExplanation:
    """As the agent would explain the prober if it lived, without times; UnknownProberError, NothingKnownError."""
    if remains.document is None:
        raise NothingKnownError(remains.folder, remains.problem)
    found = {prober.slug: prober for prober in remains.probers}
    if slug not in found:
        raise UnknownProberError(slug, found)
    pauses = {pause.prober: pause for pause in remains.pauses}
    return ProberExplanation(
        document_revision=remains.document.revision,
        prober=explained_prober(found[slug]),
        files=ExplainedFiles(files=list(found[slug].files)),
        problem=found[slug].problem,
        pause=pauses.get(slug) or pauses.get(None),
    )


def worst_of_newest(records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """By prober: of the newest records of its combinations, the worst, as a prober is as bad as its worst combination."""
    newest = {
        (record.prober, _labels(record)): record
        for record in sorted(records, key=lambda one: one.number)
    }
    by_urgency = sorted(newest.values(), key=lambda one: (-URGENCY[one.outcome], one.number))
    return {record.prober: record for record in by_urgency}


def _labels(record: RunRecord) -> str:
    # A batch is about all combinations at once, and tells them in another order each time.
    return (
        str(sorted(record.combinations[0].labels.items())) if len(record.combinations) == 1 else ""
    )


def remains_page(
    remains: Remains, records: list[RunRecord], *, prober: str | None
) -> RenderableType:
    """Who it was and what each prober said last; with `prober` only that one."""
    newest = worst_of_newest(records)
    slugs = {one.slug for one in remains.probers} | newest.keys()
    made = FittedTable(
        "prober", "revision", "last known", "when", "why", spared=("revision", "when"), long="why"
    )
    for slug in sorted(slugs if prober is None else slugs & {prober}):
        record = newest.get(slug)
        known = next((one for one in remains.probers if one.slug == slug), None)
        made.add_row(
            plain(slug),
            str(known.revision) if known else "-",
            outcome_mark(record.outcome) if record else Text("no record", "dim"),
            clock(record.ended_at) if record else "-",
            plain((known.problem if known else "") or (record.reason if record else "")),
        )
    parts: list[RenderableType] = [plain(line) for line in _facts(remains)]
    if remains.pauses:
        parts += [Text(), pauses_page(remains.pauses)]
    return Group(*parts, Text(), made) if slugs else Group(*parts)


def remains_as_json(
    remains: Remains, records: list[RunRecord], *, prober: str | None
) -> dict[str, Any]:
    """The same for programs."""
    newest = worst_of_newest(one for one in records if prober in (None, one.prober))
    return {
        "folder": str(remains.folder),
        "problem": remains.problem,
        "identity": remains.identity.model_dump(mode="json") if remains.identity else None,
        "document_revision": remains.document.revision if remains.document else None,
        "last_sign_at": remains.last_sign_at.isoformat() if remains.last_sign_at else None,
        "spool_bytes": remains.spool_bytes,
        "pauses": [pause.model_dump(mode="json") for pause in remains.pauses],
        "newest_records": {slug: one.model_dump(mode="json") for slug, one in newest.items()},
    }


def _facts(remains: Remains) -> list[str]:
    facts = ["This is what its folder says; states are those of the last records."]
    if remains.problem:
        return [f"{remains.folder}: {remains.problem}"]
    if identity := remains.identity:
        facts.append(
            f"{identity.cluster}/{identity.host}, instance {identity.instance}, boot {identity.boot}"
        )
    if remains.last_sign_at:
        facts.append(f"it lived at {clock(remains.last_sign_at)} at least")
    revision = remains.document.revision if remains.document else "none"
    facts.append(
        f"configuration revision {revision}; {size(remains.spool_bytes)} of points wait for Solomon"
    )
    return facts
