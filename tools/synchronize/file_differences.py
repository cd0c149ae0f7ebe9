"""Differences between two sets of files. Pure."""

import difflib
from collections.abc import Mapping, Sequence

from common.contracts.files import FileReference, FileUpload
from tools.synchronize.plan import FileChange

# Above it a comparison of lines takes too long, and nobody reads it.
MAX_DIFF_BYTES = 256 * 1024


def file_changes(
    before: Sequence[FileReference], after: Sequence[FileUpload], contents: Mapping[str, bytes]
) -> tuple[FileChange, ...]:
    """Every file that comes, goes or changes, by path; `contents` holds old contents by SHA-256, if known."""
    old = {file.path: file for file in before}
    new = {file.path: file for file in after}
    changes = []
    for path in sorted(old.keys() | new.keys()):
        upload = new.get(path)
        one, other = old.get(path), upload.reference() if upload else None
        if one != other:
            known = contents.get(one.sha256) if one else None
            diff = unified_diff(path, known, upload.content if upload else None)
            changes.append(FileChange(path, one, other, diff))
    return tuple(changes)


def replaced_hashes(before: Sequence[FileReference], after: Sequence[FileUpload]) -> set[str]:
    """SHA-256 of the old contents that a text diff needs."""
    new = {file.path: file.reference().sha256 for file in after}
    return {
        file.sha256
        for file in before
        if file.size <= MAX_DIFF_BYTES and new.get(file.path, file.sha256) != file.sha256
    }


def unified_diff(path: str, before: bytes | None, after: bytes | None) -> tuple[str, ...]:
    """The lines of a unified diff, without line ends; empty if there are not two texts to compare."""
    old, new = _lines(before), _lines(after)
    if old is None or new is None:
        return ()
    return tuple(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm=""))


def _lines(content: bytes | None) -> list[str] | None:
    if content is None or len(content) > MAX_DIFF_BYTES or b"\0" in content:
        return None
    try:
        return content.decode().split("\n")
    except UnicodeDecodeError:
        return None
