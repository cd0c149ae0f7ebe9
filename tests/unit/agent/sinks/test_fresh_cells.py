"""Cells until they are pushed: what was handed over is there for the next process, and nothing else is."""

from datetime import UTC, datetime
from pathlib import Path

from agent.sinks.fresh_cells import FreshCell, FreshCells
from agent.sinks.port import Batch, SeveralSinks
from common.solomon.encoder import EncodedPush


def cell(number: int, *bodies: bytes) -> FreshCell:
    return FreshCell(number, 1000 + number, [EncodedPush(body, 2) for body in bodies])


def left_in(folder: Path, handed_over: int) -> list[tuple[bytes, int, int]]:
    found = FreshCells(folder).left(handed_over)
    return [(body, head.points, head.at) for head, body in found]


def test_what_was_handed_over_is_found_once_and_what_was_not_never(tmp_path: Path) -> None:
    cells = FreshCells(tmp_path)
    for one in (cell(7, b"a", b"b"), cell(8, b"c"), cell(10, b"d")):
        cells.keep(one)
    cells.done(8)
    assert left_in(tmp_path, 9) == [(b"a", 2, 1007), (b"b", 2, 1007)]
    assert not list(tmp_path.iterdir())
    assert left_in(tmp_path, 10) == []


def test_half_a_file_gives_its_whole_records(tmp_path: Path) -> None:
    FreshCells(tmp_path).keep(cell(7, b"a" * 100, b"b" * 100))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert [body for body, *_ in left_in(tmp_path, 7)] == [b"a" * 100]


def test_a_folder_that_takes_nothing_is_no_error(tmp_path: Path) -> None:
    cells = FreshCells(tmp_path / "missing")
    cells.keep(cell(7, b"a"))
    cells.done(7)
    assert left_in(tmp_path / "missing", 7) == []


def test_a_batch_that_no_sink_keeps_is_handed_over_at_once() -> None:
    kept: list[str] = []
    SeveralSinks([]).accept(Batch(datetime.now(UTC), [], {}, on_kept=lambda: kept.append("x")))
    assert kept == ["x"]
