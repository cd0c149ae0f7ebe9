"""Rights and limits of the programs of one launcher; for `launcher.py` alone.

The imports of this module are memory of every launcher: it has few.
"""

import os
import resource

from agent.running import kernel


class Sandbox:
    """Rights and limits of all programs of one launcher, from its command line."""

    __slots__ = (
        "cgroup",
        "gid",
        "groups",
        "memory_bytes",
        "open_files",
        "processes",
        "temporary",
        "uid",
    )

    def __init__(self, arguments: list[str]) -> None:
        """UID (-1: as the agent), GID, further groups with commas, memory, processes, open files, temporary folder, cgroup."""
        self.uid, self.gid = int(arguments[0]), int(arguments[1])
        self.groups = [int(group) for group in arguments[2].split(",") if group]
        self.memory_bytes, self.processes, self.open_files = map(int, arguments[3:6])
        self.temporary, self.cgroup = arguments[6:8]

    def enter(self) -> None:
        """Take on rights and limits, for ever."""
        os.umask(0o022)
        # Before the agent, too: it has much to do at a time, and we have to start something at a moment.
        kernel.put_first(-20)
        kernel.take_short_turns()
        if self.cgroup:
            kernel.enter_cgroup(self.cgroup)
        kernel.adopt_orphans()
        kernel.give_up_new_privileges()
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_NOFILE, self.open_files)
        # These two only bound what happens between two looks at a run as a whole: the kernel counts processes by
        # user and memory by process, and a refused allocation would look like a failure of the target.
        _limit(resource.RLIMIT_NPROC, max(1024, 4 * self.processes))
        _limit(resource.RLIMIT_DATA, 4 * self.memory_bytes + 2**28)
        if self.uid >= 0:
            os.setgroups(self.groups)
            os.setgid(self.gid)
            os.setuid(self.uid)


def _limit(which: int, wanted: int) -> None:
    _, hard = resource.getrlimit(which)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(which, (value, value))
