"""One write of one caller: what it expects to find, who is recorded for it, what its answer says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

from fastapi import Depends, Header, Request, Response
from sqlalchemy.orm import Session

from api.context import Context, context_of
from api.entity_tags import Precondition
from api.permissions import AgentOf, Identity
from api.services.revisions import store_contents
from common.contracts.files import FileUpload
from database.audit_log import Author, Deleted, Shown, Written, record

# On the answer to every write: `false` if all was as asked for already, and nothing was written.
CHANGED_HEADER = "Mr-Prober-Changed"


class _HasTag(Protocol):
    etag: str


Tagged = TypeVar("Tagged", bound=_HasTag)


@dataclass(frozen=True)
class Writing:
    """What a route needs to write; `done` belongs into each of them."""

    context: Context
    author: Author
    precondition: Precondition
    _response: Response

    @contextmanager
    def describing(self) -> Iterator[Session]:
        """The session of a change of what people describe."""
        with self.context.describing() as session:
            yield session

    @contextmanager
    def naming(self, uploads: Sequence[FileUpload]) -> Iterator[Session]:
        """The same, for a revision of files whose contents are stored; they are there afterwards, too.

        Until the commit nobody named them, so the cleaner may have removed one that was stored long ago.
        """
        with self.describing() as session:
            yield session
        store_contents(self.context.storage, uploads)

    def done(self, session: Session, written: Written[Shown] | Deleted[Shown]) -> None:
        """Record the write in its own transaction, and say in the answer's headers what came of it.

        ChangedMeanwhileError: a switch, which needs no version, was sent for another one.
        """
        if self.precondition.if_match is not None and (seen := getattr(written.before, "etag", "")):
            self.precondition.require(written.subject.kind, written.subject.slug, seen)
        record(session, self.author, written, now=self.context.clock())
        self._response.headers[CHANGED_HEADER] = "true" if written.is_changed else "false"
        if etag := getattr(written.after, "etag", ""):
            self._response.headers["ETag"] = etag

    def shown(self, session: Session, written: Written[Shown]) -> Shown:
        """`done`, and the object as the answer shows it."""
        self.done(session, written)
        return written.after


def tagged(response: Response, shown: Tagged) -> Tagged:
    """What a read shows, with its ETag in the header."""
    response.headers["ETag"] = shown.etag
    return shown


async def _writing(
    request: Request,
    response: Response,
    if_match: Annotated[str | None, Header(max_length=1000)] = None,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
    mr_prober_manager: Annotated[str, Header(max_length=100)] = "",
) -> Writing:
    return Writing(
        context=context_of(request),
        author=_author_of(request.state.identity, getattr(request.state, "request_id", "")),
        precondition=Precondition(if_match, if_none_match, mr_prober_manager),
        _response=response,
    )


def _author_of(identity: Identity, request_id: str) -> Author:
    if isinstance(identity, AgentOf):
        return Author(f"agent of {identity.cluster_id}", "agent", request_id=request_id)
    return Author(identity.name, identity.role, identity.key_id, request_id)


TheWriting = Annotated[Writing, Depends(_writing)]
