"""What a cluster should be made of: the recipe's files, the values handed to it, and one fingerprint of all that. Pure."""

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from common.contracts.values import canonical_json
from creator.situations import ENGINE_MARK

_VARIABLE = re.compile(r'^\s*variable\s+"?([A-Za-z_][A-Za-z0-9_-]*)"?\s*\{', re.MULTILINE)
# With the mark between them the 64 characters of a column.
_DESCRIPTION_DIGITS, _ENGINE_DIGITS = 47, 16
_VARIABLE_IN_JSON = re.compile(r'"variable"\s*:')


@dataclass(frozen=True)
class Engine:
    """What else the result depends on: terraform's version and where the state is."""

    terraform_version: str
    backend: Mapping[str, JsonValue]


@dataclass(frozen=True)
class Handover:
    """The values that Creator itself offers to every recipe."""

    cluster: str
    api_url: str
    agent_token: str
    fallback_url: str

    def values(self) -> dict[str, JsonValue]:
        """By the name of the variable that a recipe declares to get it."""
        return {
            "mr_prober_cluster": self.cluster,
            "mr_prober_api_url": self.api_url,
            "mr_prober_agent_token": self.agent_token,
            "mr_prober_fallback_url": self.fallback_url,
        }


@dataclass(frozen=True)
class Values:
    """Values for terraform, and the names of those which the recipe does not declare: they are for probers."""

    declared: Mapping[str, JsonValue] = field(repr=False)
    undeclared: tuple[str, ...]
    # Names of the declared values that are sensitive.
    sensitive: frozenset[str] = frozenset()
    # Names of the declared values that the platform hands over.
    ours: frozenset[str] = frozenset()

    def shown(self, key: bytes) -> dict[str, JsonValue]:
        """The declared values with a keyed hash in place of each sensitive one: for fingerprints, which anybody may see."""
        return {
            name: _keyed_hash(key, name, value) if name in self.sensitive else value
            for name, value in self.declared.items()
        }

    def hashes(self, key: bytes) -> tuple[dict[str, str], dict[str, str]]:
        """Keyed hashes of the cluster's own values and of those handed over, to tell later what has changed."""
        own: dict[str, str] = {}
        handover: dict[str, str] = {}
        for name, value in self.declared.items():
            digest = hmac.digest(key, canonical_json([name, value]), "sha256").hex()
            (handover if name in self.ours else own)[name] = digest
        return own, handover


def declared_variables(files: Mapping[str, bytes]) -> frozenset[str]:
    """Names of the variables that the recipe's root module declares; `files` is path → content.

    It reads lines, not HCL: a declaration in a comment counts (terraform warns of a value too many, no more),
    and one that is broken over two lines is missed (terraform says that the variable has no value).
    """
    names: set[str] = set()
    for path, content in files.items():
        if "/" in path:
            continue
        text = content.decode(errors="replace")
        if path.endswith(".tf"):
            names.update(_VARIABLE.findall(text))
        elif path.endswith(".tf.json") and _VARIABLE_IN_JSON.search(text):
            names.update(_declared_in_json(content))
    return frozenset(names)


def values_for(
    variables: Mapping[str, JsonValue],
    handover: Handover,
    declared: frozenset[str],
    *,
    sensitive: Collection[str] = (),
) -> Values:
    """The values that the recipe declares; ours win over a cluster's variable of the same name."""
    ours = handover.values()
    offered = {**variables, **ours}
    return Values(
        declared={name: value for name, value in offered.items() if name in declared},
        undeclared=tuple(sorted(variables.keys() - declared)),
        sensitive=frozenset(sensitive) & declared - ours.keys(),
        ours=declared & ours.keys(),
    )


def fingerprint(
    purpose: Literal["deploy", "destroy"],
    *,
    recipe_hash: str,
    values: Mapping[str, JsonValue],
    engine: Engine,
) -> str:
    """Of everything that terraform's result depends on; equal = nothing new to do.

    Two hashes: of the description, and of terraform's version (`creator.situations.described_by` takes the first).
    """
    described: dict[str, JsonValue] = {
        "purpose": purpose,
        "recipe": recipe_hash,
        "values": dict(values),
        "backend": dict(engine.backend),
    }
    description = hashlib.sha256(canonical_json(described)).hexdigest()[:_DESCRIPTION_DIGITS]
    terraform = hashlib.sha256(engine.terraform_version.encode()).hexdigest()[:_ENGINE_DIGITS]
    return f"{description}{ENGINE_MARK}{terraform}"


def _keyed_hash(key: bytes, name: str, value: JsonValue) -> JsonValue:
    return {"hmac": hmac.digest(key, canonical_json([name, value]), "sha256").hex()}


def _declared_in_json(content: bytes) -> list[str]:
    try:
        document = json.loads(content)
    except ValueError:
        return []  # terraform will say what is wrong with it
    blocks = document.get("variable", {}) if isinstance(document, dict) else {}
    return [name for block in _as_list(blocks) if isinstance(block, dict) for name in block]


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
