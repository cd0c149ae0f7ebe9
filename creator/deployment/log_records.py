"""Record: the log of a deployment under way, piece by piece, so that people can follow it; without secrets."""

from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from creator.deployment.leased import Lease, under
from database.models import Deployment, DeploymentLogChunk, table_of
from database.session import Database

_CHUNKS = table_of(DeploymentLogChunk)
_DEPLOYMENT = bindparam("deployment", type_=_CHUNKS.c.deployment_id.type)
_OF_DEPLOYMENT = _CHUNKS.c.deployment_id == _DEPLOYMENT
_NEXT = select(func.coalesce(func.max(_CHUNKS.c.number) + 1, 0)).where(_OF_DEPLOYMENT)
# Made once: they cost more than their execution.
_APPEND = insert(_CHUNKS).values(
    deployment_id=_DEPLOYMENT,
    number=_NEXT.scalar_subquery(),
    text=bindparam("piece", type_=_CHUNKS.c.text.type),
)
_FORGET = delete(_CHUNKS).where(_OF_DEPLOYMENT)


class LogRecords:
    """Pieces of logs; may be used by several threads. Calls may raise SQLAlchemy's errors and LeaseLostError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, deployment_id: UUID, lease: Lease, text: str) -> None:
        """What the log says next, without secrets."""
        with under(self._database, lease) as session:
            session.execute(_APPEND, {"deployment": deployment_id, "piece": text})

    def until_now(self, deployment_id: UUID) -> str:
        """What another Creator, or an earlier part of this deployment, has logged."""
        chunk = DeploymentLogChunk
        query = select(chunk.text).where(chunk.deployment_id == deployment_id)
        with self._database.reading() as session:
            whole = session.scalar(select(Deployment.log).where(Deployment.id == deployment_id))
            return (whole or "") + "".join(session.scalars(query.order_by(chunk.number)))

    def begin_anew(self, deployment_id: UUID, lease: Lease, text: str) -> None:
        """The log begins anew with this text."""
        with under(self._database, lease) as session:
            forget_log_chunks(session, deployment_id)
            row = update(Deployment).where(Deployment.id == deployment_id)
            session.execute(row.values(log=""))
            if text:
                session.add(DeploymentLogChunk(deployment_id=deployment_id, number=0, text=text))


def forget_log_chunks(session: Session, deployment_id: UUID) -> None:
    """The whole log has taken their place, or nobody needs it."""
    session.execute(_FORGET, {"deployment": deployment_id})
