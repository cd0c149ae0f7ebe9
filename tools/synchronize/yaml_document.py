"""YAML as JSON values that remember their lines: no tags of anybody's own, no key twice, texts as keys. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tools.synchronize.plain_yaml import Place, read_plainly

# Aliases of aliases make a small file endless.
MAX_NODES = 100_000

_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "int", "float")
)
_UNQUOTED = {"tag:yaml.org,2002:timestamp": "date", "tag:yaml.org,2002:value": "default value"}
_COLLECTIONS = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


@dataclass
class YamlDocument:
    """A value, the line of everything in it, and `(line, place, what is wrong)` of each mistake."""

    value: JsonValue = None
    lines: dict[Place, int] = field(default_factory=dict)
    mistakes: list[tuple[int, Place, str]] = field(default_factory=list)

    def line_of(self, place: Place) -> int:
        """The line of the value at a place, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)


def parsed_yaml(text: str) -> YamlDocument:
    """The one document in the text; after a mistake in the syntax its value is None."""
    if read := read_plainly(text):
        return YamlDocument(*read)
    return carefully_parsed_yaml(text)


def carefully_parsed_yaml(text: str) -> YamlDocument:
    """The same for any text: it knows what is allowed, and what is wrong."""
    yaml = YAML(typ="safe", pure=True)
    document = YamlDocument()
    try:
        node = yaml.compose(text)
        if node is not None:
            document.value = _Reader(yaml, document).value_of(node, ())
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        document.mistakes.append((line, (), f"no YAML: {error.problem}"))
    except YAMLError as error:
        document.mistakes.append((0, (), f"no YAML: {str(error).splitlines()[0]}"))
    except RecursionError:
        document.mistakes.append((0, (), "nested too deeply"))
    return document


class _Reader:
    """Walks the nodes of one document."""

    def __init__(self, yaml: YAML, document: YamlDocument) -> None:
        self._yaml = yaml
        self._document = document
        self._above: list[Node] = []
        self._nodes = 0

    def value_of(self, node: Node, place: Place) -> JsonValue:
        """The value of a node; None where it is a mistake."""
        self._document.lines.setdefault(place, node.start_mark.line + 1)
        self._nodes += 1
        if any(node is above for above in self._above) or self._nodes > MAX_NODES:
            return self._mistake(node, place, "aliases that hold themselves, or far too much")
        self._above.append(node)
        try:
            return self._value(node, place)
        finally:
            self._above.pop()

    def _value(self, node: Node, place: Place) -> JsonValue:
        if isinstance(node, ScalarNode):
            return self._scalar(node, place)
        if node.tag not in _COLLECTIONS:
            return self._mistake(node, place, f"the tag {node.tag} is not supported")
        if isinstance(node, SequenceNode):
            return [self.value_of(item, (*place, index)) for index, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, place)
        return None

    def _scalar(self, node: ScalarNode, place: Place) -> JsonValue:
        if kind := _UNQUOTED.get(str(node.tag)):
            return self._mistake(node, place, f"a {kind}, which JSON does not have: quote the text")
        if node.tag not in _SCALARS:
            return self._mistake(node, place, f"the tag {node.tag} is not supported")
        try:
            value: JsonValue = self._yaml.constructor.construct_object(node)
        except ValueError:
            return self._mistake(node, place, f"{node.value!r} does not fit its tag")
        if isinstance(value, float) and not math.isfinite(value):
            return self._mistake(node, place, "a number that JSON does not have")
        return value

    def _mapping(self, node: MappingNode, place: Place) -> JsonValue:
        merged: dict[str, JsonValue] = {}
        own: dict[str, JsonValue] = {}
        for key_node, item in node.value:
            if key_node.tag == _MERGE:
                for inherited in self._merged(item, place):
                    merged = inherited | merged
                continue
            key = self._key(key_node, place)
            if key in own:
                self._mistake(key_node, (*place, key), "this key is here twice")
            elif key is not None:
                self._document.lines[*place, key] = key_node.start_mark.line + 1
                own[key] = self.value_of(item, (*place, key))
        return merged | own

    def _merged(self, node: Node, place: Place) -> Iterator[dict[str, JsonValue]]:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            value = self.value_of(source, (*place, "<<"))
            if isinstance(value, dict):
                yield value
            else:
                self._mistake(source, place, "<< takes a mapping, or a list of mappings")

    def _key(self, node: Node, place: Place) -> str | None:
        if isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:str":
            return str(node.value)
        self._mistake(node, place, "a key that is no text: quote it")
        return None

    def _mistake(self, node: Node, place: Place, text: str) -> JsonValue:
        self._document.mistakes.append((node.start_mark.line + 1, place, text))
        return None
