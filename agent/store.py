"""What the agent keeps on disk: document, files by hash, unpacked files of probers: *act*.

Everything is named by the hash of its content, written whole or not at all, and checked whenever it is read,
so that after a crash, a full disk or a flipped bit it is fetched again and never believed.

    documents/<sha256>       the document's bytes
    current                  the name of the last good one
    fallback                 the name of one before it that was in force, if it cannot be
    files/<sha256>           content of a file
    unpacked/<content hash>/ files of a prober's revision, read-only: the working directory of its runs
    temporary/               TMPDIRs of runs
    secrets.json             values of secrets, readable for the agent's user only; not named by a hash
"""

import hashlib
import re
import stat
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import ValidationError

from agent.errors import FileDamagedError
from agent.folders import remove_folder
from common.atomic_files import remove_drafts, write_atomically
from common.contracts.configuration import ClusterSecrets
from common.contracts.files import FileReference, content_hash
from common.contracts.identifiers import SHA256_PATTERN

_FOLDER_MODE = 0o555


class Store:
    """The agent's folder; every method may raise OSError. Used by one thread at a time."""

    def __init__(self, root: Path) -> None:
        """`root` is absolute; what is missing in it is made."""
        self._documents = root / "documents"
        self._current = root / "current"
        self._fallback = root / "fallback"
        self._secrets = root / "secrets.json"
        self._files = root / "files"
        self._unpacked = root / "unpacked"
        self.temporary = root / "temporary"
        for folder in (self._documents, self._files, self._unpacked, self.temporary):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Folders whose files were compared with their hashes since we started.
        self._verified: set[str] = set()

    def wipe_temporary(self) -> None:
        """Remove what runs of an earlier start left behind."""
        for folder in self.temporary.iterdir():
            remove_folder(folder)

    def remove_drafts(self) -> None:
        """Remove what an earlier start had not finished writing when it was killed."""
        for folder in (self._current.parent, self._documents, self._files):
            remove_drafts(folder)
        self._remove_drafts()

    def document(self) -> bytes | None:
        """The last good document; None if there is none or it is damaged."""
        return document_in(self._current.parent)

    def fallback(self) -> bytes | None:
        """The document before that one that was in force; None if there is none or it is damaged."""
        return _named_in(self._current.parent, self._fallback.name)

    def keep_document(self, content: bytes, *, was_in_force: bool = True) -> None:
        """Make this the last good document; if the one before was in force it becomes the fallback, else that stays."""
        name = hashlib.sha256(content).hexdigest()
        write_atomically(self._documents / name, content)
        before = _name_in(self._current)
        if was_in_force and before and before != name:
            write_atomically(self._fallback, f"{before}\n".encode())
        write_atomically(self._current, f"{name}\n".encode())
        for other in self._documents.iterdir():
            if other.name not in {name, _name_in(self._fallback)}:
                other.unlink(missing_ok=True)

    def secrets(self) -> ClusterSecrets:
        """The secrets that were kept; none if they are not there or damaged."""
        try:
            return ClusterSecrets.model_validate_json(self._secrets.read_bytes())
        except (FileNotFoundError, ValidationError):
            return ClusterSecrets()

    def keep_secrets(self, secrets: ClusterSecrets) -> None:
        """Keep these and no others, readable for nobody else."""
        write_atomically(self._secrets, secrets.model_dump_json().encode(), mode=0o600)

    def has_file(self, sha256: str) -> bool:
        """Whether the content is there and undamaged."""
        try:
            self.file(sha256)
        except (FileNotFoundError, FileDamagedError):
            return False
        return True

    def file(self, sha256: str) -> bytes:
        """The content; FileNotFoundError, FileDamagedError."""
        return _verified(self._files / sha256, sha256)

    def keep_file(self, sha256: str, content: bytes) -> None:
        """Keep the content of a file; FileDamagedError if it is not what the hash promises."""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise FileDamagedError(sha256)
        write_atomically(self._files / sha256, content)

    def unpacked(self, files: Sequence[FileReference]) -> Path | None:
        """The folder with exactly these files; None if it is not there or damaged."""
        name = content_hash(files)
        folder = self._unpacked / name
        if name not in self._verified:
            if not folder.is_dir() or not _holds_exactly(folder, files):
                return None
            self._verified.add(name)
        return folder

    def unpack(self, files: Sequence[FileReference]) -> Path:
        """Make the folder, anew if it is damaged, from files that are kept; FileDamagedError, FileNotFoundError if one is not."""
        folder = self._unpacked / content_hash(files)
        draft = Path(tempfile.mkdtemp(prefix=".", dir=self._unpacked))
        try:
            self._fill(draft, files)
            if folder.exists():
                folder.rename(Path(tempfile.mkdtemp(prefix=".", dir=self._unpacked)))
            draft.rename(folder)
        finally:
            self._remove_drafts()
        self._verified.add(folder.name)
        return folder

    def forget_all_but(
        self, wanted: Collection[Sequence[FileReference]], *, single: Collection[str] = ()
    ) -> None:
        """Remove the files, and the folders of them, that belong to none of these sets of files and are not `single` ones."""
        hashes = {file.sha256 for files in wanted for file in files} | {*single}
        names = {content_hash(files) for files in wanted}
        for file in self._files.iterdir():
            if file.name not in hashes:
                file.unlink(missing_ok=True)
        for folder in self._unpacked.iterdir():
            if folder.name not in names:
                self._verified.discard(folder.name)
                remove_folder(folder)

    def _fill(self, draft: Path, files: Sequence[FileReference]) -> None:
        for file in files:
            path = draft / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_verified(self._files / file.sha256, file.sha256))
            path.chmod(0o555 if file.mode == "0755" else 0o444)
        for folder in [path for path in draft.rglob("*") if path.is_dir()]:
            folder.chmod(_FOLDER_MODE)
        # The draft itself becomes read-only, too: renaming it writes only to its parent.
        draft.chmod(_FOLDER_MODE)

    def _remove_drafts(self) -> None:
        for draft in self._unpacked.glob(".*"):
            remove_folder(draft)


def document_in(folder: Path) -> bytes | None:
    """The last good document that an agent kept in its folder; None if there is none or it is damaged. OSError."""
    return _named_in(folder, "current")


def _named_in(folder: Path, file: str) -> bytes | None:
    name = _name_in(folder / file)
    try:
        return _verified(folder / "documents" / name, name) if name else None
    except (FileNotFoundError, FileDamagedError):
        return None


def _name_in(file: Path) -> str:
    """The name that a file holds; empty if it holds none."""
    try:
        name = file.read_text().strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return name if re.fullmatch(SHA256_PATTERN, name) else ""


def _verified(path: Path, sha256: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FileDamagedError(sha256)
    return content


def _holds_exactly(folder: Path, files: Sequence[FileReference]) -> bool:
    expected = {file.path: file for file in files}
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    if found != expected.keys():
        return False
    try:
        for path, file in expected.items():
            _verified(folder / path, file.sha256)
    except (OSError, FileDamagedError):
        return False
    return all(_is_executable(folder / path) == (expected[path].mode == "0755") for path in found)


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IXUSR)
