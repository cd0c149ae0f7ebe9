"""The series in one SQLite file: (shard, labels) → {moment: value}, the last write wins.

A write is one transaction; what is acknowledged survives a kill.
Points older than the retention, and the oldest ones above the cap, are removed now and then, so the file stays bounded.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from solomon_stand_in.errors import StoreError, TooMuchError
from solomon_stand_in.labels import Labels
from solomon_stand_in.metric_values import MetricType
from solomon_stand_in.metrics import Metric, Point, Shard
from solomon_stand_in.selection import Selector
from solomon_stand_in.timestamps import milliseconds_of

RETENTION = timedelta(hours=24)
CLEANING_INTERVAL = timedelta(minutes=5)
MAX_POINTS = 3_000_000
MAX_SERIES_IN_SHARD = 100_000

_LAYOUT_VERSION = 1
_LAYOUT = """
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  project TEXT NOT NULL, cluster TEXT NOT NULL, service TEXT NOT NULL,
  labels TEXT NOT NULL,
  type TEXT NOT NULL,
  UNIQUE (project, cluster, service, labels)
);
CREATE TABLE points (
  series_id INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
  milliseconds INTEGER NOT NULL,
  value TEXT NOT NULL, -- JSON: SQLite itself knows neither NaN nor unsigned 64 bits
  PRIMARY KEY (series_id, milliseconds)
) WITHOUT ROWID;
CREATE INDEX points_by_moment ON points (milliseconds);
"""
_SAVE_SERIES = """
INSERT INTO series (project, cluster, service, labels, type) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (project, cluster, service, labels) DO UPDATE SET type = excluded.type
RETURNING id
"""
_SAVE_POINT = """
INSERT INTO points (series_id, milliseconds, value) VALUES (?, ?, ?)
ON CONFLICT (series_id, milliseconds) DO UPDATE SET value = excluded.value
"""


@dataclass(frozen=True)
class Period:
    """Moments from `start` to `end`, both included (milliseconds since the epoch)."""

    start: int = 0
    end: int = 2**63 - 1


@dataclass(frozen=True)
class Series:
    """A stored series; `labels` are its own, sorted."""

    id: int
    shard: Shard
    type: MetricType
    labels: Labels

    @property
    def all_labels(self) -> dict[str, str]:
        """Its own labels and those of its shard."""
        return {
            "project": self.shard.project,
            "cluster": self.shard.cluster,
            "service": self.shard.service,
            **dict(self.labels),
        }


class Store:
    """The file; every method blocks, may be called from any thread and raises StoreError if the file fails."""

    def __init__(
        self,
        path: Path,
        *,
        max_points: int = MAX_POINTS,
        max_series_in_shard: int = MAX_SERIES_IN_SHARD,
    ) -> None:
        """Open the file, or make it."""
        self._path = path
        self._max_points = max_points
        self._max_series_in_shard = max_series_in_shard
        self._cleaned_at: datetime | None = None
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(path, error) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def write(self, shard: Shard, metrics: Iterable[Metric], *, now: datetime) -> None:
        """Store all the points or, if TooMuchError or StoreError is raised, none."""
        with self._transaction() as connection:
            self._clean_if_due(now)  # before, so that old points of a test can be read at once
            for metric in metrics:
                row = (shard.project, shard.cluster, shard.service)
                labels = json.dumps(metric.labels, separators=(",", ":"))
                saved = connection.execute(_SAVE_SERIES, (*row, labels, metric.type)).fetchone()
                connection.executemany(
                    _SAVE_POINT,
                    [
                        (saved[0], point.milliseconds, json.dumps(point.value))
                        for point in metric.points
                    ],
                )
            self._refuse_too_many_series(shard)

    def shards(self) -> dict[Shard, int]:
        """The shards and how many series each has, sorted."""
        query = (
            "SELECT project, cluster, service, count(*) FROM series"
            " GROUP BY project, cluster, service ORDER BY project, cluster, service"
        )
        with self._transaction() as connection:
            return {Shard(*row[:3]): row[3] for row in connection.execute(query)}

    def series(
        self, selector: Selector, *, project: str | None = None, period: Period | None = None
    ) -> list[Series]:
        """The selected series, oldest first; with a period, those that have a point in it."""
        query = "SELECT id, project, cluster, service, type, labels FROM series WHERE 1 = 1"
        arguments: list[object] = []
        if project is not None:
            query += " AND project = ?"
            arguments.append(project)
        if period is not None:
            query += (
                " AND EXISTS (SELECT 1 FROM points WHERE series_id = series.id"
                " AND milliseconds BETWEEN ? AND ?)"
            )
            arguments += [period.start, period.end]
        with self._transaction() as connection:
            rows = connection.execute(f"{query} ORDER BY id", arguments).fetchall()
        found = (
            Series(row[0], Shard(*row[1:4]), MetricType(row[4]), _labels_of(row[5])) for row in rows
        )
        return [series for series in found if selector.selects(series.all_labels)]

    def points(
        self, series: Iterable[Series], *, period: Period, limit: int
    ) -> Mapping[int, list[Point]]:
        """The points of each series (by its id) by ascending moment; TooMuchError beyond the limit in all."""
        query = (
            "SELECT milliseconds, value FROM points WHERE series_id = ?"
            " AND milliseconds BETWEEN ? AND ? ORDER BY milliseconds LIMIT ?"
        )
        found: dict[int, list[Point]] = {}
        left = limit
        with self._transaction() as connection:
            for one in series:
                rows = connection.execute(query, (one.id, period.start, period.end, left + 1))
                found[one.id] = [Point(row[0], json.loads(row[1])) for row in rows]
                left -= len(found[one.id])
                if left < 0:
                    raise TooMuchError(
                        f"more than {limit} points: ask for fewer series or less time"
                    )
        return found

    def latest_points(self, series: Iterable[Series], *, limit: int) -> Mapping[int, list[Point]]:
        """The newest points of each series (by its id), at most `limit` each, by ascending moment."""
        query = (
            "SELECT milliseconds, value FROM points WHERE series_id = ?"
            " ORDER BY milliseconds DESC LIMIT ?"
        )
        with self._transaction() as connection:
            return {
                one.id: [
                    Point(row[0], json.loads(row[1]))
                    for row in reversed(connection.execute(query, (one.id, limit)).fetchall())
                ]
                for one in series
            }

    def clean(self, now: datetime) -> None:
        """Remove what is older than the retention, what is above the cap, and series without points."""
        with self._transaction():
            self._clean(now)

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA busy_timeout = 5000")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")  # safe against kill -9
        self._connection.execute("PRAGMA foreign_keys = ON")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._connection.executescript(
                f"BEGIN; {_LAYOUT} PRAGMA user_version = {_LAYOUT_VERSION}; COMMIT;"
            )
        elif version != _LAYOUT_VERSION:
            raise StoreError(
                self._path, f"it has layout {version}, not {_LAYOUT_VERSION}; delete it"
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:  # some errors end it themselves
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(self._path, error) from error

    def _refuse_too_many_series(self, shard: Shard) -> None:
        query = "SELECT count(*) FROM series WHERE project = ? AND cluster = ? AND service = ?"
        row = (shard.project, shard.cluster, shard.service)
        if self._connection.execute(query, row).fetchone()[0] > self._max_series_in_shard:
            raise TooMuchError(f"more than {self._max_series_in_shard} metrics in shard")

    def _clean_if_due(self, now: datetime) -> None:
        if self._cleaned_at is None or now - self._cleaned_at >= CLEANING_INTERVAL:
            self._clean(now)

    def _clean(self, now: datetime) -> None:
        self._cleaned_at = now
        oldest = milliseconds_of(now - RETENTION)
        self._connection.execute("DELETE FROM points WHERE milliseconds < ?", (oldest,))
        surplus = (
            self._connection.execute("SELECT count(*) FROM points").fetchone()[0] - self._max_points
        )
        if surplus > 0:
            self._connection.execute(
                "DELETE FROM points WHERE milliseconds <="
                " (SELECT milliseconds FROM points ORDER BY milliseconds LIMIT 1 OFFSET ?)",
                (surplus - 1,),
            )
        self._connection.execute(
            "DELETE FROM series WHERE id NOT IN (SELECT series_id FROM points)"
        )


def _labels_of(text: str) -> Labels:
    return tuple((name, value) for name, value in json.loads(text))
