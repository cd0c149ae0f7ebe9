"""What differs from the last apply, and who did it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from common.contracts.deployments import DifferenceAction, DifferenceKind
from creator.deployment.differences import Write, cause, changed_at, differences_between

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
APPLIED: dict[str, Any] = {
    "files": {"main.tf": "1", "old.tf": "1"},
    "variables": {"word": "x", "same": "y"},
    "engine": {"terraform": "1.11.3"},
}
WANTED: dict[str, Any] = {
    "files": {"main.tf": "2", "new.tf": "1"},
    "variables": {"word": "z", "same": "y"},
    "handover": {"mr_prober_cluster": "c"},
    "engine": {"terraform": "1.11.4"},
}


def _told(writes: list[Write]) -> list[tuple[str, str, str, str]]:
    found = differences_between(APPLIED, WANTED, writes)
    return [(one.kind.value, one.name, one.action.value, one.by) for one in found]


def test_each_part_is_compared() -> None:
    assert _told([]) == [
        ("file", "main.tf", "changed", ""),
        ("file", "new.tf", "added", ""),
        ("file", "old.tf", "removed", ""),
        ("variable", "word", "changed", ""),
        ("handover", "mr_prober_cluster", "added", ""),
        ("engine", "terraform", "changed", ""),
    ]
    assert differences_between(WANTED, WANTED) == []


def test_the_newest_write_of_that_thing_says_who_and_when() -> None:
    writes = [
        Write("variable", "word", "bob", NOON),
        Write("variable", "word", "ann", NOON + timedelta(hours=1)),
        Write("variable", "same", "eve", NOON + timedelta(hours=2)),
        Write("recipe", "", "carl", NOON),
    ]
    by = {(kind, name): who for kind, name, _, who in _told(writes)}
    assert by["variable", "word"] == "ann"
    assert by["file", "main.tf"] == "carl"
    assert by["engine", "terraform"] == ""
    assert changed_at(differences_between(APPLIED, WANTED, writes)) == NOON + timedelta(hours=1)


def test_a_cluster_may_come_with_its_variables_and_move_to_another_revision() -> None:
    by = {name: who for _, name, _, who in _told([Write("cluster", "", "ann", NOON)])}
    assert (by["word"], by["main.tf"], by["mr_prober_cluster"]) == ("ann", "ann", "ann")


def test_the_first_deployment_brings_everything() -> None:
    found = differences_between(None, {"files": {"a": "1"}})
    assert [(one.kind, one.action) for one in found] == [
        (DifferenceKind.FILE, DifferenceAction.ADDED)
    ]
    assert changed_at(found) is None


def test_the_cause_is_a_sentence_of_bounded_length() -> None:
    wanted = {"variables": {f"v{number}": "1" for number in range(8)}}
    found = differences_between({}, wanted, [Write("variable", "v0", "ann", NOON)])
    assert cause("changed", found) == (
        "changed: variable v0 added by ann, variable v1 added, variable v2 added,"
        " variable v3 added, variable v4 added, 3 more"
    )
    assert cause("drift", []) == "drift"
