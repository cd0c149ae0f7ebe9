"""The fast way through plain YAML, by libyaml; whatever is unusual is left to the careful one, `yaml_document.py`. Pure.

A repository has hundreds of files: ruamel's pure Python takes milliseconds for each, and `plan` would wait seconds for them.
Scalars are resolved by ruamel's own rules (YAML 1.2), so that both ways read the same.
"""

import re

from pydantic import JsonValue
from ruamel.yaml.resolver import implicit_resolvers
from yaml import YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import BaseResolver

try:
    from yaml.cyaml import CParser
except ImportError:  # built without libyaml
    CParser = None

Place = tuple[str | int, ...]
Read = tuple[JsonValue, dict[Place, int]]

# libyaml goes down as deep as a text asks for.
_MAX_BRACKETS = 2_000
_MAX_INDENT = 200
_ODD = re.compile(
    r"[&%!\t\x85\u2028\u2029\ufeff\x00-\x08\x0b-\x1f\x7f]|<<|^(---|\.\.\.)", re.MULTILINE
)
_DEEP = re.compile(rf"^[ ]{{{_MAX_INDENT}}}", re.MULTILINE)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]+")
_TAG = "tag:yaml.org,2002:"


class _OddError(Exception):
    """Something for the careful reader, right or wrong."""


class _Resolver(BaseResolver):  # type: ignore[misc] # PyYAML has no types
    """Which plain scalars are no texts."""


class _Loader(CParser or object, _Resolver):  # type: ignore[misc] # PyYAML has no types
    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        _Resolver.__init__(self)


for versions, tag, pattern, first_letters in implicit_resolvers:
    if (1, 2) in versions:
        _Resolver.add_implicit_resolver(tag, pattern, first_letters)


def read_plainly(text: str) -> Read | None:
    """The value and the lines of everything in it; None if somebody else should look at it."""
    brackets = text.count("[") + text.count("{") + text.count("- ")
    if CParser is None or brackets > _MAX_BRACKETS or _ODD.search(text) or _DEEP.search(text):
        return None
    lines: dict[Place, int] = {}
    try:
        node = _Loader(text).get_single_node()
        if node is None:
            return None
        return _value(node, (), lines), lines
    except (YAMLError, _OddError, RecursionError, ValueError):
        return None


def _value(node: Node, place: Place, lines: dict[Place, int]) -> JsonValue:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, ScalarNode):
        return _scalar(node)
    if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
        return [_value(item, (*place, index), lines) for index, item in enumerate(node.value)]
    if not isinstance(node, MappingNode) or node.tag != f"{_TAG}map":
        raise _OddError
    found: dict[str, JsonValue] = {}
    for key_node, item in node.value:
        if not isinstance(key_node, ScalarNode) or key_node.tag != f"{_TAG}str":
            raise _OddError
        key = key_node.value
        if key in found:
            raise _OddError
        lines[*place, key] = key_node.start_mark.line + 1
        found[key] = _value(item, (*place, key), lines)
    return found


def _scalar(node: ScalarNode) -> JsonValue:
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    if kind == "str":
        return text
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and _INT.fullmatch(text):
        return int(text)
    if kind == "float" and _FLOAT.fullmatch(text):
        return float(text)
    raise _OddError
