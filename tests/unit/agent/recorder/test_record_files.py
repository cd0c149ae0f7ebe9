"""The recorder's files when somebody makes room by hand: what comes is kept all the same."""

import shutil
from pathlib import Path

from agent.recorder.files import RecordFiles
from agent.recorder.format import FOLDER, Kind

LINE = b'{"format":1,"number":1,"prober":"tcp"}\n'


def files_in(folder: Path) -> RecordFiles:
    files = RecordFiles(folder, max_bytes=1_000_000)
    files.open()
    files.append("tcp", Kind.FAILURES, [LINE])
    files.append("dns", Kind.SUCCESSES, [LINE])
    return files


def size_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / FOLDER).rglob("*") if path.is_file())


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    for removed in (tmp_path / FOLDER / "tcp", tmp_path / FOLDER):
        shutil.rmtree(removed)
        files.append("tcp", Kind.FAILURES, [LINE, LINE])
        files.append("dns", Kind.SUCCESSES, [LINE])
        assert (tmp_path / FOLDER / "tcp" / "failures.jsonl").read_bytes() == 2 * LINE
        assert files.size == size_in(tmp_path)
    assert (files.lost, files.problem) == (0, "")


def test_a_file_that_was_removed_or_emptied_begins_anew(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    file = tmp_path / FOLDER / "tcp" / "failures.jsonl"
    file.unlink()
    files.append("tcp", Kind.FAILURES, [LINE])
    assert file.read_bytes() == LINE
    file.write_bytes(b"")
    files.append("tcp", Kind.FAILURES, [LINE])
    assert file.read_bytes() == LINE
    assert files.size == size_in(tmp_path)
    assert (files.lost, files.problem) == (0, "")
