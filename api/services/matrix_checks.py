"""Does a prober's matrix explode on a host of a cluster that is known now? `resolve` would say so on the spot; here it is a refusal."""

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.services.prober_layers import PlacedConfig
from common.contracts.clusters import HostDescription
from common.contracts.configuration import (
    FORMAT,
    ConfigurationDocument,
    DocumentCluster,
    DocumentProber,
)
from common.contracts.references import cluster_variables_in
from common.contracts.resolution import Host, Layer, matches_any, matrix_excess, selects
from common.contracts.values import FieldProblem, canonical_json
from database import models

_MAX_PROBLEMS = 5
_ANY = "any"
_CLUSTERS_AT_ONCE = 500


def matrix_problems(
    session: Session,
    prober: models.Prober,
    configs: Sequence[PlacedConfig],
    field: str,
    *,
    defaults: Layer | None = None,
) -> list[FieldProblem]:
    """One problem for each of the first few clusters where the matrix is too large, with its figures.

    `configs` are all configs that the prober will have, `defaults` its new defaults, if they change.
    """
    layers = prober.defaults if defaults is None else dict(defaults)
    if not layers.get("matrix") and not any(one.config.settings.get("matrix") for one in configs):
        return []
    problems: list[FieldProblem] = []
    for document in _documents(session, layers, configs):
        placed = [one.config for one in configs if matches_any(document.cluster.slug, one.clusters)]
        described = DocumentProber(
            id=prober.id,
            slug=prober.slug,
            command=[],
            defaults=layers,
            revision=1,
            revisions={},
            configs=placed,
        )
        if excess := _first_excess(document, described):
            problems.append(FieldProblem(field=field, expected=f"a smaller matrix: {excess}"))
        if len(problems) == _MAX_PROBLEMS:
            break
    return problems


def _first_excess(document: ConfigurationDocument, prober: DocumentProber) -> str:
    for host in _representatives(document, prober):
        if excess := matrix_excess(document, prober, host):
            place = f"host {host.name}" if host.name in document.hosts else "any host"
            return f"on {place} of cluster {document.cluster.slug} {excess}"
    return ""


def _representatives(document: ConfigurationDocument, prober: DocumentProber) -> Iterator[Host]:
    """One host for each set of configs: the others have as many combinations, give or take themselves.

    Where values depend on the host, each host has its own matrix. Where none is known yet, any will come.
    """
    if not document.hosts:
        yield Host(_ANY)
        return
    layers: list[JsonValue] = [prober.defaults, *(config.settings for config in prober.configs)]
    each = b"${host." in canonical_json(layers)
    seen = set()
    for name, description in document.hosts.items():
        host = Host(name, description.labels)
        chosen = tuple(selects(config, host) for config in prober.configs)
        if each or chosen not in seen:
            seen.add(chosen)
            yield host


def _documents(
    session: Session, defaults: Layer, configs: Sequence[PlacedConfig]
) -> Iterator[ConfigurationDocument]:
    named = cluster_variables_in([dict(defaults), *(dict(one.config.settings) for one in configs)])
    globs = {glob for one in configs for glob in one.clusters}
    cluster = models.Cluster
    living = session.execute(select(cluster.id, cluster.slug).where(cluster.deleted_at.is_(None)))
    matching = sorted((row.slug, row.id) for row in living if matches_any(row.slug, globs))
    for begin in range(0, len(matching), _CLUSTERS_AT_ONCE):
        ids = [cluster_id for _, cluster_id in matching[begin : begin + _CLUSTERS_AT_ONCE]]
        yield from _documents_of(session, ids, named)


def _documents_of(
    session: Session, ids: Sequence[UUID], named: Iterable[str]
) -> Iterator[ConfigurationDocument]:
    variable, cluster = models.ClusterVariable, models.Cluster
    values: dict[UUID, dict[str, JsonValue]] = {}
    for row in session.scalars(
        select(variable).where(
            variable.cluster_id.in_(ids),
            variable.name.in_(list(named)),
            variable.encrypted.is_(None),
        )
    ):
        values.setdefault(row.cluster_id, {})[row.name] = row.value
    rows = session.execute(
        select(cluster.id, cluster.slug, cluster.hosts)
        .where(cluster.id.in_(ids))
        .order_by(cluster.slug)
    )
    for found in rows:
        yield ConfigurationDocument(
            format=FORMAT,
            revision=0,
            cluster=DocumentCluster(id=found.id, slug=found.slug),
            hosts={
                name: HostDescription.model_validate(host) for name, host in found.hosts.items()
            },
            variables=values.get(found.id, {}),
        )
