"""The OpenAPI document says of each operation what it may answer, and no more. Pure."""

from typing import Any

_READING = frozenset({"get", "head"})
# Of those that describe something new or changed; nobody who reads gets them.
_OF_WRITES = ("400", "409", "413")
_OF_PRECONDITIONS = ("412", "428")


def trimmed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, changed in place: reads lose the answers to writes, and writes without If-Match its refusals."""
    for methods in document["paths"].values():
        for method, operation in methods.items():
            answers = operation["responses"]
            for status in _never_answered(method, operation):
                answers.pop(status, None)
    return document


def _never_answered(method: str, operation: dict[str, Any]) -> tuple[str, ...]:
    if method in _READING:
        return (*_OF_WRITES, *_OF_PRECONDITIONS)
    headers = {one["name"].lower() for one in operation.get("parameters", ()) if one["in"] == "header"}  # fmt: skip
    return () if "if-match" in headers else _OF_PRECONDITIONS
