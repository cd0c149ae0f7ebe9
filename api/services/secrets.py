"""Sensitive variables: encrypted in their rows, never shown, given to the agents whose probers name them."""

import json
import logging
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from api.services.errors import InvalidError
from api.services.large_values import name_file
from common.contracts.clusters import VariablePut
from common.contracts.configuration import ClusterSecrets, ConfigurationDocument, Secret
from common.contracts.references import is_secret_reference, secret_reference, secrets_in
from common.contracts.values import canonical_json
from common.encryption import EncryptionError, Keyring, variable_context
from database.models import ClusterVariable, now
from database.session import Database

log = logging.getLogger(__name__)

BATCH = 200


def described_value(row: ClusterVariable) -> JsonValue:
    """The value as documents and clusters carry it: of a sensitive one only its name and version."""
    if row.encrypted is None:
        value: JsonValue = row.value
        return value
    return secret_reference(row.name, row.value_version)


def new_variable(
    cluster_id: UUID, name: str, new: VariablePut, *, keyring: Keyring
) -> ClusterVariable:
    """A variable with its first value. InvalidError, EncryptionError."""
    row = ClusterVariable(cluster_id=cluster_id, name=name, managed_by=new.managed_by)
    if not new.sensitive:
        refuse_imitation("value", new.value)
    _store(row, new.value, sensitive=new.sensitive, keyring=keyring)
    return row


def set_value(row: ClusterVariable, new: VariablePut, *, keyring: Keyring) -> bool:
    """Give a variable a value; whether it is another one than before. InvalidError, EncryptionError."""
    was_sensitive = row.encrypted is not None
    sensitive = new.sensitive if "sensitive" in new.model_fields_set else was_sensitive
    if not sensitive:
        refuse_imitation("value", new.value)
    if was_sensitive and _is_the_same(row, new.value, keyring=keyring):
        if sensitive:
            return False
        raise InvalidError.of("value", "a new value: this one was given as a secret and stays one")
    if (
        not was_sensitive
        and not sensitive
        and canonical_json(row.value) == canonical_json(new.value)
    ):
        return False
    _store(row, new.value, sensitive=sensitive, keyring=keyring)
    return True


def refuse_imitation(field: str, value: JsonValue) -> None:
    """InvalidError for a plain value that documents would take for a secret."""
    if is_secret_reference(value):
        raise InvalidError.of(
            field, "a value; {secret, version} is what stands for a sensitive variable"
        )


def cluster_secrets(
    session: Session, document: ConfigurationDocument, *, keyring: Keyring
) -> ClusterSecrets:
    """The newest values of the secrets that the document, and so some prober, names. EncryptionError."""
    statement = select(ClusterVariable).where(
        ClusterVariable.cluster_id == document.cluster.id,
        ClusterVariable.name.in_(sorted(secrets_in(document.variables))),
        ClusterVariable.encrypted.is_not(None),
    )
    return ClusterSecrets(
        secrets={
            row.name: Secret(version=row.value_version, value=json.loads(_opened(row, keyring)))
            for row in session.scalars(statement)
        }
    )


def encrypt_again(database: Database, keyring: Keyring) -> int:
    """Bring all sensitive values under the newest key, in short transactions; how many needed it.

    May be interrupted and repeated at any time; others may write meanwhile. EncryptionError.
    """
    renewed = 0
    last: tuple[UUID, str] | None = None
    while True:
        with database.writing() as session:
            rows = _next_encrypted(session, last)
            for row in rows:
                renewed += _renewed(row, keyring)
        if not rows:
            return renewed
        last = (rows[-1].cluster_id, rows[-1].name)


def _next_encrypted(session: Session, after: tuple[UUID, str] | None) -> list[ClusterVariable]:
    key = (ClusterVariable.cluster_id, ClusterVariable.name)
    statement = select(ClusterVariable).where(ClusterVariable.encrypted.is_not(None))
    if after is not None:
        statement = statement.where(tuple_(*key) > tuple_(after[0], after[1]))
    return list(session.scalars(statement.order_by(*key).limit(BATCH).with_for_update()))


def _renewed(row: ClusterVariable, keyring: Keyring) -> bool:
    if row.encrypted is None or keyring.is_current(row.encrypted):
        return False
    row.encrypted = keyring.encrypt(_opened(row, keyring), context=_context(row))
    row.updated_at = row.updated_at  # the variable is what it was
    flag_modified(row, "updated_at")
    return True


def _store(row: ClusterVariable, value: JsonValue, *, sensitive: bool, keyring: Keyring) -> None:
    if sensitive:
        row.encrypted = keyring.encrypt(canonical_json(value), context=_context(row))
        row.value = None
    else:
        row.encrypted = None
        row.value = value
    flag_modified(row, "value")  # to Python, 1 equals true
    name_file(row)
    previous = row.value_version or 0
    row.value_version = max(previous + 1, int(now().timestamp() * 1000))


def _is_the_same(row: ClusterVariable, value: JsonValue, *, keyring: Keyring) -> bool:
    try:
        return _opened(row, keyring) == canonical_json(value)
    except EncryptionError as error:
        # Its key is lost: a new value is what heals it.
        log.warning("cannot open a secret cluster_id=%s: %s", row.cluster_id, error)
        return False


def _opened(row: ClusterVariable, keyring: Keyring) -> bytes:
    return keyring.decrypt(row.encrypted or "", context=_context(row))


def _context(row: ClusterVariable) -> bytes:
    return variable_context(row.cluster_id, row.name)
