"""The rules of labels: names, values, reserved names, how many. Pure; the same for every dialect."""

import re
from collections.abc import Iterable

# A series belongs to a shard: these three are its labels, too, and come in the address of the request.
SHARD_LABELS = ("project", "cluster", "service")
MAX_LABELS = 16  # of one series, with those of its shard

_NAME = re.compile(r"[a-zA-Z][0-9a-zA-Z_.]{1,32}")
# Printable ASCII without " ' * ? ` | and, to be on the safe side, without the backslash.
_VALUE = re.compile(r"[ -!#-&(-)+->@-\[\]-_a-{}-~]{1,200}")
_RESERVED_PREFIXES = ("labels.", "meta.", "trace.", "span.")

Labels = tuple[tuple[str, str], ...]  # sorted by name


def problem_of_name(name: str) -> str | None:
    """What is wrong with a label's name, if anything."""
    if name in SHARD_LABELS or name.startswith(_RESERVED_PREFIXES):
        return f"label name '{name}' is reserved"
    if not _NAME.fullmatch(name):
        return "a label name has 2 to 33 Latin letters, digits, '_', '.' and starts with a letter"
    return None


def problem_of_value(value: str) -> str | None:
    """What is wrong with a label's value, if anything; the values of the shard's labels follow the same rule."""
    if not _VALUE.fullmatch(value):
        return "a label value has 1 to 200 printable ASCII characters without \" ' * ? ` | \\"
    return None


def problem_of_labels(names: Iterable[str]) -> str | None:
    """What is wrong with the labels of one series together, if anything."""
    found = set(names)
    if not found:
        return "Labels cannot be empty"
    if "name" not in found:
        return "a metric needs the label 'name'"
    if len(found) + len(SHARD_LABELS) > MAX_LABELS:
        return (
            f"{len(found) + len(SHARD_LABELS)} labels with project, cluster and service,"
            f" more than {MAX_LABELS}"
        )
    return None
