"""Differences between the fields of two objects, as JSON values with a path. Pure."""

from collections.abc import Mapping

from pydantic import JsonValue

from common.contracts.values import canonical_json
from tools.synchronize.plan import ABSENT, FieldChange

Fields = Mapping[str, JsonValue]
Path = tuple[str, ...]


def field_changes(before: Fields, after: Fields) -> tuple[FieldChange, ...]:
    """Every field that differs, maps by key and lists as a whole, sorted by path."""
    old, new = _flat(before), _flat(after)
    different = [
        path
        for path in sorted(old.keys() | new.keys())
        if path not in old or path not in new or not same(old[path], new[path])
    ]
    return tuple(
        FieldChange(".".join(path), old.get(path, ABSENT), new.get(path, ABSENT))
        for path in different
        if not _is_filled_map(path, different)
    )


def same(one: JsonValue, other: JsonValue) -> bool:
    """Equal as JSON: to Python, 1 would equal true."""
    return canonical_json(one) == canonical_json(other)


def _flat(fields: Fields, prefix: Path = ()) -> dict[Path, JsonValue]:
    flat: dict[Path, JsonValue] = {}
    for name, value in fields.items():
        path = (*prefix, name)
        if isinstance(value, dict) and value:
            flat |= _flat(value, path)
        else:
            flat[path] = value
    return flat


def _is_filled_map(path: Path, different: list[Path]) -> bool:
    """An empty map that got its first key (or lost its last) is told by that key alone."""
    return any(other != path and other[: len(path)] == path for other in different)
