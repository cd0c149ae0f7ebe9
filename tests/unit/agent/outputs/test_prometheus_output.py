"""Printed metrics: good lines count, bad ones are counted."""

import math
from collections.abc import Collection, Iterable
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.outputs.printed import MAX_SAMPLES, Bounds, Printed, Sample
from agent.outputs.prometheus import prometheus_samples
from agent.outputs.table import OUTPUTS


def prometheus_text(lines: Iterable[str], labels: Collection[str] = ()) -> Printed:
    return prometheus_samples([f"{line}\n" for line in lines], Bounds(labels))


def test_reads_names_labels_and_values() -> None:
    printed = prometheus_text(
        ["# HELP rtt_ms time", "# TYPE rtt_ms gauge", 'rtt_ms{path="/a b",port="1"} 1.5', "up 1"]
    )
    assert printed.samples == (
        Sample("rtt_ms", (("path", "/a b"), ("port", "1")), 1.5),
        Sample("up", (), 1.0),
    )
    assert printed.bad_lines == 0


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "a b c",
        'a{b="c} 1',
        "mr_prober_runs 1",
        "a NaN",
        "a +Inf",
        "a 1e999",
        'a{B="upper"} 1',
        'a{x="too short a name"} 1',
        f"{'a' * 201} 1",
        '{"quoted name"} 1',
        "{} 1",
        "\x00",
        "a{" + ",".join(f'label_{number}="v"' for number in range(10)) + "} 1",
        f'a{{path="{"v" * 201}"}} 1',
        f"a 1{' ' * 10_000_000}#",
        'a{host="x"} 1',
    ],
)
def test_a_bad_line_is_counted_and_never_drops_the_good_ones(line: str) -> None:
    printed = prometheus_text(["first 1", line, "last 2"])
    assert [sample.name for sample in printed.samples] == ["first", "last"]
    assert printed.bad_lines == 1
    assert printed.first_problem


def test_half_a_line_is_a_bad_line() -> None:
    printed = prometheus_samples(["first 1\n", "seconds 12"], Bounds())
    assert [sample.name for sample in printed.samples] == ["first"]
    assert "half a line" in printed.first_problem


def test_labels_of_the_matrix_win_and_leave_less_room() -> None:
    matrix = [f"axis_{number}" for number in range(8)]
    printed = prometheus_text(['a{axis_1="x"} 1', 'b{own="x"} 1', 'c{own="x",too="y"} 1'], matrix)
    assert [sample.name for sample in printed.samples] == ["b"]
    assert printed.bad_lines == 2


def test_the_last_of_equal_samples_counts() -> None:
    assert prometheus_text(["a 1", "a 2"]).samples == (Sample("a", (), 2.0),)


def test_knows_counters_by_their_type_line() -> None:
    printed = prometheus_text(
        [
            "# TYPE sent_total counter", "sent_total 5",
            "# TYPE got counter", "got_total 6",
            "# TYPE t histogram", 't_bucket{le="1"} 1', "t_sum 0.5", "t_count 1",
            "# TYPE q summary", 'q{quantile="0.5"} 3', "q_count 1",
        ]
    )  # fmt: skip
    kinds = {sample.name: sample.kind for sample in printed.samples}
    assert [name for name, kind in kinds.items() if kind == "gauge"] == ["q"]
    assert printed.bad_lines == 0


def test_a_counter_never_falls() -> None:
    assert prometheus_text(["# TYPE sent counter", "sent -1"]).bad_lines == 1


def test_the_number_of_samples_is_bounded() -> None:
    printed = prometheus_text(f"a_{n} 1" for n in range(MAX_SAMPLES + 3))
    assert len(printed.samples) == MAX_SAMPLES
    assert printed.bad_lines == 3


def test_a_flood_of_lines_is_counted_and_not_read() -> None:
    printed = prometheus_text(["a 1"] * 5000 + ["b 2"] * 20_000)
    assert [sample.name for sample in printed.samples] == ["a"]
    assert printed.bad_lines == 20_000


def test_output_none_ignores_everything() -> None:
    assert OUTPUTS["none"].samples(["a 1\n"], Bounds()).samples == ()


_BAD = st.text(max_size=60).map(lambda text: text.replace("\n", " "))
_LABEL_VALUES = st.text(max_size=40)


@given(st.lists(_BAD, max_size=8))
def test_no_text_breaks_the_parser(lines: list[str]) -> None:
    printed = prometheus_text([*lines, "good 1"])
    assert all(math.isfinite(sample.value) for sample in printed.samples)
    assert "good" in {sample.name for sample in printed.samples}


@given(
    st.dictionaries(
        st.tuples(st.from_regex(r"[a-l][a-z0-9_]{0,30}", fullmatch=True), _LABEL_VALUES),
        st.floats(allow_nan=False, allow_infinity=False),
        max_size=10,
    ),
    st.lists(st.sampled_from(["x y z w", "a{", "\x00", "a NaN", 'a{b="c} 1']), max_size=5),
)
def test_what_is_printed_comes_out_whatever_stands_between(
    values: dict[tuple[str, str], float], bad: list[str]
) -> None:
    lines = [
        f'{name}{{path="{_escaped(path)}"}} {value!r}' for (name, path), value in values.items()
    ]
    printed = prometheus_text([line for pair in zip_longest(lines, bad) for line in pair if line])
    assert {(s.name, dict(s.labels)["path"]): s.value for s in printed.samples} == values
    assert printed.bad_lines == len(bad)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
