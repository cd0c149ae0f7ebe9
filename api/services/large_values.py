"""Values of variables that are too large for documents: there they are files by hash, like those of probers."""

import hashlib
from collections.abc import Iterable

from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.contracts.configuration import (
    MAX_INLINE_BYTES,
    ConfigurationDocument,
    VariableFile,
)
from common.contracts.values import canonical_json
from common.object_storage import ObjectStorage, store_file
from database.models import ClusterVariable


def large_content(value: JsonValue) -> bytes | None:
    """The content of the value's file; None: the document carries the value itself. Pure."""
    content = canonical_json(value)
    return content if len(content) > MAX_INLINE_BYTES else None


def name_file(row: ClusterVariable) -> None:
    """Have the row name the file of its value, if it needs one; never that of a sensitive value."""
    content = large_content(row.value) if row.encrypted is None else None
    row.file_sha256 = hashlib.sha256(content).hexdigest() if content else None


def store_large(storage: ObjectStorage, plain_values: Iterable[JsonValue]) -> None:
    """Store the files of those that need one; in the transaction that names them, so that no cleaner comes between."""
    for value in plain_values:
        if content := large_content(value):
            store_file(storage, content)


def file_of(row: ClusterVariable) -> VariableFile | None:
    """How a document names the value.

    Only the file of this very value: an older version of the API changes values and knows of no files.
    """
    if row.file_sha256 is None or row.encrypted is not None:
        return None
    content = canonical_json(row.value)
    if hashlib.sha256(content).hexdigest() != row.file_sha256:
        return None
    return VariableFile(sha256=row.file_sha256, size=len(content))


def with_large_values(session: Session, document: ConfigurationDocument) -> ConfigurationDocument:
    """The document with every value in its place, as agents complete it from files."""
    if not document.variable_files:
        return document
    rows = session.scalars(
        select(ClusterVariable).where(
            ClusterVariable.cluster_id == document.cluster.id,
            ClusterVariable.name.in_(sorted(document.variable_files)),
        )
    )
    return document.filled(
        {row.file_sha256: row.value for row in rows if row.file_sha256 and file_of(row)}
    )
