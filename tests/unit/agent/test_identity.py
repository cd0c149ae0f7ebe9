"""The identity survives restarts, and each start is counted."""

from pathlib import Path

import pytest

from agent.identity import next_identity


def test_the_instance_stays_and_the_boot_counts(tmp_path: Path) -> None:
    first = next_identity(tmp_path)
    second = next_identity(tmp_path)
    assert first.boot == 1
    assert (second.instance, second.boot) == (first.instance, 2)


@pytest.mark.parametrize("content", [b"", b"{", b'{"instance": 1, "boot": 1}', b"\xff"])
def test_a_damaged_file_makes_a_new_instance(tmp_path: Path, content: bytes) -> None:
    first = next_identity(tmp_path)
    (tmp_path / "identity.json").write_bytes(content)
    assert next_identity(tmp_path).instance != first.instance
