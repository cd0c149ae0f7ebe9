"""Whole folders on their way into a revision: as JSON, or as a tar archive, which `tar -C FOLDER -c .` makes."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.services.errors import InvalidError
from api.services.files import content as content_of
from common.contracts.files import (
    MAX_FILE_BYTES,
    MAX_FILES,
    FileReference,
    FileUpload,
    checked_path,
)
from common.contracts.recipes import RevisionCreate
from common.object_storage import ObjectStorage

TAR = "application/x-tar"
# Folders count, too; they are passed over.
_MAX_MEMBERS = 4 * MAX_FILES
_LONGEST_ECHO = 200


@dataclass(frozen=True)
class UploadedBody:
    """A body as it came, read but not parsed: parsing takes time, and routes have threads."""

    content_type: str
    content: bytes = field(repr=False)

    def files(self) -> list[FileUpload]:
        """The files in it; InvalidError, RequestValidationError."""
        if self.content_type == TAR:
            return files_in_tar(self.content)
        if self.content_type and not self.content_type.endswith("json"):
            expected = f"application/json or {TAR}"
            given = self.content_type[:_LONGEST_ECHO]
            raise InvalidError.of("Content-Type", expected, given=given)
        try:
            return RevisionCreate.model_validate_json(self.content).files
        except ValidationError as error:
            raise RequestValidationError(
                [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
            ) from error


def content_response(storage: ObjectStorage, file: FileReference) -> Response:
    """The answer that carries a file's content; revisions never change, so it may be kept."""
    headers = {"ETag": f'"{file.sha256}"', "Cache-Control": "private, no-cache"}
    content = content_of(storage, file.sha256)
    return Response(content, media_type="application/octet-stream", headers=headers)


async def _uploaded(request: Request) -> UploadedBody:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return UploadedBody(content_type, await request.body())


TheUpload = Annotated[UploadedBody, Depends(_uploaded)]


def upload_schema() -> dict[str, Any]:
    """What OpenAPI says of such a body."""
    in_json = RevisionCreate.model_json_schema(ref_template="#/components/schemas/{model}")
    in_json.pop("$defs", None)  # FileUpload is among the components already
    in_tar = {"type": "string", "format": "binary"}
    content = {"application/json": {"schema": in_json}, TAR: {"schema": in_tar}}
    return {"requestBody": {"required": True, "content": content}}


def files_in_tar(content: bytes) -> list[FileUpload]:
    """The regular files of an archive; InvalidError names the member that is none.

    Links, devices, absolute paths and `..` are refused, never followed; nothing is unpacked.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            files = list(_files(archive))
            # tarfile takes a damaged header for the end; an archive that is whole ends with two empty blocks.
            end = content[archive.offset : archive.offset + 2 * tarfile.BLOCKSIZE]
            if len(end) < 2 * tarfile.BLOCKSIZE or any(end):
                raise tarfile.ReadError("it has no end")
            return files
    except (tarfile.TarError, EOFError, OverflowError, ValueError) as error:
        raise InvalidError.of("body", "a whole tar archive, not compressed") from error


def _files(archive: tarfile.TarFile) -> Iterator[FileUpload]:
    count = 0
    for number, member in enumerate(archive, 1):
        path = _path(member)
        if number > _MAX_MEMBERS or count > MAX_FILES:
            raise InvalidError.of("files", f"at most {MAX_FILES} files")
        if member.isdir():
            continue
        count += 1
        if not member.isreg() or member.issparse():
            raise _refused(member, "a regular file: no link, device or sparse file")
        if not 0 <= member.size <= MAX_FILE_BYTES:
            raise _refused(member, f"a file of at most {MAX_FILE_BYTES} bytes")
        opened = archive.extractfile(member)
        yield FileUpload.model_construct(
            path=path,
            mode="0755" if member.mode & 0o100 else "0644",
            content=opened.read() if opened else b"",
        )


def _path(member: tarfile.TarInfo) -> str:
    path = member.name
    while path.startswith("./"):
        path = path[2:]
    if member.isdir() and path in {"", "."}:
        return path
    try:
        return checked_path(path)
    except ValueError as error:
        raise _refused(member, str(error)) from error


def _refused(member: tarfile.TarInfo, expected: str) -> InvalidError:
    name = member.name[:_LONGEST_ECHO].replace("\0", "").encode(errors="replace").decode()
    return InvalidError.of("files", expected, given=name)
