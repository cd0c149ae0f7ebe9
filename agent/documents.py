"""Which configuration documents are believed: *decide*. Pure."""

from pydantic import ValidationError

from agent.errors import DocumentRefusedError, OlderDocumentError
from common.contracts.configuration import ConfigurationDocument


def checked_document(
    content: bytes, *, cluster_slug: str, current: ConfigurationDocument | None
) -> ConfigurationDocument:
    """The document behind the bytes, if it may follow the current one; DocumentRefusedError."""
    try:
        document = ConfigurationDocument.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise DocumentRefusedError(
            f"{error.error_count()} mistakes, the first one at {path or 'its beginning'}: {first['msg']}"
        ) from error
    if document.cluster.slug != cluster_slug:
        raise DocumentRefusedError(f"it is for cluster {document.cluster.slug}")
    if current and document.cluster.id != current.cluster.id:
        raise DocumentRefusedError(
            f"cluster {cluster_slug} had the id {current.cluster.id} and now has {document.cluster.id};"
            " if it really is a new cluster, remove the agent's folder"
        )
    if current and document.revision < current.revision:
        raise OlderDocumentError(
            f"its revision {document.revision} is older than {current.revision}"
        )
    return document
