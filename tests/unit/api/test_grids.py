"""What is remembered of grids is what would be computed, and has a bound."""

from uuid import UUID

from api.grids import Grids
from api.services.documents import StoredDocument
from api.services.grid import shapes_of
from common.contracts.configuration import (
    ConfigurationDocument,
    DocumentCluster,
    DocumentConfig,
    DocumentProber,
    etag_of,
)
from common.contracts.resolution import Host


def stored(slug: str, *, revision: int = 1, targets: int = 3) -> StoredDocument:
    values = [f"t{number}" for number in range(targets)]
    prober = DocumentProber(
        id=UUID(int=1), slug="ping", command=["x", "${target}"],
        defaults={"matrix": {"target": {"values": values}}}, revision=1, revisions={1: []},
        configs=[DocumentConfig(slug="all", host_labels={"rack": "a"})],
    )  # fmt: skip
    cluster = DocumentCluster(id=UUID(int=2), slug=slug)
    document = ConfigurationDocument(
        format=1, revision=revision, cluster=cluster, probers=[prober], hosts={}, variables={}
    )
    body = document.canonical_bytes()
    return StoredDocument(etag_of(body), body)


def test_a_second_look_parses_and_resolves_nothing_again() -> None:
    grids = Grids()
    document = grids.document("demo", stored("demo"))
    assert grids.document("demo", stored("demo")) is document
    host = Host("h", {"rack": "a"})
    cells = grids.shapes(document, host)
    assert cells == shapes_of(document, host)
    assert grids.shapes(document, host) is cells


def test_other_labels_and_a_newer_document_have_other_cells() -> None:
    grids = Grids()
    old = grids.document("demo", stored("demo"))
    assert len(grids.shapes(old, Host("h", {"rack": "a"}))) == 1
    assert len(grids.shapes(old, Host("h", {"rack": "b"}))) == 0
    new = grids.document("demo", stored("demo", revision=2, targets=5))
    assert len(grids.shapes(new, Host("h", {"rack": "a"}))[0].combinations) == 5
    # Whoever still holds the older one gets what belongs to it.
    assert len(grids.shapes(old, Host("h", {"rack": "a"}))[0].combinations) == 3


def test_those_that_nobody_looked_at_for_longest_make_room() -> None:
    grids = Grids(max_names=10)
    host = Host("h", {"rack": "a"})
    first = grids.document("first", stored("first", targets=8))
    kept = grids.shapes(first, host)
    second = grids.document("second", stored("second", targets=8))
    remembered = grids.shapes(second, host)
    assert grids.shapes(second, host) is remembered
    assert grids.shapes(first, host) is not kept
    assert grids.shapes(first, host) == kept
