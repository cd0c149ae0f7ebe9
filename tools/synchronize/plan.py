"""A plan as a value: what would change, what must wait, and what forbids to start at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum

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
    (Kind.VARIABLE, True),
    (Kind.CLUSTER, True),
    (Kind.CONFIG, True),
    (Kind.PROBER, True),
    (Kind.RECIPE, True),
)


@dataclass(frozen=True)
class FieldChange:
    """One field, by its path: `defaults.interval_seconds`."""

    field: str
    before: Value
    after: Value


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

    `postponed` waits for something that no call of ours can hasten; with `refusals` nothing is applied.
    """

    changes: tuple[Change, ...] = ()
    postponed: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    def count(self, action: Action) -> int:
        """How many changes are of this kind."""
        return sum(change.action is action for change in self.changes)


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes in the order of ORDER, then by name."""
    return tuple(
        sorted(
            changes,
            key=lambda change: (
                ORDER.index((change.kind, change.action is Action.DELETE)),
                change.name,
            ),
        )
    )
