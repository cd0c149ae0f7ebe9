"""Which files are written before a document names them, and which are taken back."""

from datetime import UTC, datetime, timedelta

from api.services.publications import GRACE, announced, expired, missing, settled, valid_versions

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_only_new_files_are_written() -> None:
    first = settled(announced({}, ["a", "b"]), ["a", "b"], now=NOW)
    assert first == {"a": None, "b": None}
    assert missing(first, ["b", "c"]) == ["c"]


def test_files_that_nobody_names_go_after_a_grace() -> None:
    files = settled(announced({"a": None}, ["b"]), ["b"], now=NOW)
    again = settled(announced(files, ["b"]), ["b"], now=NOW + timedelta(minutes=5))
    assert again == files
    assert expired(files, now=NOW + GRACE - timedelta(seconds=1)) == []
    assert expired(files, now=NOW + GRACE) == ["a"]


def test_a_file_that_is_named_again_is_written_again_and_stays() -> None:
    abandoned = settled({"a": None}, [], now=NOW)
    assert missing(abandoned, ["a"]) == ["a"]
    assert settled(announced(abandoned, ["a"]), ["a"], now=NOW) == {"a": None}


def test_what_a_crash_left_behind_is_taken_back_too() -> None:
    after_crash = announced({}, ["a"])
    files = settled(announced(after_crash, ["b"]), ["b"], now=NOW)
    assert expired(files, now=NOW + GRACE) == ["a"]


def test_agents_come_with_the_current_token_and_the_one_before_if_there_is_one() -> None:
    assert valid_versions(2, 1) == {1, 2}
    assert valid_versions(2, None) == {2}
