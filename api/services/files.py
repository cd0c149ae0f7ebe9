"""Contents of files by hash, and who may read which."""

from collections.abc import Container

from sqlalchemy import select

from api.services.errors import ForbiddenError, NotFoundError
from common.object_storage import ObjectStorage, file_key
from database import models
from database.session import Database


def require_listed(listed: Container[str], sha256: str) -> None:
    """ForbiddenError unless the document of the agent's cluster names the file."""
    if sha256 not in listed:
        raise ForbiddenError("the configuration of this cluster names no such file")


def require_known(database: Database, sha256: str) -> None:
    """NotFoundError unless some revision or value names the file: storage holds other objects, too."""
    with database.reading() as session:
        known = any(
            session.scalar(select(column).where(column == sha256).limit(1)) is not None
            for column in (
                models.ProberFile.sha256,
                models.RecipeFile.sha256,
                models.ClusterVariable.file_sha256,
            )
        )
    if not known:
        raise NotFoundError("file", sha256)


def content(storage: ObjectStorage, sha256: str) -> bytes:
    """The content of a file that a revision names."""
    found = storage.read(file_key(sha256))
    if found is None:
        raise NotFoundError("file", sha256)
    return found
