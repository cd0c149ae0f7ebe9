"""What an agent left running that was killed together with its launchers: *act*."""

import logging
from pathlib import Path

from agent.running.group import kill_group, make_group
from agent.running.orphans import kill_marked

log = logging.getLogger(__name__)


def end_leftovers(agent_folder: Path, temporary: Path) -> None:
    """End it, before the folder of temporary folders goes by which it is known."""
    if group := make_group(agent_folder):
        kill_group(group)
    for pid in kill_marked(str(temporary)):
        log.warning("killed what an earlier agent had left running pid=%d", pid)
