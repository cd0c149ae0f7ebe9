"""Changes values in the text of a YAML file; comments, order and quotes of the rest stay. Pure."""

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from common.contracts.values import canonical_json
from tools.synchronize.plan import Absent, Value

Place = tuple[str, ...]
_NEEDS_ESCAPES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
# A line with nothing but a dash's indentation below a key tells how the author indents lists.
_FLUSH_LIST = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n\1- ", re.MULTILINE)


def edited_yaml(text: str, edits: Sequence[tuple[Place, Value]]) -> tuple[str, list[Place]]:
    """The text after the edits (ABSENT deletes), and the places that could not be deleted: they come from a merge."""
    yaml = _yaml(text)
    document = yaml.load(text)
    if not isinstance(document, CommentedMap):
        document = _begun(text)
    stuck: list[Place] = []
    for place, value in edits:
        _edit(document, place, value, stuck)
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue(), stuck


def new_yaml(values: Mapping[str, JsonValue], *, head: str = "") -> str:
    """The text of a new file."""
    stream = io.StringIO()
    _yaml("").dump(_written(dict(values)), stream)
    return head + (stream.getvalue() if values else "{}\n")


def _begun(text: str) -> CommentedMap:
    """An empty mapping below the comments of a file that holds nothing else."""
    document = CommentedMap()
    comments = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    if comments:
        document.yaml_set_start_comment("\n".join(comments))
    return document


def _edit(document: CommentedMap, place: Place, value: Value, stuck: list[Place]) -> None:
    *above, last = place
    node = document
    for key in above:
        if not isinstance(node.get(key), CommentedMap):
            if isinstance(value, Absent):
                return
            node[key] = CommentedMap()
        node = node[key]
    if isinstance(value, Absent):
        _delete(node, last, place, stuck)
    else:
        _set(node, last, value, place, stuck)


def _set(node: CommentedMap, key: str, value: JsonValue, place: Place, stuck: list[Place]) -> None:
    present = node.get(key)
    if key in node and _same(present, value):
        return
    if isinstance(present, CommentedMap) and isinstance(value, dict) and value:
        for name in [name for name in present if name not in value]:
            _delete(present, name, (*place, name), stuck)
        for name, inner in value.items():
            _set(present, name, inner, (*place, name), stuck)
        return
    node[_written(key)] = _written(value)


def _delete(node: CommentedMap, key: str, place: Place, stuck: list[Place]) -> None:
    with suppress(KeyError):  # what a merge gives is there, and cannot be deleted here
        del node[key]
    if key in node:
        stuck.append(place)


def _same(one: Any, other: JsonValue) -> bool:
    try:
        return canonical_json(_plain(one)) == canonical_json(other)
    except (TypeError, ValueError):
        return False


def _plain(value: Any) -> Any:
    """ruamel's values are subclasses of Python's, which remember how they were written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _written(value: JsonValue) -> Any:
    """The value as ruamel writes it whole: letters that YAML takes for line ends need escapes."""
    if isinstance(value, dict):
        return {_written(key): _written(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_written(inner) for inner in value]
    if isinstance(value, str) and _NEEDS_ESCAPES.search(value):
        return DoubleQuotedScalarString(value)
    return value


def _yaml(text: str) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.allow_unicode = True
    if _FLUSH_LIST.search(text):
        yaml.indent(mapping=2, sequence=2, offset=0)
    else:
        yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
