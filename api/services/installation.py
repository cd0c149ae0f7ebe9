"""The switches of the whole installation: one row, made when somebody first turns one."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from common.contracts.installation import Installation, InstallationPut
from database.audit_log import Subject, Written
from database.models import InstallationSwitches

_ROW = 1
_SUBJECT = Subject("installation", UUID(int=0), "installation")


def installation(session: Session) -> Installation:
    """How the switches stand."""
    row = session.get(InstallationSwitches, _ROW)
    return Installation.model_validate(row, from_attributes=True) if row else Installation()


def put_installation(
    session: Session, new: InstallationPut, *, by: str, now: datetime
) -> Written[Installation]:
    """Turn the switches; the same again changes nothing."""
    before = installation(session)
    if (before.applies_stopped, before.reason) != (new.applies_stopped, new.reason):
        session.merge(
            InstallationSwitches(id=_ROW, **new.model_dump(), changed_by=by, changed_at=now)
        )
        session.flush()
    return Written(_SUBJECT, before, installation(session))
