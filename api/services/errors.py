"""Foreseen mishaps of the API.

MrProberError
└── ApiServiceError
    ├── NotFoundError           no such living object
    ├── InvalidError            values that do not fit, field by field
    ├── ConflictError
    │   ├── SlugTakenError      an object of this name lives
    │   ├── InUseError          others need it
    │   └── NotActiveError      the cluster is being deleted
    ├── PreconditionMissingError  a change that does not name the version that it is meant for
    ├── ChangedMeanwhileError   a change that is meant for another version
    ├── UnauthenticatedError    no key, or one that is not valid
    └── ForbiddenError          a valid key that may not do this

No HTTP here: `api/errors.py` maps class to status.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from common.contracts.clusters import ClusterState
from common.contracts.values import FieldProblem
from common.errors import MrProberError


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

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__(f"{len(problems)} wrong field{'s' if len(problems) > 1 else ''}")
        self.problems = list(problems)

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
