"""Files that are never half there, and key files that only their owner reads."""

import os
import re
import secrets
import tempfile
from pathlib import Path

from common.errors import KeyFileError

# What `tempfile` makes of the prefix that is given below.
_DRAFT = re.compile(r"\..+\.[a-z0-9_]{8}")


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file so that every reader, also after a crash, sees the old or the new content whole; OSError."""
    # Shortened, since the file's own name may be as long as the file system permits.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:32]}.", dir=path.parent)
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


def remove_drafts(folder: Path) -> None:
    """Remove what writers left that were killed before their file was whole; OSError.

    Only where nobody else writes now: the draft of another one would be gone.
    """
    for path in folder.iterdir():
        if _DRAFT.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def read_key(path: Path) -> str:
    """The text of a key file, without surrounding white space; KeyFileError says what is wrong with it."""
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeyFileError(path, "holds no text") from error
    if not text:
        raise KeyFileError(path, "is empty")
    return text


def read_or_make_key(path: Path, *, prefix: str = "") -> str:
    """The key in the file; the first caller makes it (256 random bits), and two first callers agree on one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path, prefix=prefix)
    except OSError as error:
        raise KeyFileError(path, f"cannot be made: {error.strerror}") from error
    return read_key(path)


def _make_key(path: Path, *, prefix: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_atomically(draft, f"{prefix}{secrets.token_urlsafe(32)}\n".encode())
    try:
        os.link(draft, path)  # fails if somebody was faster
    except FileExistsError:
        pass
    finally:
        draft.unlink()
