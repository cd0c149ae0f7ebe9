"""Entity tags as RFC 9110 has them: what an object's version is called, and what its writers must know of it. Pure."""

import re
from dataclasses import dataclass
from uuid import UUID

from api.services.errors import ChangedMeanwhileError, ManagedError, PreconditionMissingError

ANY_MANAGER = "*"  # whoever manages it: this write is wanted
_TAG = re.compile(r'(?:W/)?("[^"]*")')
_STRONG_TAG = re.compile(r'(?<!W/)("[^"]*")')


def etag_of(object_id: UUID, version: int) -> str:
    """The strong ETag of one version; one that is made anew under the same name has another id."""
    return f'"{object_id.hex}.{version}"'


def none_match(header: str | None, etag: str) -> bool:
    """Whether the caller lacks what this ETag stands for: False means 304. Weak tags count as strong ones."""
    if header is None or header == etag:  # nearly always one of these
        return header is None
    return header.strip() != "*" and etag not in _TAG.findall(header)


@dataclass(frozen=True)
class Precondition:
    """What a writer says that it knows, `If-Match` and `If-None-Match`, and who it is: `Mr-Prober-Manager`."""

    if_match: str | None = None
    if_none_match: str | None = None
    manager: str = ""

    def require(self, kind: str, name: object, etag: str) -> None:
        """Before an object is changed or deleted, with its row locked.

        PreconditionMissingError: the writer names no version.
        ChangedMeanwhileError: it names another one, or wants that there is none.
        """
        if not none_match(self.if_none_match, etag):
            raise ChangedMeanwhileError(kind, name, etag)
        if self.if_match is None:
            raise PreconditionMissingError(kind, name)
        if self.if_match.strip() != "*" and etag not in _STRONG_TAG.findall(self.if_match):
            raise ChangedMeanwhileError(kind, name, etag)

    def require_manager(self, kind: str, name: object, managed_by: str) -> None:
        """Before what somebody manages is described otherwise: its manager would undo it. ManagedError."""
        if managed_by and self.manager not in {managed_by, ANY_MANAGER}:
            raise ManagedError(kind, name, managed_by)

    def require_absent(self, kind: str, name: object) -> None:
        """Before an object is made under a name that the writer chose: it must not expect one there."""
        if self.if_match is not None:
            raise ChangedMeanwhileError(kind, name, "")


# For writers that are no callers: our own start, and tests.
ANY_VERSION = Precondition(if_match="*", manager=ANY_MANAGER)
