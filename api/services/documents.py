"""The configuration document of a cluster: built once per change, never per request."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload, undefer

from api.services.clusters import described_hosts
from api.services.errors import NotFoundError
from api.services.large_values import file_of, with_large_values
from api.services.prober_configs import document_config
from api.services.revisions import described_revision, newest_revisions
from api.services.secrets import described_value
from common.contracts.clusters import HostDescription
from common.contracts.configuration import (
    FORMAT,
    ConfigurationDocument,
    DocumentCluster,
    DocumentProber,
    VariableFile,
    etag_of,
)
from common.contracts.references import cluster_variables_in
from common.contracts.resolution import matches_any
from database import models
from database.session import Database


@dataclass(frozen=True)
class StoredDocument:
    """A document as it is sent."""

    etag: str
    body: bytes

    def parsed(self) -> ConfigurationDocument:
        """The document behind the bytes."""
        return ConfigurationDocument.model_validate_json(self.body)


@dataclass(frozen=True)
class Described:
    """All that a document is made of."""

    cluster: DocumentCluster
    hosts: dict[str, HostDescription]
    variables: dict[str, JsonValue]
    probers: list[DocumentProber]
    variable_files: dict[str, VariableFile] = field(default_factory=dict)


def document_of(described: Described, *, revision: int) -> ConfigurationDocument:
    """The document: of the cluster's variables only those that its probers name. Pure."""
    named = {name for prober in described.probers for name in _named_variables(prober)}
    return ConfigurationDocument(
        format=FORMAT,
        revision=revision,
        cluster=described.cluster,
        hosts=described.hosts,
        variables={name: value for name, value in described.variables.items() if name in named},
        variable_files={
            name: file for name, file in described.variable_files.items() if name in named
        },
        probers=sorted(described.probers, key=lambda prober: prober.slug),
    )


def next_revision(previous: int, now: datetime) -> int:
    """Milliseconds of the clock, but always more than before: agents refuse to go back."""
    return max(previous + 1, int(now.timestamp() * 1000))


@dataclass(frozen=True)
class Documents:
    """The documents of living clusters, built where none shows the newest change yet; several threads may use it.

    `on_build` gets the seconds that each build took.
    """

    database: Database
    clock: Callable[[], datetime]
    on_build: Callable[[float], None] = lambda _: None

    def current(self, slug: str) -> StoredDocument:
        """The newest document of a cluster; NotFoundError."""
        with self.database.reading() as session:
            row = session.execute(
                select(models.Cluster.id, models.Cluster.configuration_change).where(
                    models.Cluster.slug == slug, models.Cluster.deleted_at.is_(None)
                )
            ).one_or_none()
        if row is None:
            raise NotFoundError("cluster", slug)
        return self.for_change(row.id, row.configuration_change)

    def whole(self, stored: StoredDocument) -> ConfigurationDocument:
        """The document behind the bytes with its large values in their places, as agents use it."""
        with self.database.reading() as session:
            return with_large_values(session, stored.parsed())

    def for_change(self, cluster_id: UUID, change: int) -> StoredDocument:
        """A document of a cluster that shows this change; NotFoundError."""
        with self.database.reading() as session:
            row = session.execute(
                select(models.Document.etag, models.Document.body).where(
                    models.Document.cluster_id == cluster_id,
                    models.Document.built_for_change >= change,
                )
            ).one_or_none()
        if row:
            return StoredDocument(row.etag, row.body)
        started = monotonic()
        with self.database.writing() as session:
            built = _rebuilt(session, cluster_id, now=self.clock())
        self.on_build(monotonic() - started)
        return built


def _rebuilt(session: Session, cluster_id: UUID, *, now: datetime) -> StoredDocument:
    # The lock comes first: a writer that is not done yet raises configuration_change after us.
    cluster = session.scalars(
        select(models.Cluster)
        .where(models.Cluster.id == cluster_id, models.Cluster.deleted_at.is_(None))
        .options(selectinload(models.Cluster.variables))
        .with_for_update()
    ).one_or_none()
    if cluster is None:
        raise NotFoundError("cluster", cluster_id)
    row = session.get(models.Document, cluster_id, options=[undefer(models.Document.body)])
    if row is None:
        row = models.Document(
            cluster_id=cluster_id, revision=0, etag="", body=b"", built_for_change=0
        )
        session.add(row)
    elif row.built_for_change >= cluster.configuration_change:
        return StoredDocument(row.etag, row.body)  # another request was faster
    described = _described(session, cluster)
    same = document_of(described, revision=row.revision).canonical_bytes()
    if same != row.body:
        row.revision = next_revision(row.revision, now)
        row.body = document_of(described, revision=row.revision).canonical_bytes()
        row.etag = etag_of(row.body)
    row.built_for_change = cluster.configuration_change
    session.flush()
    return StoredDocument(row.etag, row.body)


def _described(session: Session, cluster: models.Cluster) -> Described:
    files = {row.name: file for row in cluster.variables if (file := file_of(row))}
    return Described(
        cluster=DocumentCluster(id=cluster.id, slug=cluster.slug),
        hosts=described_hosts(cluster.hosts),
        variables={
            row.name: described_value(row) for row in cluster.variables if row.name not in files
        },
        variable_files=files,
        probers=_probers(session, cluster.slug),
    )


def _probers(session: Session, cluster_slug: str) -> list[DocumentProber]:
    statement = (
        select(models.Prober)
        .where(models.Prober.deleted_at.is_(None), models.Prober.stopped_at.is_(None))
        .options(selectinload(models.Prober.configs))
    )
    matching = {
        prober: configs
        for prober in session.scalars(statement)
        if (configs := _matching(prober.configs, cluster_slug))
    }
    running = models.ProberRevision.stopped_at.is_(None)
    ids = [prober.id for prober in matching]
    newest = newest_revisions(session, models.ProberRevision, ids, running)
    return [
        _document_prober(prober, newest[prober.id], configs)
        for prober, configs in matching.items()
        if prober.id in newest  # with every revision stopped, nothing of it is left to run
    ]


def _matching(
    configs: Iterable[models.ProberConfig], cluster_slug: str
) -> list[models.ProberConfig]:
    return [config for config in configs if matches_any(cluster_slug, config.clusters)]


def _document_prober(
    prober: models.Prober, newest: models.ProberRevision, configs: list[models.ProberConfig]
) -> DocumentProber:
    revision = described_revision(newest)
    return DocumentProber(
        id=prober.id,
        slug=prober.slug,
        command=prober.command,
        defaults=prober.defaults,
        revision=revision.number,
        revisions={revision.number: revision.files},
        configs=[document_config(config) for config in configs],
    )


def _named_variables(prober: DocumentProber) -> set[str]:
    layers: list[JsonValue] = [prober.defaults, *(config.settings for config in prober.configs)]
    return cluster_variables_in([*prober.command, *layers])
