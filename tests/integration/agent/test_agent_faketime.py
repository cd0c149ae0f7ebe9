"""An agent whose time of day leaps by days, both ways, while it runs: nothing is made up for, and nothing stops."""

import os
import pwd
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common import processes
from tests.integration.agent.stand_ins import StubApi, StubSolomon, document, prober, wait_until
from tests.integration.needs import need

ROOT = Path(__file__).parents[3]
INTERVAL_SECONDS = 0.2
# Its turn to send comes as soon as a cell is over.
HOST = "h22"


def library() -> Path:
    """libfaketime of the machine, or the one that `make test` has unpacked."""
    folders = (Path("/usr/lib"), Path(sys.executable).parent.parent / "faketime/usr/lib")
    found = [file for folder in folders for file in folder.glob("*/faketime/libfaketimeMT.so.1")]
    need(found, "Debian's libfaketime, which `make test` unpacks")
    return found[0]


def test_leaps_of_the_time_of_day_neither_stop_nor_hurry_anything(
    stub_api: StubApi, stub_solomon: StubSolomon, agent_folder: Path, tmp_path: Path
) -> None:
    witness, hands = tmp_path / "witness", tmp_path / "hands"
    script = f"echo run >> {witness}"
    stub_api.document = document(
        prober(1, {}, ["sh", "-c", script], interval_seconds=INTERVAL_SECONDS),
        hosts={HOST: {"address": "127.0.0.1"}},
    )
    hands.write_text("+0")

    def runs() -> int:
        return len(witness.read_text().split()) if witness.exists() else 0

    def pushed_at(offset_days: int) -> bool:
        """Whether a cell of that time has been pushed."""
        wanted = datetime.now(UTC) + timedelta(days=offset_days)
        moments = [datetime.fromtimestamp(push["ts"], UTC) for push in list(stub_solomon.pushes)]
        return any(abs(moment - wanted) < timedelta(hours=12) for moment in moments)

    begin = time.monotonic()
    with (tmp_path / "log").open("wb") as log:
        agent = processes.start(
            [sys.executable, "agent/main.py"],
            environment={
                "PYTHONPATH": str(ROOT),
                "LD_PRELOAD": str(library()),
                "FAKETIME_TIMESTAMP_FILE": str(hands),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "MR_PROBER_API_URL": stub_api.url,
                "MR_PROBER_CLUSTER": "demo",
                "MR_PROBER_HOST": HOST,
                "MR_PROBER_AGENT_TOKEN": stub_api.token,
                "MR_PROBER_AGENT_DIR": str(agent_folder),
                "MR_PROBER_SOLOMON_URL": stub_solomon.url,
                "MR_PROBER_SOLOMON_TOKEN": "none",
                "MR_PROBER_AGENT_USER": pwd.getpwuid(os.geteuid()).pw_name,
            },
            cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until(lambda: runs() >= 5, seconds=60)
        for days in (3, -3):
            hands.write_text(f"{days:+d}d")
            before = runs()
            # The cell that was open is closed at the new time.
            wait_until(lambda days=days: pushed_at(days), seconds=90)  # type: ignore[misc]
            wait_until(lambda before=before: runs() >= before + 5, seconds=60)  # type: ignore[misc]
    finally:
        # An orderly end is tested elsewhere: in it the standard library waits with `time.sleep`, which libfaketime refuses.
        agent.kill()
        agent.wait()
    # The first one is run late, at most once.
    assert runs() <= (time.monotonic() - begin) / INTERVAL_SECONDS + 2
    assert "Traceback" not in (tmp_path / "log").read_text()
