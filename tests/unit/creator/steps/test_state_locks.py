"""Whose a lock on a state is, and when Creator may free it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.contracts.deployments import StateLock
from creator.steps.state_locks import (
    LocalLock,
    LockHolder,
    first_sign_of_the_lock,
    how_to_unlock,
    is_held_by,
    lock_in_the_way,
    lock_of_json,
    may_be_freed,
)

START = datetime(2026, 11, 22, 21, 12, 20, tzinfo=UTC)
SIGN = START + timedelta(seconds=3)
LOCK = StateLock(
    id="209f1624-f1f8-ce69-4fbf-47c0b338c180",
    operation="OperationTypeApply",
    who="root@vm",
    created="2026-11-22T21:12:21.050699596Z",
    path="terraform.tfstate",
)
# What terraform 1.11 says, as a diagnostic's detail.
REFUSED = """Error message: resource temporarily unavailable
Lock Info:
  ID:        209f1624-f1f8-ce69-4fbf-47c0b338c180
  Path:      terraform.tfstate
  Operation: OperationTypeApply
  Who:       root@vm
  Version:   1.11.4
  Created:   2026-11-22 21:12:21.050699596 +0000 UTC
  Info:


Terraform acquires a state lock to protect the state from being written
by multiple users at the same time."""


def lock(**changes: str) -> StateLock:
    """The lock with some fields otherwise."""
    return LOCK.model_copy(update=changes)


def test_a_lock_that_this_host_made_before_terraform_showed_to_hold_one_is_its_own() -> None:
    assert is_held_by(LOCK, host="vm", started_at=START, sign_at=SIGN)


@pytest.mark.parametrize(
    "strange",
    [
        lock(who="root@another"),
        lock(who=""),
        lock(created="2026-11-22T21:12:19.999999999Z"),  # before we began
        lock(created="2026-11-22T21:12:23.000001Z"),  # after ours was held: we gave it back
        lock(created="soon"),
        lock(created=""),
    ],
)
def test_every_other_lock_is_a_strangers(strange: StateLock) -> None:
    assert not is_held_by(strange, host="vm", started_at=START, sign_at=SIGN)


def test_the_moment_of_a_lock_is_read_as_go_prints_it_too() -> None:
    printed = lock(created="2026-11-22 21:12:21.050699596 +0000 UTC")

    assert is_held_by(printed, host="vm", started_at=START, sign_at=SIGN)


def test_the_first_event_that_needs_the_lock_shows_it() -> None:
    events = [
        b'{"@level":"info","@timestamp":"2026-11-22T21:12:21.000000Z","type":"version"}\n',
        b"not json\n",
        b'{"@timestamp":"2026-11-22T21:12:21.500000Z","type":"state_lock_acquire"}\n',
        b'{"@timestamp":"2026-11-22T21:12:22.000000Z","type":"refresh_start"}\n',
        b'{"@timestamp":"2026-11-22T21:12:23.000000Z","type":"apply_start"}\n',
    ]

    assert first_sign_of_the_lock(events) == START + timedelta(seconds=2)
    assert first_sign_of_the_lock(events[:3]) is None


def test_a_half_written_event_is_no_sign() -> None:
    assert first_sign_of_the_lock([b'{"@timestamp":"2026-11-22T21:12:22.000000Z","type":"ref']) is None  # fmt: skip


@pytest.mark.parametrize(
    ("holders", "may"),
    [
        ([], False),
        ([LockHolder("another", is_dead=True)], False),
        ([LockHolder(LOCK.id, is_dead=False)], False),
        ([LockHolder(LOCK.id, is_dead=True)], True),
        ([LockHolder(LOCK.id, is_dead=True), LockHolder(LOCK.id, is_dead=False)], False),
        ([LockHolder("", is_dead=True)], False),
    ],
)
def test_only_a_lock_that_our_dead_recorded_may_be_freed(
    holders: list[LockHolder], *, may: bool
) -> None:
    assert may_be_freed(LOCK, holders) is may


def test_a_lock_without_an_id_is_never_freed() -> None:
    assert not may_be_freed(lock(id=""), [LockHolder("", is_dead=True)])


def test_who_is_in_the_way_is_read_from_a_diagnostic() -> None:
    found = lock_in_the_way(REFUSED)

    assert found == lock(created="2026-11-22 21:12:21.050699596 +0000 UTC")


def test_who_is_in_the_way_is_read_from_a_framed_text() -> None:
    framed = "\n".join(f"│ {line}" for line in REFUSED.splitlines())

    assert lock_in_the_way(f"╷\n│ Error: Error acquiring the state lock\n│\n{framed}\n╵") == lock(
        created="2026-11-22 21:12:21.050699596 +0000 UTC"
    )


@pytest.mark.parametrize(
    "message", ["", "Error: Invalid reference", "Error acquiring the state lock: no such bucket"]
)
def test_other_errors_name_no_lock(message: str) -> None:
    assert lock_in_the_way(message) is None


def test_terraforms_own_record_of_a_lock_is_read() -> None:
    record = {
        "ID": LOCK.id,
        "Operation": LOCK.operation,
        "Info": "",
        "Who": LOCK.who,
        "Version": "1.11.4",
        "Created": LOCK.created,
        "Path": LOCK.path,
    }

    assert lock_of_json(json.dumps(record).encode()) == LOCK


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"ID": 5}', b"\xff"])
def test_what_is_no_record_of_a_lock_is_none(content: bytes) -> None:
    assert lock_of_json(content) is None


def test_a_local_lock_lies_beside_the_state(tmp_path: Path) -> None:
    reader = LocalLock(tmp_path / "terraform.tfstate")
    assert reader.read() is None

    (tmp_path / ".terraform.tfstate.lock.info").write_text(json.dumps({"ID": "one"}))

    assert reader.read() == StateLock(id="one")


def test_the_sentence_names_holder_and_command() -> None:
    sentence = how_to_unlock(LOCK)

    assert "root@vm" in sentence
    assert f"terraform force-unlock {LOCK.id}" in sentence
