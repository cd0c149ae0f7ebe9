"""Files of recipes and probers: safe relative paths, modes, content hashes."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from common.contracts.identifiers import Sha256
from common.contracts.values import Input, Wire

MAX_PATH_BYTES = 512
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_FILES = 500

FileMode = Literal["0644", "0755"]


def checked_path(path: str) -> str:
    """The path itself, if it stays inside its folder wherever it is unpacked; otherwise ValueError."""
    if not path or len(path.encode()) > MAX_PATH_BYTES:
        raise ValueError(f"a path of 1 to {MAX_PATH_BYTES} bytes")
    if any(ord(letter) < 32 or letter in "\\\x7f" for letter in path):
        raise ValueError("a path without control characters and backslashes")
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise ValueError("a relative path like folder/file, without '.', '..' or empty parts")
    if any(len(part.encode()) > 255 for part in parts):
        raise ValueError("a path whose parts have at most 255 bytes")
    return path


def decoded_base64(value: object) -> bytes:
    """The bytes behind a base64 text, which may be wrapped into lines; ValueError for anything else in it."""
    if not isinstance(value, str):
        raise ValueError("a text in base64")  # noqa: TRY004 - pydantic shows ValueErrors to the caller
    return b64decode("".join(value.split()), validate=True)


FilePath = Annotated[str, AfterValidator(checked_path)]
# pydantic's own Base64Bytes drops letters that are no base64, and bounds the text instead of the content.
Base64Content = Annotated[
    bytes,
    Field(max_length=MAX_FILE_BYTES),
    BeforeValidator(decoded_base64),
    PlainSerializer(lambda content: b64encode(content).decode(), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


class FileReference(Wire):
    """A file of a revision: where it is unpacked, and the SHA-256 by which its content is fetched."""

    path: FilePath
    mode: FileMode
    sha256: Sha256
    size: int = Field(ge=0)


class FileUpload(Input):
    """A file on its way into a new revision; `content` travels as base64."""

    path: FilePath
    mode: FileMode = "0644"
    content: Base64Content

    @classmethod
    def of(cls, path: str, content: bytes, *, executable: bool = False) -> "FileUpload":
        """The upload of these bytes."""
        mode: FileMode = "0755" if executable else "0644"
        return cls(path=path, mode=mode, content=b64encode(content).decode())

    def reference(self) -> FileReference:
        """The reference under which this content will be known."""
        digest = hashlib.sha256(self.content).hexdigest()
        return FileReference(path=self.path, mode=self.mode, sha256=digest, size=len(self.content))


def content_hash(files: Iterable[FileReference]) -> str:
    """SHA-256 over sorted (path, mode, file hash): equal content is the same revision."""
    lines = sorted(f"{file.path}\0{file.mode}\0{file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def path_conflicts(paths: Iterable[str]) -> list[str]:
    """Paths that appear twice or are a file here and a folder there, sorted."""
    listed = list(paths)
    folders = {str(parent) for path in listed for parent in PurePosixPath(path).parents}
    twice = {path for path in listed if listed.count(path) > 1}
    return sorted(twice | (set(listed) & folders))
