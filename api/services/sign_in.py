"""Signing a browser in: one-time links, and the cookie that stands for a key when pages are read."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session

from api.services.keys import KnownKey, digest_of, known_key_of, valid_key
from database import models

LINK_LIFE = timedelta(hours=1)
COOKIE_LIFE = timedelta(days=7)
_PURPOSE = "page cookie"


@dataclass(frozen=True)
class CookieClaim:
    """What a genuine cookie stands for; the key itself may be dead by now."""

    key_id: UUID
    expires_at: datetime


def make_link_token(session: Session, key_id: UUID, *, now: datetime) -> str:
    """The token of a new one-time link for the holder of a key."""
    session.execute(delete(models.SignInLink).where(models.SignInLink.expires_at <= now))
    token = secrets.token_urlsafe(32)
    session.add(
        models.SignInLink(digest=digest_of(token), key_id=key_id, expires_at=now + LINK_LIFE)
    )
    return token


def use_link_token(session: Session, token: str, *, now: datetime) -> UUID | None:
    """The key for which the link signs in, once; None if it is unknown, used, too old, or its key is dead."""
    row = session.get(models.SignInLink, digest_of(token), with_for_update=True)
    if row is None or row.used_at or row.expires_at <= now:
        return None
    row.used_at = now
    return row.key_id if valid_key(session, row.key_id, now=now) else None


def cookie_of(key_id: UUID, *, expires_at: datetime, server_key: bytes) -> str:
    """The cookie's text: key id, expiry, and the proof that we wrote it."""
    claim = f"{key_id.hex}.{int(expires_at.timestamp())}"
    return f"{claim}.{_proof(claim, server_key)}"


def claim_of_cookie(cookie: str, *, server_key: bytes, now: datetime) -> CookieClaim | None:
    """What the cookie stands for, or None if it is not ours or too old."""
    claim, _, proof = cookie.rpartition(".")
    if not cookie.isascii() or not hmac.compare_digest(proof, _proof(claim, server_key)):
        return None
    key_id, _, expires = claim.partition(".")
    expires_at = datetime.fromtimestamp(int(expires), UTC)
    return CookieClaim(UUID(hex=key_id), expires_at) if now < expires_at else None


def key_of_claim(session: Session, claim: CookieClaim, *, now: datetime) -> KnownKey | None:
    """The key behind a cookie, if it still lives."""
    row = valid_key(session, claim.key_id, now=now)
    return known_key_of(row) if row else None


def _proof(claim: str, server_key: bytes) -> str:
    return hmac.digest(server_key, f"{_PURPOSE}:{claim}".encode(), "sha256").hex()
