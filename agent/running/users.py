"""Whose rights a program gets: *decide*; and what the system knows about a user."""

import errno
import grp
import os
import pwd
from dataclasses import dataclass


@dataclass(frozen=True)
class Users:
    """What the owner of this host permits."""

    default: str = ""  # for whoever names nobody; empty: the agent's own user
    allowed: frozenset[str] = frozenset()  # beside the default
    own: str = ""  # the agent's user
    may_change: bool = False  # the agent can take on another user's rights

    @property
    def default_name(self) -> str:
        """The user of programs whose prober names nobody."""
        return self.default or self.own

    def chosen(self, wanted: str) -> str:
        """The user for a prober that wants this one, empty for the agent's own; PermissionError if it may not be."""
        user = wanted or self.default
        if user in ("", self.own) and (user == self.default or not self.may_change):
            return ""
        if user != self.default and user not in self.allowed:
            raise PermissionError(
                errno.EPERM,
                f"the owner of this host does not allow user {user!r} (MR_PROBER_AGENT_ALLOWED_USERS)",
            )
        if not self.may_change:
            raise PermissionError(
                errno.EPERM, f"only root can start programs as {user!r}, the agent is {self.own!r}"
            )
        return user


def users_of_this_host(default: str, allowed: frozenset[str]) -> Users:
    """The rules as they are for this process."""
    is_root = os.geteuid() == 0
    try:
        own = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may run under a number without a name
        own = str(os.geteuid())
    return Users(default if is_root else "", allowed, own, may_change=is_root)


@dataclass(frozen=True)
class Identity:
    """The numbers behind a user's name; -1: those of this process."""

    uid: int = -1
    gid: int = -1
    groups: tuple[int, ...] = ()


def identity_of(user: str) -> Identity:
    """The numbers; empty names this process itself; OSError if there is no such user."""
    if not user:
        return Identity()
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise OSError(errno.ENOENT, f"this host has no user {user!r}") from error
    groups = {group.gr_gid for group in grp.getgrall() if user in group.gr_mem}
    return Identity(entry.pw_uid, entry.pw_gid, tuple(sorted({entry.pw_gid, *groups})))
