"""Descriptions of probers on their way into a document, for tests of what runs on a host."""

from typing import Any

from common.contracts.configuration import ConfigurationDocument
from common.contracts.identifiers import new_id
from common.contracts.resolution import (
    EffectiveProber,
    Host,
    resolve,
)

FILE = {"path": "probe.py", "mode": "0755", "sha256": "0" * 64, "size": 1}


HOSTS = {
    "vm-1": {"address": "10.0.0.1", "labels": {"zone": "a", "rack": "r1"}},
    "vm-2": {"address": "10.0.0.2", "labels": {"zone": "b"}},
    "vm-3": {"address": "", "labels": {}},
}


def prober(slug: str = "ping", **fields: Any) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "slug": slug,
        "command": ["./probe.py"],
        "revision": 2,
        "revisions": {"2": [FILE]},
        "configs": [{"slug": "everywhere"}],
        **fields,
    }


def document(*probers: dict[str, Any], **fields: Any) -> ConfigurationDocument:
    return ConfigurationDocument.model_validate(
        {
            "format": 1,
            "revision": 1,
            "cluster": {"id": str(new_id()), "slug": "mesh"},
            "hosts": HOSTS,
            "probers": list(probers),
            **fields,
        }
    )


def resolved(description: dict[str, Any], host: str = "vm-1", **fields: Any) -> EffectiveProber:
    (effective,) = resolve(document(description, **fields), Host(host))
    return effective


def config(slug: str, order: int = 0, **fields: Any) -> dict[str, Any]:
    selection = {name: fields.pop(name) for name in [*fields] if "host" in name}
    return {"slug": slug, "order": order, "settings": fields, **selection}


def matrix(**values: Any) -> dict[str, Any]:
    return {"matrix": {name: {"values": value} for name, value in values.items()}}


def problem_of(description: dict[str, Any], **fields: Any) -> str:
    effective = resolved(description, **fields)
    assert effective.runs == ()
    assert effective.combinations == ({},)
    return effective.problem


def secret(name: str = "password") -> dict[str, Any]:
    return {name: {"secret": name, "version": 3}}
