"""`${…}` in settings and commands: what may be named, and how it becomes a value.

`${cluster.slug}`, `${cluster.hosts}`, `${cluster.variables.NAME}`, `${host.name}`, `${host.address}`
and `${host.labels.NAME}` stand anywhere; a command may also name the prober's own variables, `${target}`.
A text that is one reference becomes the value itself, so that lists stay lists; `$${` is a plain `${`.
"""

import json
import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
CLUSTER_VARIABLES = "cluster.variables."

Scope = Mapping[str, JsonValue]
_SECRET_KEYS = {"secret", "version"}


class UnknownReferenceError(ValueError):
    """A reference that nothing answers to."""

    def __init__(self, name: str) -> None:
        super().__init__(f"${{{name}}} is not known here")
        self.name = name


class SecretInTextError(ValueError):
    """A reference to a secret where it would be seen or could not be filled in."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(
            f"secret {', '.join(sorted(names))} can only be the whole value of a prober's variable,"
            " not a part of a text, an argument or a matrix"
        )


def secret_reference(name: str, version: int) -> dict[str, JsonValue]:
    """What stands in a document in the place of a sensitive variable's value."""
    return {"secret": name, "version": version}


def is_secret_reference(value: JsonValue) -> bool:
    """Whether the value stands for a secret."""
    return (
        isinstance(value, dict)
        and value.keys() == _SECRET_KEYS
        and isinstance(value["secret"], str)
        and type(value["version"]) is int
    )


def secrets_in(value: JsonValue) -> dict[str, int]:
    """The secrets to which a value refers, at any depth, each with the version that it needs."""
    if isinstance(value, dict):
        if is_secret_reference(value):
            return {str(value["secret"]): int(str(value["version"]))}
        return {
            name: number for item in value.values() for name, number in secrets_in(item).items()
        }
    if isinstance(value, list):
        return {name: number for item in value for name, number in secrets_in(item).items()}
    return {}


def with_secrets(value: JsonValue, secrets: Mapping[str, JsonValue]) -> JsonValue:
    """The value with every secret filled in; KeyError for one that is not given."""
    if isinstance(value, dict):
        if is_secret_reference(value):
            return secrets[str(value["secret"])]
        return {key: with_secrets(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [with_secrets(item, secrets) for item in value]
    return value


def as_text(value: JsonValue) -> str:
    """A value as a program sees it: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def substituted(value: JsonValue, scope: Scope) -> JsonValue:
    """The value with every reference in it replaced, at any depth; UnknownReferenceError if one is unknown."""
    if isinstance(value, list):
        return [substituted(item, scope) for item in value]
    if isinstance(value, dict):
        return {key: substituted(item, scope) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole and whole[1] is not None:
        return _named(whole[1], scope)
    return _REFERENCE.sub(lambda match: _replacement(match, scope), value)


def substituted_text(text: str, scope: Scope) -> str:
    """The same for an argument of a command, which is always a text."""
    return _REFERENCE.sub(lambda match: _replacement(match, scope), text)


def is_one_reference(text: str) -> bool:
    """Whether the text is a single reference and nothing else, so that it stands for a value of any kind."""
    whole = _REFERENCE.fullmatch(text)
    return whole is not None and whole[1] is not None


def cluster_variables_in(value: JsonValue) -> set[str]:
    """Names of the cluster's variables to which a value refers, at any depth."""
    return {
        name.removeprefix(CLUSTER_VARIABLES)
        for text in _texts(value)
        for match in _REFERENCE.finditer(text)
        if (name := match[1]) is not None and name.startswith(CLUSTER_VARIABLES)
    }


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def _replacement(match: re.Match[str], scope: Scope) -> str:
    if match[1] is None:
        return "${"
    value = _named(match[1], scope)
    if secrets := secrets_in(value):
        raise SecretInTextError(set(secrets))
    return as_text(value)


def _named(name: str, scope: Scope) -> JsonValue:
    if name not in scope:
        raise UnknownReferenceError(name)
    return scope[name]
