"""Decide: what terraform's machine-readable stream (`-json`) says: changes, their progress, diagnostics, outputs, log lines.

Pure. Unknown types are shown by their message, a line that is no event is shown as it came: nothing of it raises.
Facts: https://developer.hashicorp.com/terraform/internals/machine-readable-ui
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.contracts.clusters import PlanSummary
from common.contracts.deployments import DESTROYING, ChangeAction, ChangeState, ResourceChange

_ACTIONS = {
    "create": ChangeAction.CREATE,
    "update": ChangeAction.UPDATE,
    "replace": ChangeAction.REPLACE,
    "delete": ChangeAction.DELETE,
    "remove": ChangeAction.FORGET,
    "import": ChangeAction.IMPORT,
    "move": ChangeAction.MOVE,
}
# Said once more by an event that follows, or of no use to a reader.
_SILENT = frozenset({"version", "refresh_complete", "outputs", "provision_complete"})
_NOT_INITIALIZED = (
    "Backend initialization required",
    "Inconsistent dependency lock file",
    "Missing required provider",
    "Module not installed",
    "Module source has changed",
    "Module version requirements have changed",
    "Required plugins are not installed",
)
_STALE = "Saved plan is stale"


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning of terraform's."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    file: str = ""
    line: int | None = None
    snippet: str = ""

    @property
    def is_error(self) -> bool:
        """Whether it is more than a warning."""
        return self.severity == "error"

    def text(self) -> str:
        """As terraform's own output shows it: what, where, why."""
        word = "Error" if self.is_error else "Warning"
        place = []
        if self.address:
            place.append(f"  with {self.address},")
        if self.file:
            place.append(f"  on {self.file} line {self.line or 0}:")
            place.extend(f"    {line}" for line in self.snippet.splitlines())
        parts = [f"{word}: {self.summary}", "\n".join(place), self.detail.strip()]
        return "\n\n".join(part for part in parts if part)


@dataclass
class Events:
    """What the streams of one deployment have said until now, `plan` first, then `apply`."""

    # By address.
    changes: dict[str, ResourceChange] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    # Of an apply: name → value; sensitive ones are left out, their values are not in the stream.
    outputs: dict[str, Any] | None = None
    # Names of outputs whose values the stream does not tell.
    sensitive_outputs: frozenset[str] = frozenset()
    # Addresses of managed resources that the state knew before the plan.
    existing: set[str] = field(default_factory=set)
    # How many resources the plan destroys or replaces: as terraform sums it up, and as its events say one by one.
    _destroyed_in_sum: int | None = None
    _destroyed_one_by_one: int = 0
    _drifted: set[str] = field(default_factory=set)
    # A replacement is over after its second half.
    _half_done: set[str] = field(default_factory=set)

    def begin_step(self) -> None:
        """Another command begins: its diagnostics are its own."""
        self.diagnostics = []

    def begin_plan(self) -> None:
        """Another plan takes the place of the one before."""
        self.begin_step()
        self.changes, self.existing = {}, set()
        self._drifted, self._half_done = set(), set()
        self._destroyed_in_sum, self._destroyed_one_by_one = None, 0

    def read(self, line: str) -> str:
        """Take one line of the stream; what a log shows of it, which may be nothing or several lines."""
        event = _parsed(line)
        if event is None:
            return line.rstrip()
        kind = event.get("type")
        message = str(event.get("@message", "")).rstrip()
        try:
            shown = self._taken(str(kind), event)
        except (KeyError, TypeError, ValueError, AttributeError):
            return message  # a newer terraform says it in another way
        if shown is not None:
            return shown
        return "" if kind in _SILENT else message

    def finished(self) -> None:
        """The apply went well: what has no progress of its own is done, too."""
        for address, change in self.changes.items():
            if change.state is not ChangeState.DONE:
                self._set(address, state=ChangeState.DONE)

    @property
    def summary(self) -> PlanSummary:
        """How many resources are created, changed and destroyed; a replacement counts in both."""
        return summary_of(self.changes.values())

    @property
    def miscount(self) -> str:
        """Why it is not certain what the plan destroys: events are missing, or a newer terraform's; empty if it is certain."""
        told, seen = self._destroyed_in_sum, self._destroyed_one_by_one
        if told is None:
            return "terraform does not say how many resources the plan destroys or replaces"
        if told != seen:
            return f"terraform counts {told} resources to be destroyed or replaced, its events name {seen}"
        return ""

    @property
    def errors(self) -> list[Diagnostic]:
        """What made the command fail."""
        return [one for one in self.diagnostics if one.is_error]

    def _taken(self, kind: str, event: Mapping[str, Any]) -> str | None:
        """None: the message is all there is to show."""
        if kind == "diagnostic":
            return self._diagnosed(event["diagnostic"])
        if kind in {"planned_change", "resource_drift"}:
            return self._planned(kind, event)
        if kind.startswith("apply_"):
            self._applied(kind, event["hook"])
        elif kind == "change_summary":
            self._summed_up(event["changes"])
        elif kind == "refresh_start":
            self.existing.add(event["hook"]["resource"]["addr"])
        elif kind == "outputs":
            self._told(event["outputs"])
        return None

    def _diagnosed(self, given: Mapping[str, Any]) -> str:
        place = given.get("range") or {}
        diagnostic = Diagnostic(
            severity=given["severity"],
            summary=given["summary"],
            detail=given.get("detail") or "",
            address=given.get("address") or "",
            file=place.get("filename", ""),
            line=place.get("start", {}).get("line"),
            snippet=(given.get("snippet") or {}).get("code", ""),
        )
        if diagnostic in self.diagnostics:  # terraform says some things twice
            return ""
        self.diagnostics.append(diagnostic)
        return f"\n{diagnostic.text()}\n"

    def _planned(self, kind: str, event: Mapping[str, Any]) -> str | None:
        address = event["change"]["resource"]["addr"]
        if kind == "resource_drift":
            self._drifted.add(address)
            self.existing.add(address)
            return None
        action = _ACTIONS.get(event["change"]["action"])
        if action is None:  # a data source is read
            return None
        if previous := event["change"].get("previous_resource"):
            self._drifted.discard(previous["addr"])
        if self._destroyed_in_sum is None and action in DESTROYING:  # an apply repeats its plan
            self._destroyed_one_by_one += 1
        if address in self.changes:
            self._repeated(address, action)
            return ""
        if action not in {ChangeAction.CREATE, ChangeAction.IMPORT}:
            self.existing.add(address)
        self.changes[address] = ResourceChange(
            address=address, action=action, is_drift=address in self._drifted
        )
        return None

    def _repeated(self, address: str, action: ChangeAction) -> None:
        """An older object of that address goes, too: whatever happens to the newer one, something is destroyed."""
        known = self.changes[address]
        differs = action is not known.action
        if differs and (action in DESTROYING or known.action in DESTROYING):
            self._set(address, action=ChangeAction.REPLACE)

    def _summed_up(self, counts: Mapping[str, Any]) -> None:
        if counts["operation"] == "plan":
            self._destroyed_in_sum = int(counts["remove"])

    def _applied(self, kind: str, hook: Mapping[str, Any]) -> None:
        address = hook["resource"]["addr"]
        if address not in self.changes:  # a data source
            return
        seconds = hook.get("elapsed_seconds")
        if kind == "apply_errored":
            self._set(address, state=ChangeState.FAILED, seconds=seconds)
            return
        if kind == "apply_complete":
            change = self.changes[address]
            is_half = change.action is ChangeAction.REPLACE and address not in self._half_done
            self._half_done.add(address)
            if not is_half:
                self._set(address, state=ChangeState.DONE, seconds=seconds)
                return
        self._set(address, state=ChangeState.APPLYING, seconds=seconds)

    def _told(self, outputs: Mapping[str, Any]) -> None:
        if any("action" in output for output in outputs.values()):
            return  # of a plan: what will become of them
        self.outputs = {
            name: output["value"] for name, output in outputs.items() if "value" in output
        }
        self.sensitive_outputs = frozenset(outputs.keys() - self.outputs.keys())

    def _set(self, address: str, **values: Any) -> None:
        self.changes[address] = self.changes[address].model_copy(update=values)


def summary_of(changes: Iterable[ResourceChange]) -> PlanSummary:
    """The counts of a plan."""
    actions = [change.action for change in changes]
    replaced = actions.count(ChangeAction.REPLACE)
    return PlanSummary(
        create=actions.count(ChangeAction.CREATE) + replaced,
        change=actions.count(ChangeAction.UPDATE),
        destroy=actions.count(ChangeAction.DELETE) + replaced,
    )


def needs_init(errors: Sequence[Diagnostic]) -> bool:
    """Whether the workspace is not prepared, whatever we remember of it."""
    return any(error.summary.startswith(_NOT_INITIALIZED) for error in errors)


def is_stale(errors: Sequence[Diagnostic]) -> bool:
    """Whether the state has changed since the plan was made."""
    return any(error.summary == _STALE for error in errors)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "@message" in event else None
