"""Foreseen mishaps of the API.

MrProberError
└── ApiServiceError
    ├── NotFoundError           no such living object
    ├── InvalidError            values that do not fit, field by field
    ├── ConflictError
    │   ├── SlugTakenError      an object of this name lives
    │   ├── InUseError          others need it
    │   ├── ManagedError        a tool manages it, and would undo the change
    │   ├── ProtectedError      the cluster must not be deleted
    │   ├── ActionError         a request that does not fit how things stand
    │   ├── NotActiveError      the cluster is being deleted
    │   ├── VariableNeededError  the recipe of the cluster requires it
    │   └── BreaksClustersError  values of clusters do not fit a new revision
    ├── PreconditionMissingError  a change that does not name the version that it is meant for
    ├── ChangedMeanwhileError   a change that is meant for another version
    ├── TooManyError            again a little later
    ├── UnauthenticatedError    no key, or one that is not valid
    └── ForbiddenError          a valid key that may not do this

No HTTP here: `api/errors.py` maps class to status.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta

from pydantic import JsonValue

from common.contracts.clusters import ClusterState
from common.contracts.recipes import BrokenVariable
from common.contracts.values import FieldProblem
from common.errors import MrProberError

# An answer that lists thousands of problems helps nobody.
_MAX_PROBLEMS = 200


class ApiServiceError(MrProberError):
    """The API cannot do what was asked."""


class NotFoundError(ApiServiceError):
    """No living object has this name."""

    def __init__(self, kind: str, name: object) -> None:
        super().__init__(f"there is no {kind} {name}")
        self.kind = kind
        self.name = name


class InvalidError(ApiServiceError):
    """Values that do not fit; `problems` names each field."""

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = list(problems)
        number = len(self.problems)
        super().__init__(f"{number} wrong field{'s' if number > 1 else ''}")

    @classmethod
    def of(cls, field: str, expected: str, *, given: JsonValue = None) -> "InvalidError":
        """One wrong field."""
        return cls([FieldProblem(field=field, given=given, expected=expected)])


class ConflictError(ApiServiceError):
    """The state of things does not allow it now."""


class SlugTakenError(ConflictError):
    """An object of this name lives already, at `url`."""

    def __init__(self, kind: str, slug: str, url: str) -> None:
        super().__init__(f"{kind} {slug} exists already: {url}")
        self.url = url


class InUseError(ConflictError):
    """Others need the object."""

    def __init__(self, kind: str, slug: str, users: Sequence[str]) -> None:
        super().__init__(
            f"{kind} {slug} is used by {', '.join(users)}: delete or change them first"
        )
        self.users = list(users)


class NotActiveError(ConflictError):
    """The cluster is on its way out and takes no changes."""

    def __init__(self, slug: str, state: ClusterState) -> None:
        super().__init__(f"cluster {slug} is {state} and cannot be changed any more")
        self.state = state


class VariableNeededError(ConflictError):
    """A cluster cannot be deployed without the variable."""

    def __init__(self, cluster: str, name: str) -> None:
        super().__init__(f"the recipe of cluster {cluster} requires variable {name}")
        self.name = name


class BreaksClustersError(ConflictError):
    """A new revision does not fit the values of clusters that would get it; `problems` names each."""

    def __init__(self, broken: Sequence[BrokenVariable]) -> None:
        clusters = sorted({one.cluster for one in broken})
        super().__init__(
            f"the revision would break {', '.join(clusters[:20])}{' and more' if len(clusters) > 20 else ''}:"
            " change their variables first, or send it with force=true"
        )
        self.problems = [
            FieldProblem(
                field=f"clusters.{one.cluster}.variables.{one.variable}", expected=one.expected
            )
            for one in broken[:_MAX_PROBLEMS]
        ]


class PreconditionMissingError(ApiServiceError):
    """Without the version, one writer would undo unseen what another one did."""

    def __init__(self, kind: str, name: object) -> None:
        super().__init__(
            f"{kind} {name} exists: read it, and send its ETag as If-Match with the change"
        )


class ChangedMeanwhileError(ApiServiceError):
    """The object is not what the caller takes it for; `etag` is what it is now, empty if there is none."""

    def __init__(self, kind: str, name: object, etag: str) -> None:
        now = f"its ETag is {etag} now" if etag else "it is not there"
        super().__init__(f"{kind} {name} changed meanwhile: {now}; read it and decide again")
        self.etag = etag


class ManagedError(ConflictError):
    """A change by hand of what a tool manages."""

    def __init__(self, kind: str, name: object, managed_by: str) -> None:
        super().__init__(
            f"{kind} {name} is managed by {managed_by}, which would undo the change: make it there,"
            " or send it with `Mr-Prober-Manager: *`"
        )
        self.managed_by = managed_by


class ProtectedError(ConflictError):
    """The cluster is protected from deletion."""

    def __init__(self, slug: str) -> None:
        super().__init__(
            f"cluster {slug} is protected: to delete it, set `protected` to false first"
            f" (PATCH /api/v1/clusters/{slug})"
        )


class ActionError(ConflictError):
    """What a person asked for does not fit how things stand; the text says what would."""


class TooManyError(ApiServiceError):
    """More than is taken at a time; `wait_seconds` says when there is room again."""

    def __init__(self, limit: str, wait: timedelta) -> None:
        self.wait_seconds = max(1, math.ceil(wait.total_seconds()))
        super().__init__(f"{limit}: try again in {self.wait_seconds} s")


class UnauthenticatedError(ApiServiceError):
    """No key, or one that is unknown, expired or revoked."""

    def __init__(self) -> None:
        super().__init__(
            "a valid key is needed: send `Authorization: Bearer KEY`, or sign in at /sign-in"
        )


class ForbiddenError(ApiServiceError):
    """The key is valid, but not for this."""

    def __init__(self, reason: str = "this key may not do that") -> None:
        super().__init__(reason)
