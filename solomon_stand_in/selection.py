"""Selectors: which series a question means. A small subset of Solomon's language; the rest is a clear error. Pure.

`{cluster="local", name="mr_prober_*"}`, `"a.b"{host="x|y"}`, `{zone!="a", rack="-"}`.
`=` and `!=` take `*`, `?` and `|`; `==` and `!==` compare the whole text; `="-"` is absent, `="*"` present.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate

from solomon_stand_in.errors import SelectorError

MAX_SELECTOR_LENGTH = 4000

_QUOTED = r'"(?P<double>[^"]*)"' + r"|'(?P<single>[^']*)'"
_NAME = re.compile(rf"\s*(?:{_QUOTED}|(?P<bare>[A-Za-z][A-Za-z0-9_.]*))\s*(?=\{{)")
_CONDITION = re.compile(
    r"\s*(?P<label>[A-Za-z][A-Za-z0-9_.]*)\s*(?P<operator>[=!<>~]+)\s*"
    rf"(?:{_QUOTED}|(?P<bare>[-A-Za-z0-9_.:/*?|]+))\s*"
)


@dataclass(frozen=True)
class Condition:
    """What one label must be like; `pattern` is the glob or text as it was written."""

    label: str
    operator: str
    pattern: str

    def holds_for(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels fulfils it; a series without the label fulfils every `!=`."""
        value = labels.get(self.label)
        if self.operator in ("==", "!=="):
            matches = value == self.pattern
        elif self.pattern == "-":
            matches = value is None
        else:
            matches = value is not None and bool(_regex_of(self.pattern).fullmatch(value))
        return matches != self.operator.startswith("!")


@dataclass(frozen=True)
class Selector:
    """Conditions that must all hold; none at all selects every series."""

    conditions: tuple[Condition, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels (its shard's among them) is meant."""
        return all(condition.holds_for(labels) for condition in self.conditions)


def selector_of(text: str) -> Selector:
    """The selector that a text means; SelectorError says what we do not understand."""
    if len(text) > MAX_SELECTOR_LENGTH:
        raise SelectorError(text[:60], f"longer than {MAX_SELECTOR_LENGTH} characters")
    stripped = text.strip()
    if not stripped:
        return Selector()
    named = _NAME.match(stripped)
    name = (Condition("name", "=", _value_in(named)),) if named else ()
    rest = stripped[named.end() :] if named else stripped
    if not (rest.startswith("{") and rest.endswith("}")):
        raise SelectorError(
            text, 'expected {label="value", ...}; functions and arithmetic are not supported here'
        )
    return Selector((*name, *_conditions(text, rest[1:-1])))


def _conditions(selector: str, text: str) -> list[Condition]:
    conditions: list[Condition] = []
    position = 0
    while text[position:].strip():
        found = _CONDITION.match(text, position)
        if not found:
            raise SelectorError(selector, f'expected label="value" at {text[position:][:30]!a}')
        if found["operator"] not in ("=", "!=", "==", "!=="):
            raise SelectorError(selector, f"operator {found['operator']} is not supported here")
        conditions.append(Condition(found["label"], found["operator"], _value_in(found)))
        position = found.end()
        if position < len(text):
            if text[position] != ",":
                raise SelectorError(selector, f"expected ',' at {text[position:][:30]!a}")
            position += 1
    return conditions


def _value_in(match: re.Match[str]) -> str:
    return next(match[key] for key in ("double", "single", "bare") if match[key] is not None)


def _regex_of(pattern: str) -> re.Pattern[str]:
    # fnmatch's regular expressions do not backtrack without end; its [sets] are plain letters to us.
    alternatives = (translate(glob.replace("[", "[[]")) for glob in pattern.split("|"))
    return re.compile("|".join(alternatives))
