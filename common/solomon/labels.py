"""What Solomon takes as labels, and how ours are made to fit. Pure."""

import json
import re
from collections.abc import Mapping

MAX_LABELS = 16
_MAX_VALUE_LENGTH = 200
# Printable ASCII without " ' * ? ` | and, to be safe, the backslash; % is ours, it begins an escape.
_UNSAFE = re.compile(r"""[^ !#$&()+->@-\[\]-_a-{}~]""")
_NAME = re.compile(r"[a-zA-Z][0-9a-zA-Z_.]{1,31}")
_RESERVED = frozenset({"project", "cluster", "service", "name"})


def safe_value(text: str) -> str:
    """A label's value as Solomon takes it: forbidden characters as %XX of UTF-8, never empty, at most 200 long."""
    escaped = _UNSAFE.sub(lambda match: _escape(match[0]), text)
    return escaped[:_MAX_VALUE_LENGTH] or "-"


def safe_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The same labels with values that Solomon takes."""
    return {name: safe_value(value) for name, value in labels.items()}


def are_sendable(labels: Mapping[str, str], common_labels: Mapping[str, str]) -> bool:
    """Whether a series may have these labels; one that may not would have the whole request refused."""
    return (
        all(_NAME.fullmatch(name) and name not in _RESERVED for name in labels)
        and labels.keys().isdisjoint(common_labels)
        # Three labels of the shard and the name count, too.
        and len(labels) + len(common_labels) + 4 <= MAX_LABELS
    )


def as_json(value: object) -> str:
    """JSON without white space."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="replace"))
