"""What our client encodes, the stand-in takes: they share no code, so each checks how the other read the facts."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.solomon.classic import ClassicDialect
from common.solomon.cloud import CloudDialect
from common.solomon.encoder import Dialect, PushEncoder
from common.solomon.points import Histogram, Kind, Point
from solomon_stand_in import classic_body, cloud_body
from solomon_stand_in.metrics import Metric

MetricsOf = Callable[..., list[Metric]]
NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
SIGNED = st.integers(min_value=-(2**63), max_value=2**63 - 1)
UNSIGNED = st.integers(min_value=0, max_value=2**64 - 1)
VALUES = st.one_of(
    st.tuples(st.just(Kind.GAUGE), st.floats()),
    st.tuples(st.just(Kind.IGAUGE), SIGNED),
    st.tuples(st.just(Kind.RATE), UNSIGNED),
    st.tuples(
        st.just(Kind.HIST_RATE),
        st.builds(Histogram, st.just((0.001, 50.0)), st.tuples(UNSIGNED, UNSIGNED), UNSIGNED),
    ),
)
LABEL_NAMES = st.text(alphabet="abz_.-0é", max_size=35) | st.sampled_from(["name", "cluster"])
POINTS = st.builds(
    lambda name, kind_and_value, labels: Point(name, kind_and_value[0], kind_and_value[1], labels),
    st.text(max_size=210),
    VALUES,
    st.dictionaries(LABEL_NAMES, st.text(max_size=210), max_size=20),
)


def test_takes_every_character_as_our_client_writes_it() -> None:
    points = [Point("a", Kind.GAUGE, 1, {"target": chr(code)}) for code in range(0x250)]
    [push] = PushEncoder(ClassicDialect()).encode(points, at=NOW, common_labels={}).pushes
    assert len(classic_body.metrics_of(push.body, now=NOW)) == len(points)


@pytest.mark.parametrize(
    ("dialect", "metrics_of"),
    [(ClassicDialect(), classic_body.metrics_of), (CloudDialect(), cloud_body.metrics_of)],
)
@given(points=st.lists(POINTS, max_size=3), host=st.text(max_size=210))
def test_takes_all_that_our_client_encodes(
    dialect: Dialect, metrics_of: MetricsOf, points: list[Point], host: str
) -> None:
    encoder = PushEncoder(dialect)
    encoded = encoder.encode(points, at=NOW, common_labels={"host": host})
    metrics = [metrics_of(push.body, now=NOW) for push in encoded.pushes]
    if isinstance(dialect, ClassicDialect):
        assert sum(map(len, metrics)) == len(points) - encoded.dropped
    assert [len(part) for part in metrics] == [push.metrics for push in encoded.pushes]
