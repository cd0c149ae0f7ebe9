"""Does a JSON value fit terraform's type constraint? Pure; terraform's own conversions (`"3"` is a number) count as fitting.

What is refused here terraform would refuse, too; what is not understood here is not judged.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pydantic import JsonValue

MAX_PROBLEMS = 20
_MAX_TEXT = 64 * 1024
_MAX_LEVELS = 32
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
      | (?P<name>[A-Za-z_][A-Za-z0-9_-]*)
      | (?P<text>"(?:[^"\\]|\\.)*")
      | (?P<sign>[(){}\[\],=:])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Other spellings that Go reads as numbers, such as infinities and binary exponents.
_MAYBE_NUMBER = re.compile(r"[+-]?(inf|infinity|[0-9.]+[eEpP][+-]?[0-9]+)", re.IGNORECASE)
_TRUTHS = frozenset({"true", "false", "1", "0"})
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


class NotUnderstoodError(ValueError):
    """A type constraint that we cannot read: only terraform may judge it."""


@dataclass(frozen=True)
class Primitive:
    """`string`, `number`, `bool` or `any`."""

    name: str


@dataclass(frozen=True)
class Collection:
    """`list`, `set` or `map` of one type."""

    name: str
    items: "Type"


@dataclass(frozen=True)
class Tuple:
    """A list of fixed length."""

    items: tuple["Type", ...]


@dataclass(frozen=True)
class Object:
    """Named attributes; the optional ones may be absent."""

    attributes: dict[str, "Type"]
    optional: frozenset[str] = field(default=frozenset())


Type = Primitive | Collection | Tuple | Object
ANY = Primitive("any")


@dataclass(frozen=True)
class Misfit:
    """One place in a value that cannot be right: its path below the value (`[3].cpu`) and what belongs there."""

    path: str
    expected: str


def misfits(value: JsonValue, constraint: str) -> list[Misfit]:
    """Where the value does not fit the type constraint; none if it fits or the constraint is not understood."""
    try:
        kind = parsed_type(constraint)
    except NotUnderstoodError:
        return []
    found = []
    for misfit in _misfits(value, kind, ""):
        found.append(misfit)
        if len(found) == MAX_PROBLEMS:
            break
    return found


@lru_cache(maxsize=4096)
def parsed_type(constraint: str) -> Type:
    """The type behind a constraint's text; an empty one stands for any value. NotUnderstoodError."""
    if not constraint.strip():
        return ANY
    if len(constraint) > _MAX_TEXT:
        raise NotUnderstoodError("too long")
    parser = _Parser(constraint)
    kind = parser.type(_MAX_LEVELS)
    parser.expect("")
    return kind


def _misfits(value: JsonValue, kind: Type, path: str) -> Iterator[Misfit]:
    if value is None:
        return  # null is a value of every type
    match kind:
        case Primitive():
            if expected := _wrong_primitive(value, kind.name):
                yield Misfit(path, expected)
        case Collection(name="map"):
            yield from _in_map(value, kind, path)
        case Collection():
            yield from _in_list(value, kind, path)
        case Tuple():
            yield from _in_tuple(value, kind, path)
        case Object():
            yield from _in_object(value, kind, path)


def _wrong_primitive(value: JsonValue, name: str) -> str:
    if name == "any" or _converts(value, name):
        return ""
    return f"a {name}, not {_kind_of(value)}"


def _converts(value: JsonValue, name: str) -> bool:
    if isinstance(value, bool):
        return name in {"bool", "string"}
    if isinstance(value, int | float):
        return name in {"number", "string"}
    if not isinstance(value, str):
        return False
    if name == "number":
        return bool(_NUMBER.fullmatch(value) or _MAYBE_NUMBER.fullmatch(value))
    return name == "string" or value in _TRUTHS


def _in_map(value: JsonValue, kind: Collection, path: str) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        yield Misfit(path, f"a map, not {_kind_of(value)}")
        return
    for key, item in value.items():
        yield from _misfits(item, kind.items, f"{path}{_step(key)}")


def _in_list(value: JsonValue, kind: Collection, path: str) -> Iterator[Misfit]:
    if not isinstance(value, list):
        yield Misfit(path, f"a {kind.name}, not {_kind_of(value)}")
        return
    for index, item in enumerate(value):
        yield from _misfits(item, kind.items, f"{path}[{index}]")


def _in_tuple(value: JsonValue, kind: Tuple, path: str) -> Iterator[Misfit]:
    if not isinstance(value, list):
        yield Misfit(path, f"a tuple, not {_kind_of(value)}")
    elif len(value) != len(kind.items):
        yield Misfit(path, f"{len(kind.items)} items, not {len(value)}")
    else:
        for index, (item, one) in enumerate(zip(value, kind.items, strict=True)):
            yield from _misfits(item, one, f"{path}[{index}]")


def _in_object(value: JsonValue, kind: Object, path: str) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        yield Misfit(path, f"an object, not {_kind_of(value)}")
        return
    for name, one in kind.attributes.items():
        if name in value:
            yield from _misfits(value[name], one, f"{path}{_step(name)}")
        elif name not in kind.optional:
            yield Misfit(f"{path}{_step(name)}", "a value: this attribute is required")


def _step(key: str) -> str:
    return f".{key}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) else f"[{key[:100]!r}]"


def _kind_of(value: JsonValue) -> str:
    """Never the value itself, which may be secret."""
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "this text"
    return "a list" if isinstance(value, list) else "an object"


class _Parser:
    """Reads a constraint from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def type(self, levels: int) -> Type:
        """The type that begins here."""
        if not levels:
            raise NotUnderstoodError("nested too deeply")
        name = self._next()
        if name in {"string", "number", "bool", "any"}:
            return Primitive(name)
        if name in {"list", "map"} and self._peek() != "(":
            return Collection(name, ANY)  # older than list(any)
        self.expect("(")
        kind = self._constructed(name, levels - 1)
        self._skip(",")
        self.expect(")")
        return kind

    def expect(self, sign: str) -> None:
        """Take this token; the empty one stands for the end."""
        if self._next() != sign:
            raise NotUnderstoodError(f"expected {sign or 'the end'}")

    def _constructed(self, name: str, levels: int) -> Type:
        if name in {"list", "set", "map"}:
            return Collection(name, self.type(levels))
        if name == "tuple":
            return self._tuple(levels)
        if name == "object":
            return self._object(levels)
        raise NotUnderstoodError(name)

    def _tuple(self, levels: int) -> Tuple:
        items: list[Type] = []
        self.expect("[")
        while self._peek() != "]":
            items.append(self.type(levels))
            self._skip(",")
        self.expect("]")
        return Tuple(tuple(items))

    def _object(self, levels: int) -> Object:
        attributes: dict[str, Type] = {}
        optional: set[str] = set()
        self.expect("{")
        while self._peek() != "}":
            name = self._next().strip('"')
            if self._next() not in {"=", ":"}:
                raise NotUnderstoodError("expected =")
            if self._peek() == "optional":
                optional.add(name)
            attributes[name] = self._attribute(levels)
            self._skip(",")
        self.expect("}")
        return Object(attributes, frozenset(optional))

    def _attribute(self, levels: int) -> Type:
        if self._peek() != "optional":
            return self.type(levels)
        self._next()
        self.expect("(")
        kind = self.type(levels)
        self._pass_default()
        self.expect(")")
        return kind

    def _pass_default(self) -> None:
        """Whatever the default is, its brackets are balanced."""
        depth = 0
        while depth or self._peek() != ")":
            token = self._next()
            depth += (token in _OPENING) - (token in _CLOSING)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token and self._at > len(self._tokens):
            raise NotUnderstoodError("it ends too early")
        self._at += 1
        return token

    def _skip(self, sign: str) -> None:
        if self._peek() == sign:
            self._at += 1


def _tokens(text: str) -> Sequence[str]:
    return [
        match.group()
        for match in _TOKEN.finditer(text)
        if not match.group().isspace() and match.lastgroup != "space"
    ]
