"""Files that are never half there, and key files that only their owner reads."""

import os
import secrets
import tempfile
from pathlib import Path

from common.errors import KeyFileError


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file so that every reader, also after a crash, sees the old or the new content whole; OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_key(path: Path) -> str:
    """The text of a key file, without surrounding white space; KeyFileError says what is wrong with it."""
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}") from error
    if not text:
        raise KeyFileError(path, "is empty")
    return text


def read_or_make_key(path: Path) -> str:
    """The key in the file; the first caller makes it (256 random bits), and two first callers agree on one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        write_atomically(draft, secrets.token_urlsafe(32).encode() + b"\n")
        try:
            os.link(draft, path)  # fails if somebody was faster
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return read_key(path)
