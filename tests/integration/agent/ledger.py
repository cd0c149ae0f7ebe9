"""Both sides of the ledger: the beats that a prober should have had, and what Solomon was told of them."""

import json
from collections import Counter
from pathlib import Path
from uuid import UUID

from agent.plan import RunKey
from agent.scheduler import SECOND_NS, phase_ns, run_hash
from tests.integration.agent.stand_ins import CLUSTER_ID, StubSolomon, prober_id


def beats(number: int, interval_seconds: float, since_ns: int, until_ns: int) -> int:
    """How many beats a prober has on host h1 between two moments of Unix time, from interval and phase alone."""
    interval_ns = round(interval_seconds * SECOND_NS)
    key = RunKey(UUID(prober_id(number)), "{}")
    phase = phase_ns(run_hash(UUID(CLUSTER_ID), "h1", key), interval_ns)
    return (until_ns - phase) // interval_ns - (since_ns - phase) // interval_ns


def counted(solomon: StubSolomon, number: int) -> Counter[str]:
    """What the newest cell says of a prober: runs by outcome, skipped ones by reason."""
    newest = max(solomon.pushes, key=lambda push: int(push["ts"]))
    found: Counter[str] = Counter()
    for sensor in newest["sensors"]:
        labels = sensor["labels"]
        is_asked_for = labels["name"] in {"mr_prober_runs", "mr_prober_skipped_runs"}
        if is_asked_for and labels["prober_slug"] == f"prober-{number}":
            found[labels.get("outcome") or labels["reason"]] += sensor["value"]
    return +found


def accounted_until_ns(folder: Path) -> int:
    """Until when an agent that has ended counted all beats, Unix time."""
    return int(json.loads((folder / "accounted.json").read_bytes())["until_unix_ns"])
