"""Folders of recipes and probers: which of their files are uploaded, and what is refused."""

import stat
from fnmatch import fnmatchcase
from pathlib import Path

from common.contracts.files import MAX_FILE_BYTES, FileUpload, checked_path
from tools.synchronize.errors import Mistake

# What editors, Python, git and terraform leave behind; terraform's lock file belongs to the recipe.
LEFTOVERS = (".*", "*~", "#*#", "*.pyc", "__pycache__", "*.tfstate", "*.tfstate.*")
WANTED = (".terraform.lock.hcl",)


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name is left out without a word."""
    return name not in WANTED and any(fnmatchcase(name, pattern) for pattern in LEFTOVERS)


def files_below(folder: Path, *, without: str) -> tuple[list[FileUpload], list[Mistake]]:
    """All files below a folder by ascending path, except `without` at its top; links and devices are mistakes."""
    files: list[FileUpload] = []
    mistakes: list[Mistake] = []
    for path in _paths_below(folder):
        relative = path.relative_to(folder).as_posix()
        if relative == without:
            continue
        try:
            files.append(_upload(path, relative))
        except ValueError as error:
            mistakes.append(Mistake(str(path), 0, "", str(error)))
        except OSError as error:
            mistakes.append(Mistake(str(path), 0, "", f"cannot be read: {error.strerror}"))
    return files, mistakes


def _paths_below(folder: Path) -> list[Path]:
    paths: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if is_leftover(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            paths += _paths_below(entry)
        else:
            paths.append(entry)
    return paths


def _upload(path: Path, relative: str) -> FileUpload:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise ValueError("is a link: put the file itself here")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is neither a file nor a folder")
    if status.st_size > MAX_FILE_BYTES:
        raise ValueError(f"has {status.st_size} bytes, more than {MAX_FILE_BYTES}")
    checked_path(relative)
    return FileUpload.of(
        relative, path.read_bytes(), executable=bool(status.st_mode & stat.S_IXUSR)
    )
