"""Record: the log of a deployment under way, piece by piece, so that people can follow it; without secrets."""

from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from creator.deployment.leased import Lease, under
from database.models import Deployment, DeploymentLogChunk
from database.session import Database


class LogRecords:
    """Pieces of logs; may be used by several threads. Calls may raise SQLAlchemy's errors and LeaseLostError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, deployment_id: UUID, lease: Lease, text: str) -> None:
        """What the log says next, without secrets."""
        numbers = DeploymentLogChunk.deployment_id == deployment_id
        with under(self._database, lease) as session:
            newest = session.scalar(select(func.max(DeploymentLogChunk.number)).where(numbers))
            number = 0 if newest is None else newest + 1
            session.add(DeploymentLogChunk(deployment_id=deployment_id, number=number, text=text))

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
    chunks = DeploymentLogChunk.deployment_id == deployment_id
    session.execute(delete(DeploymentLogChunk).where(chunks))
