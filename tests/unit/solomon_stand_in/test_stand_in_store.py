"""The store: last write wins, all or nothing, bounded."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from solomon_stand_in.errors import StoreError, TooMuchError
from solomon_stand_in.metric_values import MetricType, Value
from solomon_stand_in.metrics import Metric, Point, Shard
from solomon_stand_in.selection import selector_of
from solomon_stand_in.store import CLEANING_INTERVAL, RETENTION, Period, Series, Store
from solomon_stand_in.timestamps import milliseconds_of

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
SHARD = Shard("mr_prober", "local", "agent")


def metric(name: str, *points: tuple[datetime, Value]) -> Metric:
    return Metric(
        type=MetricType.GAUGE,
        labels=(("name", name),),
        points=tuple(Point(milliseconds_of(moment), value) for moment, value in points),
    )


def stored(store: Store, selector: str = "") -> dict[str, list[Value]]:
    series = store.series(selector_of(selector))
    points = store.points(series, period=Period(), limit=1000)
    return {one.all_labels["name"]: [point.value for point in points[one.id]] for one in series}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "series.sqlite"


def test_gives_back_by_time_what_was_written_also_after_a_restart(path: Path) -> None:
    store = Store(path)
    store.write(SHARD, [metric("up", (NOW, 2), (NOW - timedelta(seconds=15), 2**64 - 1))], now=NOW)
    store.close()
    store = Store(path)
    assert stored(store) == {"up": [2**64 - 1, 2]}
    assert store.shards() == {SHARD: 1}
    store.close()


def test_the_last_write_wins(path: Path) -> None:
    store = Store(path)
    store.write(SHARD, [metric("up", (NOW, 1), (NOW, 2))], now=NOW)
    store.write(SHARD, [metric("up", (NOW, 3))], now=NOW)
    assert stored(store) == {"up": [3]}
    store.close()


def test_the_same_labels_in_another_shard_are_another_series(path: Path) -> None:
    store = Store(path)
    store.write(SHARD, [metric("up", (NOW, 1))], now=NOW)
    store.write(Shard("mr_prober", "prod", "agent"), [metric("up", (NOW, 2))], now=NOW)
    assert stored(store, '{cluster="prod"}') == {"up": [2]}
    store.close()


def test_too_many_series_store_nothing(path: Path) -> None:
    store = Store(path, max_series_in_shard=1)
    with pytest.raises(TooMuchError, match="more than 1 metrics in shard"):
        store.write(SHARD, [metric("one", (NOW, 1)), metric("two", (NOW, 1))], now=NOW)
    assert stored(store) == {}
    store.close()


def test_old_points_and_series_without_points_go_away(path: Path) -> None:
    store = Store(path)
    old = NOW - RETENTION - timedelta(seconds=1)
    store.write(SHARD, [metric("old", (old, 1)), metric("both", (old, 1), (NOW, 2))], now=NOW)
    assert stored(store) == {"old": [1], "both": [1, 2]}
    store.write(SHARD, [metric("new", (NOW, 3))], now=NOW + CLEANING_INTERVAL)
    assert stored(store) == {"both": [2], "new": [3]}
    store.close()


def test_the_oldest_points_above_the_cap_go_away(path: Path) -> None:
    store = Store(path, max_points=2)
    moments = [NOW - timedelta(seconds=15 * back) for back in (3, 2, 1, 0)]
    store.write(SHARD, [metric("up", *((moment, i) for i, moment in enumerate(moments)))], now=NOW)
    store.clean(NOW)
    assert stored(store) == {"up": [2, 3]}
    store.close()


def test_reads_only_the_period_and_no_more_than_the_limit(path: Path) -> None:
    store = Store(path)
    store.write(SHARD, [metric("up", (NOW, 1), (NOW + timedelta(seconds=15), 2))], now=NOW)
    [series] = store.series(selector_of(""))
    only_now = Period(milliseconds_of(NOW), milliseconds_of(NOW))
    assert len(store.points([series], period=only_now, limit=1)[series.id]) == 1
    with pytest.raises(TooMuchError):
        store.points([series], period=Period(), limit=1)
    before = Period(0, milliseconds_of(NOW) - 1)
    assert store.series(selector_of(""), period=before) == []
    store.close()


def test_the_latest_points_come_in_order(path: Path) -> None:
    store = Store(path)
    store.write(
        SHARD,
        [metric("up", *((NOW + timedelta(seconds=i), i) for i in range(5)))],
        now=NOW,
    )
    [series] = store.series(selector_of(""))
    assert isinstance(series, Series)
    latest = store.latest_points([series], limit=2)[series.id]
    assert [point.value for point in latest] == [3, 4]
    store.close()


def test_a_file_that_is_no_database_is_an_error_of_ours(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("this is no database, but long enough to look at" * 100)
    with pytest.raises(StoreError, match=r"series\.sqlite cannot be used"):
        Store(path)
