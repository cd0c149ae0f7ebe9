"""What has to be done once after the database was restored from a backup, before Creator starts: docs/backup.md."""

from datetime import UTC, datetime

from sqlalchemy import delete, select, update

from api.services.installation import installation, put_installation
from common.contracts.installation import InstallationPut
from database.audit_log import Author, record
from database.configuration_changes import mark_changed
from database.models import Cluster, Document, Lease, Publication
from database.session import Database

_AUTHOR = Author(name="after-restore", role="operator")
_REASON = "restored from a backup: compare clusters with what there is, then let applies go on"
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def settle(database: Database, *, now: datetime) -> str:
    """Have all documents built and published anew, and stop applies; what was done, in a sentence. May be repeated.

    Agents refuse a document with a lower revision than the one they have, and they may have a later one than the backup.
    A document that is built without a predecessor takes its revision from the clock, which has gone on since.
    """
    with database.writing() as session:
        living = list(session.scalars(select(Cluster.id).where(Cluster.deleted_at.is_(None))))
        # Locks the clusters' rows, as whoever builds a document does.
        mark_changed(session, living)
        session.execute(delete(Document))
        # Since the backup, publishing went on: nobody knows what is there. Another storage's name gets all anew.
        session.execute(update(Publication).values(storage="", etag="", signed_for=""))
        # Whoever held them is of another time. If somebody holds one just now, its fencing number keeps order.
        session.execute(update(Lease).values(expires_at=_LONG_AGO))
        is_stopped = installation(session).applies_stopped
        if not is_stopped:
            stop = InstallationPut(applies_stopped=True, reason=_REASON)
            written = put_installation(session, stop, by=_AUTHOR.name, now=now)
            record(session, _AUTHOR, written, now=now)
    return (
        f"{len(living)} clusters get new documents, with higher revisions than agents have seen;"
        " applies are stopped: PUT /api/v1/installation lets them go on"
    )
