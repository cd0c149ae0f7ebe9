"""The fast way and the careful way read the same, whenever the fast one dares to read at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.synchronize.plain_yaml import read_plainly
from tools.synchronize.yaml_document import carefully_parsed_yaml
from tools.synchronize.yaml_edit import new_yaml

CONFIGS = Path(__file__).resolve().parents[4] / "configs"
SCALARS = [
    "1", "-1", "+1", "01", "0o17", "0x1F", "1_000", "1.0", "-1.50", ".5", "1.", "1e3", "1e+20", ".inf", ".nan", "null",
    "~", "Null", "true", "True", "TRUE", "yes", "no", "on", "off", "y", "2026-01-01", "=", "'1'", '"\\u00fc"', "text",
    "two words", "a: b", "a #b", "a#b", "[1, a]", "{a: 1, b: [x]}", "|\n  one\n  two", ">-\n  one\n  two", "*", "",
    "190:20:30", "0b11", "1,000", "-", "- 1", "!!str 1", "&a b", "@x", "`x`", "%x", "\t1", "- - 1", "'a''b'",
]  # fmt: skip
PARTS = st.sampled_from(SCALARS)
LINES = st.tuples(
    st.sampled_from(["a", "b", "'c d'", "1", "true", "null", "a.b", "? x", ""]), PARTS
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def same(text: str) -> bool:
    """Whether the fast way read it; the careful one must have read the same then, to the type and the line."""
    plain = read_plainly(text)
    if plain is None:
        return False
    careful = carefully_parsed_yaml(text)
    assert careful.mistakes == []
    assert json.dumps(plain[0]) == json.dumps(careful.value)
    assert plain[1] == careful.lines
    return True


@given(st.lists(LINES, max_size=5))
def test_both_ways_agree_on_odd_scalars(lines: list[tuple[str, str]]) -> None:
    same("".join(f"{key}: {value}\n" for key, value in lines))


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_both_ways_agree_on_what_we_write(values: dict[str, Any]) -> None:
    text = new_yaml(values)
    same(text)
    assert json.dumps(carefully_parsed_yaml(text).value) == json.dumps(values)


@given(st.text(alphabet="ab:-[]{}'\"#,|> \n.?1~", max_size=30))
def test_both_ways_agree_on_any_text(text: str) -> None:
    same(text)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_example_is_read_the_fast_way(path: Path) -> None:
    assert same(path.read_text())


def test_depth_and_size_are_left_to_the_careful_way() -> None:
    assert read_plainly("[" * 100_000) is None
    assert read_plainly("a:\n" + " " * 300 + "b: 1\n") is None
