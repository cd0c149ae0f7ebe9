"""Output of Nagios plugins: verdict, text and performance data."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.outputs.nagios import nagios_samples, nagios_verdict
from agent.outputs.printed import Bounds, Printed
from agent.verdict import Verdict
from common.contracts.states import Outcome


def perfdata(text: str) -> Printed:
    return nagios_samples(text.split("\n"), Bounds())


def values(text: str) -> dict[tuple[str, str], float]:
    """By what follows the common prefix, and label."""
    printed = perfdata(text)
    assert printed.bad_lines == 0, printed.first_problem
    return {
        (sample.name.removeprefix("nagios_perfdata_"), dict(sample.labels)["label"]): sample.value
        for sample in printed.samples
    }


@pytest.mark.parametrize(
    ("item", "unit", "label", "value"),
    [
        ("time=0.01s;;;0", "seconds", "time", 0.01),
        ("rta=33.5ms;3000;5000;0", "seconds", "rta", 0.0335),
        ("t=5us", "seconds", "t", 5e-6),
        ("pl=20%;80;100;0", "ratio", "pl", 0.2),
        ("/=2643MB;5948;5958;0;5968", "bytes", "/", 2643 * 1024**2),
        ("size=512B", "bytes", "size", 512),
        ("mem=1.5KB", "bytes", "mem", 1536),
        ("packets=7c", "counter", "packets", 7),
        ("users=4;20;50;0", "value", "users", 4),
        ("'a b''c'=-1.5e3", "value", "a b'c", -1500),
        ("x=.5;@10:20;~:30", "value", "x", 0.5),
    ],
)
def test_units_become_base_units(item: str, unit: str, label: str, value: float) -> None:
    assert values(f"OK|{item}") == {(unit, label): pytest.approx(value)}


def test_data_stands_after_the_first_line_and_after_all_text() -> None:
    text = "DISK OK - free | /=1MB;5\n/ 15272 MB\n/boot 68 MB | /boot=2MB\n/home=3MB\n/var=4MB\n"
    assert [label for _, label in values(text)] == ["/", "/boot", "/home", "/var"]
    assert values("OK\nlong text = none of it\n") == {}


def test_an_unknown_value_is_no_sample_and_a_foreign_unit_is_a_label() -> None:
    printed = perfdata("OK|a=U;1;2 b=5mA")
    (sample,) = printed.samples
    assert (sample.labels, sample.value) == ((("label", "b"), ("unit", "mA")), 5)
    assert printed.bad_lines == 0


@pytest.mark.parametrize(
    "bad", ["nonsense", "a=", "=1", "a=x", "'open=1", "a=1e999", "a=0,5", "a=nan"]
)
def test_a_bad_item_is_counted_and_drops_no_good_one(bad: str) -> None:
    printed = perfdata(f"OK | first=1 {bad} last=2\n")
    assert [dict(sample.labels)["label"] for sample in printed.samples] == ["first", "last"]
    assert printed.bad_lines == 1
    assert bad in printed.first_problem


def test_a_line_of_ten_megabytes_drops_no_other() -> None:
    printed = perfdata("OK\ntext | a=1\n" + "x" * 10_000_000 + "\nb=2")
    assert [dict(sample.labels)["label"] for sample in printed.samples] == ["a", "b"]
    assert printed.bad_lines == 1


@pytest.mark.parametrize(
    ("exit_code", "outcome", "reason"),
    [
        (0, Outcome.SUCCESS, ""),
        (1, Outcome.FAILURE, "warning: PING - slow"),
        (2, Outcome.FAILURE, "critical: PING - slow"),
        (3, Outcome.BROKEN, "unknown: PING - slow"),
        (127, Outcome.BROKEN, "exit status 127: PING - slow"),
    ],
)
def test_the_exit_status_is_the_verdict(exit_code: int, outcome: Outcome, reason: str) -> None:
    said = nagios_verdict(exit_code, "PING - slow|rta=1ms\nlong text\n", "noise")
    assert said == Verdict(outcome, reason)


def test_a_plugin_that_says_nothing_still_has_a_reason() -> None:
    assert nagios_verdict(2, "", "no memory\n").reason == "critical: no memory"
    assert nagios_verdict(2, "", "").reason == "critical"


_LABELS = st.text(min_size=1, max_size=30).filter(lambda text: not {"|", "\n"} & set(text))


@given(st.dictionaries(_LABELS, st.floats(-1e12, 1e12), max_size=8))
def test_quoted_labels_come_out_as_they_went_in(data: dict[str, float]) -> None:
    items = [f"'{label.replace(chr(39), chr(39) * 2)}'={value!r}" for label, value in data.items()]
    assert values(f"OK | {' '.join(items)}") == {
        ("value", label): value for label, value in data.items()
    }


@given(st.text(alphabet="a1='|; \n%\x00;.-", max_size=80), st.integers(0, 255))
def test_no_output_breaks_it(text: str, exit_code: int) -> None:
    printed = perfdata(text)
    assert all(math.isfinite(sample.value) for sample in printed.samples)
    said = nagios_verdict(exit_code, text, "")
    assert (said.outcome is Outcome.SUCCESS) == (exit_code == 0)
    assert said.reason.isprintable()
