"""What of a description gets into the configuration document."""

from typing import Any
from uuid import UUID

from api.services.documents import Described, document_of
from common.contracts.clusters import HostDescription
from common.contracts.configuration import DocumentCluster, DocumentProber


def prober(slug: str, **fields: Any) -> DocumentProber:
    return DocumentProber.model_validate(
        {
            "id": UUID(int=1),
            "slug": slug,
            "command": ["./run"],
            "revision": 1,
            "revisions": {},
            "configs": [],
            **fields,
        }
    )


def described(*probers: DocumentProber, **variables: Any) -> Described:
    return Described(
        cluster=DocumentCluster(id=UUID(int=9), slug="demo"),
        hosts={"demo-1": HostDescription(address="127.77.0.1")},
        variables=variables,
        probers=list(probers),
    )


def test_only_variables_that_a_prober_names_are_published() -> None:
    one = prober("one", command=["./run", "${cluster.variables.a}"])
    two = prober("two", defaults={"variables": {"x": "y-${cluster.variables.b}"}})
    matrix = {"matrix": {"t": {"values": "${cluster.variables.c}"}}}
    three = prober("three", configs=[{"slug": "all", "settings": matrix}])
    values = {"a": 1, "b": 2, "c": [3], "password": "swordfish"}
    document = document_of(described(one, two, three, **values), revision=5)
    assert document.variables == {"a": 1, "b": 2, "c": [3]}
    assert b"swordfish" not in document.canonical_bytes()


def test_a_variable_that_does_not_exist_is_left_to_resolve() -> None:
    document = document_of(described(prober("one", command=["${cluster.variables.a}"])), revision=5)
    assert document.variables == {}


def test_equal_descriptions_are_equal_bytes() -> None:
    one = document_of(described(prober("a"), prober("b"), x=1, y=2), revision=5)
    other = document_of(described(prober("b"), prober("a"), y=2, x=1), revision=5)
    assert one.canonical_bytes() == other.canonical_bytes()
    assert one.canonical_bytes() != document_of(described(), revision=5).canonical_bytes()
