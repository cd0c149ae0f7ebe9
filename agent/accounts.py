"""Until when this agent's counters have been handed over, on disk: what its successor must account for.

They are written once the cell would outlast the process (`sinks/fresh_cells.py`), and by the thread that sees to that.
Whatever came after the last closed cell is lost with an agent that is killed: neither result nor skip was seen by anybody.
So the next agent counts all beats since then as skipped because of the restart, and none of them twice.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accounted:
    """Every beat until a moment is in the counters that were handed over, but for the open ones."""

    until_unix_ns: int
    # By hash of the combination (`scheduler.run_hash`): beats until then whose outcome came later, or never.
    open_beats: Mapping[int, int] = field(default_factory=dict)
    # The number of the last cell that was handed over.
    cell: int = 0


class Accounts:
    """The file; written without waiting for the disk, since it is of use only while the host stays up."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "accounted.json"
        self._draft = folder / "accounted.draft"

    def earlier(self) -> Accounted | None:
        """What the agent before this one has accounted for; None if nobody knows."""
        try:
            content = json.loads(self._file.read_bytes())
            beats = {int(key, 16): int(count) for key, count in content["open"].items()}
            return Accounted(int(content["until_unix_ns"]), beats, int(content.get("cell", 0)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, accounted: Accounted) -> None:
        """Never fails: a full disk must not stop probers, and costs no more than the balance over one restart."""
        beats = {f"{key:016x}": count for key, count in accounted.open_beats.items()}
        content = {
            "until_unix_ns": accounted.until_unix_ns, "open": beats, "cell": accounted.cell,
        }  # fmt: skip
        try:
            self._draft.write_text(json.dumps(content))
            self._draft.replace(self._file)
        except OSError as error:
            log.debug("accounts are not written: %s", error)
