"""What a test needs of the machine: a developer may lack it, the gate may not."""

import os

import pytest


def need(is_there: object, what: str) -> None:
    """Without it skip the test; in the gate, which sets `CI`, fail: there no test may silently not run."""
    if is_there:
        return
    if os.environ.get("CI"):  # noqa: TID251 - set by the gate, no setting of ours
        pytest.fail(f"the gate's machine lacks what this test needs: {what}")
    pytest.skip(what)
