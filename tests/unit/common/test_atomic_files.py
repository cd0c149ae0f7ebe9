"""Files that are never half there, and keys on which two makers agree."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.atomic_files import read_key, read_or_make_key, remove_drafts, write_atomically
from common.errors import KeyFileError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_writes_and_replaces_with_the_wanted_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    assert mode_of(path) == 0o600
    write_atomically(path, b"new", mode=0o755)
    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o755)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_reader_who_opened_the_old_file_still_sees_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"newer")
        assert reader.read() == b"old"


def test_what_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "folder", b"content")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_name_may_be_as_long_as_the_file_system_permits(tmp_path: Path) -> None:
    for name in ("x" * 255, "ü" * 127):
        write_atomically(tmp_path / name, b"content")
        assert (tmp_path / name).read_bytes() == b"content"


def test_the_first_caller_makes_the_key_and_the_next_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "server.key"
    key = read_or_make_key(path)
    assert len(key) >= 43  # 256 bits in base64
    assert mode_of(path) == 0o600
    assert read_or_make_key(path) == read_key(path) == key
    assert [entry.name for entry in path.parent.iterdir()] == ["server.key"]


def test_makers_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(read_or_make_key, [tmp_path / "server.key"] * 16))
    assert len(set(keys)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["server.key"]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "holds no text")]
)
def test_a_useless_key_file_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "server.key"
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=reason) as raised:
        read_or_make_key(path)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == content


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        read_key(tmp_path / "admin.key")


def test_a_key_that_cannot_be_made_is_a_key_file_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(KeyFileError, match="cannot be made"):
        read_or_make_key(tmp_path / "data" / "server.key")


def test_drafts_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = {"secrets.json", ".hidden", ".secrets.json.txt", "a.b.12345678"}
    for name in (*kept, ".secrets.json.ab3_x9qz", f".{'a' * 32}.12345678"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".folder.12345678").mkdir()
    (tmp_path / ".link.12345678").symlink_to("secrets.json")
    remove_drafts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept | {
        ".folder.12345678",
        ".link.12345678",
    }


def test_what_a_writer_leaves_that_is_killed_is_a_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(Path, "replace", die)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(SystemExit):
        write_atomically(tmp_path / "secrets.json", b"secret")
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 1
    remove_drafts(tmp_path)
    assert not list(tmp_path.iterdir())
