"""What a deployment is made from, what it changes, and what may stop it: values that Creator writes and the API shows."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from common.contracts.values import Input, Wire

MAX_PROTECTED_ADDRESSES = 100
MAX_CHANGES_SHOWN = 1000

AddressPattern = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Gates(Input):
    """Limits of what Creator applies without a person; nothing set, nothing limited.

    A plan that passes a limit waits for approval. Resources that match `protected` (globs over terraform's
    addresses) are never destroyed or replaced, not even with approval.
    """

    destroyed_count: int | None = Field(default=None, ge=0, le=1_000_000)
    destroyed_percent: int | None = Field(default=None, ge=0, le=100)
    protected: list[AddressPattern] = Field(default=[], max_length=MAX_PROTECTED_ADDRESSES)


class ShownGates(Gates):
    """The limits as the API shows them; a newer API may have more of them."""

    model_config = ConfigDict(extra="ignore")


class ChangeAction(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    IMPORT = "import"
    MOVE = "move"


# What goes, also if it comes again.
DESTROYING = (ChangeAction.DELETE, ChangeAction.REPLACE)


class ChangeState(StrEnum):
    """How far a change of a resource has come."""

    PLANNED = "planned"
    APPLYING = "applying"
    DONE = "done"
    FAILED = "failed"


class ResourceChange(Wire):
    """One resource of a plan; `is_drift`: it differs although nobody changed its description."""

    address: str
    action: ChangeAction
    state: ChangeState = ChangeState.PLANNED
    seconds: float | None = None
    is_drift: bool = False


class PlannedChanges(Wire):
    """What a plan does, resource by resource, never with a value; `is_cut`: there are more than are kept."""

    resources: list[ResourceChange] = []
    is_cut: bool = False


class DifferenceKind(StrEnum):
    """Of what kind an input of a deployment is."""

    FILE = "file"
    VARIABLE = "variable"
    HANDOVER = "handover"  # what the platform hands to every recipe
    ENGINE = "engine"
    BACKEND = "backend"


class DifferenceAction(StrEnum):
    """What became of an input."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Difference(Wire):
    """A part of the description that is not what was applied last; `by` and `at` from the audit log, if it knows."""

    kind: DifferenceKind
    name: str
    action: DifferenceAction
    by: str = ""
    at: datetime | None = None


class Quarantine(Wire):
    """Resources that differed again right after each successful apply: Creator reports them and applies no more."""

    addresses: list[str]
    since: datetime
    applies: int  # how many applies in a row did not help
    fingerprint: str  # another description ends it


class StateLock(Wire):
    """Somebody else's lock on the state, as terraform shows it."""

    id: str
    operation: str = ""
    who: str = ""
    created: str = ""
    path: str = ""
