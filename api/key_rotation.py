"""A new encryption key: made where keys are in a file, then every sensitive value is brought under it."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import func, select

from api.services.secrets import encrypt_again
from common.encryption import Keyring, key_id_of, keys_in, new_key, write_keys
from database.models import ClusterVariable
from database.session import Database

# The key's id within an encrypted text, `v1.<16 digits>.…`.
_ID_BEGINS, _ID_LENGTH = 4, 16


def rotate(database: Database, keyring: Keyring, key_file: Path | None) -> str:
    """Change the key; what was done, in a sentence. May be interrupted and repeated, while services run.

    Without a key file the keys are those of the setting: whoever set them has put a new one in front.
    EncryptionError, KeyFileError.
    """
    if key_file is not None:
        keys = keys_in(key_file)
        wanted = keys_for_rotation(keys, _key_ids_in_use(database))
        if wanted != keys:
            write_keys(key_file, wanted)
    renewed = encrypt_again(database, keyring)
    advice = (
        "running services follow by themselves"
        if key_file
        else "the older keys may leave MR_PROBER_ENCRYPTION_KEYS as soon as every service has the new one in front"
    )
    return f"{renewed} values encrypted again; {advice}"


def keys_for_rotation(keys: Sequence[str], in_use: set[str]) -> list[str]:
    """The keys, newest first: a new one, unless the last rotation did not come to its end; needless ones go. Pure."""
    older = [key for key in keys[1:] if key_id_of(key) in in_use]
    if older:
        return [keys[0], *older]
    # The one before goes at the next rotation only: a service may just now write with it.
    return [new_key(), keys[0]]


def _key_ids_in_use(database: Database) -> set[str]:
    key_id = func.substr(ClusterVariable.encrypted, _ID_BEGINS, _ID_LENGTH)
    with database.reading() as session:
        statement = select(key_id).where(ClusterVariable.encrypted.is_not(None)).distinct()
        return set(session.scalars(statement))
