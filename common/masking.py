"""Secret values taken out of texts that people will read: logs of terraform, reasons of probers. Pure."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from pydantic import JsonValue

# Shorter ones would blot out half of every text, and are no secrets.
MINIMUM_LENGTH = 8
MASK = "(sensitive)"
# So many characters of a secret help nobody to guess the rest.
_LEAST_PART = 3
# What takes secrets out of a text, as `without_secrets` does.
Mask = Callable[[str, Sequence[str]], str]


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """The text with each known secret replaced, also where white space in it was broken into lines."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if any(character.isspace() for character in secret):
            pattern = r"\s+".join(re.escape(word) for word in secret.split())
            text = re.sub(pattern, MASK, text)
        else:
            text = text.replace(secret, MASK)
    return text


def without_partial_secrets(head: str, tail: str, secrets: Sequence[str]) -> tuple[str, str]:
    """Two sides of a cut without what is left of a secret that the cut went through."""
    for secret in secrets:
        for length in range(len(secret) - 1, _LEAST_PART - 1, -1):
            if head.endswith(secret[:length]):
                head = head[:-length] + MASK
                break
        for length in range(len(secret) - 1, _LEAST_PART - 1, -1):
            if tail.startswith(secret[-length:]):
                tail = MASK + tail[length:]
                break
    return head, tail


def forms_of(value: JsonValue) -> tuple[str, ...]:
    """All texts by which a secret value may show: each text in it, whole, per line and as JSON writes it."""
    found: set[str] = set()
    for text in _texts(value):
        for part in (text, text.strip(), *(line.strip() for line in text.splitlines())):
            found.update(_spellings(part))
    return tuple(sorted(form for form in found if len(form) >= MINIMUM_LENGTH))


def _spellings(text: str) -> Iterator[str]:
    yield text
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    yield escaped
    yield json.dumps(text)[1:-1]
    # Go's JSON, which is terraform's, hides what HTML would understand; its HCL output escapes references.
    yield escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    yield escaped.replace("${", "$${").replace("%{", "%%{")


def _texts(value: JsonValue) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)
