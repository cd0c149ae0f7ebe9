"""What waits on disk: order, bounds, and what is left of it after any end."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sinks.spool import Spool
from agent.sinks.spool_records import heads_in, packed, unpacked

NOW = 1_000_000.0
MakeSpool = Callable[..., Spool]


@pytest.fixture
def make_spool(tmp_path: Path) -> MakeSpool:
    def make(*, max_bytes: int = 10_000_000, max_age_seconds: float = 86_400) -> Spool:
        spool = Spool(tmp_path / "spool", max_bytes=max_bytes, max_age_seconds=max_age_seconds)
        spool.open()
        return spool

    return make


def fill(spool: Spool, *numbers: int, size: int = 1) -> None:
    for number in numbers:
        # Hashes, so that nothing is compressed away.
        body = b"%d " % number + b"".join(
            hash((number, n)).to_bytes(8, "big", signed=True) for n in range(size // 8)
        )
        spool.append(body, points=number, at=int(NOW))


def drain(spool: Spool, now: float = NOW) -> list[int]:
    numbers = []
    while waiting := spool.oldest(now):
        numbers.append(int(waiting.body.split()[0]))
        assert waiting.points == numbers[-1]
        spool.done()
    return numbers


def test_the_oldest_goes_out_first_and_nothing_stays_behind(
    make_spool: MakeSpool, tmp_path: Path
) -> None:
    spool = make_spool()
    fill(spool, 1, 2, 3)
    assert drain(spool) == [1, 2, 3]
    fill(spool, 4)
    assert drain(spool) == [4]
    assert (spool.size, spool.lost) == (0, {})
    assert not list((tmp_path / "spool").iterdir())


def test_what_was_kept_is_there_for_the_next_process(make_spool: MakeSpool) -> None:
    fill(make_spool(), 1, 2)
    second = make_spool()
    fill(second, 3)
    assert drain(make_spool()) == [1, 2, 3]


def test_after_a_crash_only_the_segment_that_was_going_out_goes_out_again(
    make_spool: MakeSpool,
) -> None:
    first = make_spool(max_bytes=1_000_000)
    fill(first, *range(1, 10), size=6_000)  # three in a segment
    for _ in range(4):
        first.oldest(NOW)
        first.done()
    assert drain(make_spool()) == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("cut", [1, 10, 20, 40])
def test_a_half_written_record_at_the_end_is_cut_off(
    make_spool: MakeSpool, tmp_path: Path, cut: int
) -> None:
    fill(make_spool(), 1, 2, size=100)
    [segment] = (tmp_path / "spool").iterdir()
    content = segment.read_bytes()
    segment.write_bytes(content[:-cut])
    spool = make_spool()
    assert spool.lost == {"damaged": 1}
    fill(spool, 3)
    assert drain(spool) == [1, 3]


def test_an_empty_and_a_garbage_file_do_no_harm(make_spool: MakeSpool, tmp_path: Path) -> None:
    fill(make_spool(), 1)
    folder = tmp_path / "spool"
    (folder / "000000000005.spool").touch()
    (folder / "000000000006.spool").write_bytes(b"\xff" * 1000)
    (folder / "notes.txt").touch()
    spool = make_spool()
    fill(spool, 2)
    assert drain(spool) == [1, 2]
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_body_that_changed_on_disk_is_counted_and_the_others_go_on(
    make_spool: MakeSpool, tmp_path: Path
) -> None:
    spool = make_spool()
    fill(spool, 1, 2, size=100)
    [segment] = (tmp_path / "spool").iterdir()
    content = bytearray(segment.read_bytes())
    content[30] ^= 0xFF
    segment.write_bytes(content)
    assert drain(spool) == [2]
    assert spool.lost == {"damaged": 1}


def test_a_file_that_vanished_is_counted(make_spool: MakeSpool, tmp_path: Path) -> None:
    spool = make_spool()
    fill(spool, 7)
    next((tmp_path / "spool").iterdir()).unlink()
    assert drain(spool) == []
    assert spool.lost == {"damaged": 7}


def test_when_full_the_oldest_go_and_every_point_is_counted(make_spool: MakeSpool) -> None:
    spool = make_spool(max_bytes=100_000)
    numbers = range(1, 41)
    fill(spool, *numbers, size=8_000)
    assert spool.size <= 100_000
    left = drain(spool)
    assert left == list(numbers)[-len(left) :]
    assert len(left) >= 8
    assert spool.lost == {"spool_full": sum(numbers) - sum(left)}


def test_a_smaller_bound_holds_from_the_start(make_spool: MakeSpool) -> None:
    fill(make_spool(), *range(1, 41), size=8_000)
    spool = make_spool(max_bytes=100_000)
    assert spool.size <= 100_000
    assert spool.lost["spool_full"] > 0


def test_what_is_too_old_is_dropped_and_counted(make_spool: MakeSpool) -> None:
    spool = make_spool(max_age_seconds=60)
    spool.append(b"3 ", points=3, at=int(NOW) - 61)
    spool.append(b"4 ", points=4, at=int(NOW) - 60)
    assert spool.age_seconds(NOW) == 61
    assert drain(spool) == [4]
    assert spool.lost == {"too_old": 3}
    assert spool.age_seconds(NOW) == 0


def test_a_folder_that_cannot_be_made_loses_points_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = Spool(tmp_path / "file" / "spool", max_bytes=10_000_000, max_age_seconds=60)
    spool.open()
    fill(spool, 2, 3)
    spool.flush()
    assert (spool.lost, spool.oldest(NOW)) == ({"disk": 5}, None)
    spool.close()


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 1000)), max_size=6), st.data())
def test_whatever_is_cut_or_changed_only_whole_records_are_read(
    records: list[tuple[bytes, int]], data: st.DataObject
) -> None:
    whole = [packed(body, points=points, at=1) for body, points in records]
    content = b"".join(whole)
    heads = list(heads_in(content))
    assert [(head.size, head.points) for head in heads] == [
        (len(record), points) for record, (_, points) in zip(whole, records, strict=True)
    ]
    assert [unpacked(record) for record in whole] == [body for body, _ in records]
    cut = data.draw(st.integers(0, len(content)))
    kept = list(heads_in(content[:cut] + data.draw(st.binary(max_size=20))))
    assert kept[: len(records)] == heads[: len(kept)]


@given(st.data())
def test_a_byte_that_changed_ends_what_is_read_before_its_record(data: st.DataObject) -> None:
    whole = [packed(b"body" * number, points=number, at=1) for number in range(1, 5)]
    content = bytearray(b"".join(whole))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    before = [number for number in range(1, 5) if len(b"".join(whole[:number])) <= place]
    assert [head.points for head in heads_in(bytes(content))] == before
