"""A plan as a value: what would change, what must wait, and what forbids to start at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from itertools import groupby

from pydantic import JsonValue

from common.contracts.files import FileReference


class Action(StrEnum):
    """What happens to an object."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


class Kind(StrEnum):
    """What an object is; a change of files is one of the revision."""

    RECIPE = "recipe"
    RECIPE_REVISION = "recipe_revision"
    PROBER = "prober"
    PROBER_REVISION = "prober_revision"
    CONFIG = "config"
    CLUSTER = "cluster"
    VARIABLE = "variable"
    # A variable that gets another manager: of a new cluster only after the cluster is there.
    HANDOVER = "handover"


class Absent(Enum):
    """The one value that says that there is none: null is a value of its own."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
Value = JsonValue | Absent

# What others refer to comes first, and goes last. Values come before the recipe's files that may need them;
# files of a prober come before the command that may name them.
ORDER: tuple[tuple[Kind, bool], ...] = (
    (Kind.VARIABLE, False),
    (Kind.RECIPE, False),
    (Kind.RECIPE_REVISION, False),
    (Kind.PROBER_REVISION, False),
    (Kind.PROBER, False),
    (Kind.CONFIG, False),
    (Kind.CLUSTER, False),
    (Kind.HANDOVER, False),
    (Kind.VARIABLE, True),
    (Kind.CLUSTER, True),
    (Kind.CONFIG, True),
    (Kind.PROBER, True),
    (Kind.RECIPE, True),
)


@dataclass(frozen=True)
class FieldChange:
    """One field, by its path: `defaults.interval_seconds`; values of a hidden one are shown to nobody."""

    field: str
    before: Value
    after: Value
    is_hidden: bool = False


@dataclass(frozen=True)
class FileChange:
    """One file of a revision; `diff` holds the lines of a unified diff, if both contents are texts."""

    path: str
    before: FileReference | None
    after: FileReference | None
    diff: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """What happens to one object; `name` is its slug, below it the name of the config or variable.

    `etag` is the object's version that was compared (a revision's is that of its recipe or prober).
    """

    action: Action
    kind: Kind
    name: tuple[str, ...]
    fields: tuple[FieldChange, ...] = ()
    files: tuple[FileChange, ...] = ()
    etag: str = ""

    @property
    def slug(self) -> str:
        """The slug of the object, or of the one that it belongs to."""
        return self.name[0]

    @property
    def title(self) -> str:
        """The object in words: `prober revision tcp-connect`, `variable demo/hosts`."""
        return f"{self.kind.replace('_', ' ')} {'/'.join(self.name)}"


@dataclass(frozen=True)
class Plan:
    """Changes in the order in which they are made.

    `postponed` waits for something that no call of ours can hasten; with `refusals` nothing is applied,
    and with `guards` nothing unless it is forced. `protected`: clusters whose names must be typed before they go.
    """

    changes: tuple[Change, ...] = ()
    postponed: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()

    @property
    def is_applicable(self) -> bool:
        """Whether nothing stands in its way."""
        return not (self.refusals or self.guards or self.protected)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do, now or later."""
        return not (self.changes or self.postponed)

    def groups(self) -> list[tuple[Change, ...]]:
        """The changes in groups, one after the other; within a group none needs another."""
        return [
            tuple(group)
            for _, group in groupby(self.changes, key=lambda change: _place_of(change)[0])
        ]

    def count(self, action: Action) -> int:
        """How many changes are of this kind."""
        return sum(change.action is action for change in self.changes)


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes in the order of ORDER, then by name."""
    return tuple(
        sorted(
            changes,
            key=_place_of,
        )
    )


def _place_of(change: Change) -> tuple[int, tuple[str, ...]]:
    return ORDER.index((change.kind, change.action is Action.DELETE)), change.name
