"""As whom terraform runs where Creator is root: another user, who reads nothing of Creator's but the workspace."""

import os
import pwd
from pathlib import Path

from creator.errors import CannotStartError
from creator.steps.launches import User


def user_called(name: str) -> User | None:
    """The user of that name with all groups; None for the empty name, Creator's own user; CannotStartError."""
    if not name:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise CannotStartError(
            f"MR_PROBER_TERRAFORM_USER: this machine has no user {name}"
        ) from None
    if entry.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise CannotStartError(
            "MR_PROBER_TERRAFORM_USER is for a Creator that runs as root; this one does not"
        )
    if entry.pw_uid == 0:
        raise CannotStartError("MR_PROBER_TERRAFORM_USER is to be somebody else than root")
    return User(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)))


def home_of(user: User) -> str:
    """The user's home folder."""
    return pwd.getpwuid(user.uid).pw_dir


def hand_over(folder: Path, user: User | None) -> None:
    """Make everything in the folder, itself included, belong to terraform's user; nothing if that is Creator's. OSError.

    No link is followed, so that a recipe cannot make files outside of it its own.
    """
    if user is None:
        return
    for _, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, user.uid, user.gid, dir_fd=descriptor, follow_symlinks=False)
    os.chown(folder, user.uid, user.gid, follow_symlinks=False)


def let_read(file: Path, user: User | None) -> None:
    """Let terraform's user read a file that stays ours; nothing if that user is Creator's. OSError."""
    if user is None:
        return
    os.chown(file, -1, user.gid, follow_symlinks=False)
    file.chmod(0o640)


def open_the_way(folder: Path, top: Path, user: User | None) -> None:
    """Let terraform's user walk through `top` and every folder from there to `folder`, and list none of them. OSError."""
    if user is None:
        return
    for step in (folder, *folder.parents):
        step.chmod(step.stat().st_mode | 0o011)
        if step == top:
            return
