"""Show: what Creator would do about each cluster, and why, as a table or as JSON."""

import json
from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from creator.lanes import lane_of
from creator.outlook import Seen


def decisions_table(clusters: Iterable[Seen]) -> Table:
    """For people."""
    table = Table("cluster", "decision", "reason", "looked at again")
    for seen in clusters:
        decision = seen.decision
        table.add_row(
            seen.slug,
            Text(decision.action.value, style="dim" if decision.is_idle else "bold"),
            Text(_printable(decision.reason)),
            f"{decision.again_at:%Y-%m-%d %H:%M:%S} UTC" if decision.again_at else "",
        )
    return table


def decisions_json(clusters: Iterable[Seen]) -> str:
    """For programs: a list of objects."""
    return json.dumps(
        [
            {
                "cluster": seen.slug,
                "id": str(seen.cluster_id),
                "decision": seen.decision.action.value,
                "reason": seen.decision.reason,
                "lane": None if seen.decision.is_idle else lane_of(seen.decision).value,
                "again_at": seen.decision.again_at.isoformat() if seen.decision.again_at else None,
            }
            for seen in clusters
        ],
        indent=1,
    )


def _printable(text: str) -> str:
    """Reasons quote recipes: what would move the cursor or change colours is no part of them."""
    return "".join(character if character.isprintable() else " " for character in text)
