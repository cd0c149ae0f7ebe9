"""How this machine is: load, pressure, memory, disk: *read*; the parsing is pure."""

import os
import re
from pathlib import Path

from common.contracts.control import HostState, Pressure

_SHARE = re.compile(r"some avg10=([0-9.]+)")
_KIB = 1024


def host_state(folder: Path) -> HostState:
    """As of now; the disk is that of the folder."""
    memory = memory_in(_text("/proc/meminfo"))
    total = free = 0
    try:
        disk = os.statvfs(folder)
        total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    except OSError:
        pass  # both stay 0: unknown
    return HostState(
        processors=os.cpu_count() or 1,
        load=list(os.getloadavg()),
        pressure=pressure(),
        memory_bytes=memory.get("MemTotal", 0),
        memory_available_bytes=memory.get("MemAvailable", 0),
        disk_bytes=total,
        disk_free_bytes=free,
    )


def pressure() -> Pressure:
    """As the kernel says."""
    kinds = ("cpu", "memory", "io")
    return Pressure(**{kind: share_in(_text(f"/proc/pressure/{kind}")) for kind in kinds})


def share_in(text: str) -> float | None:
    """The share from 0 to 1 of the last 10 s; None if it is not there."""
    found = _SHARE.search(text)
    return float(found[1]) / 100 if found else None


def memory_in(text: str) -> dict[str, int]:
    """Bytes by name, of /proc/meminfo."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(kilobytes) * _KIB for name, kilobytes in found}


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
