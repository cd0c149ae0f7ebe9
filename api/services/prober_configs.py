"""Prober configs: where a prober runs and with which settings."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from api.entity_tags import Precondition, etag_of
from api.services.clusters import described_hosts
from api.services.errors import InvalidError, NotFoundError
from api.services.matrix_checks import matrix_problems
from api.services.paging import Paging, Sorting, page_of
from api.services.prober_layers import (
    KnownCluster,
    PlacedConfig,
    layered_problems,
    mode_problems,
    order_problems,
    settings_problems,
    stored_settings,
)
from api.services.probers import described_config, living_prober, mark_clusters_of
from common.contracts.configuration import DocumentConfig
from common.contracts.probers import ProberConfig, ProberConfigPut
from common.contracts.values import Page, canonical_json
from database import models
from database.audit_log import Deleted, Subject, Written

SORTING = Sorting(
    {
        "slug": (models.ProberConfig.slug,),
        "order": (models.ProberConfig.order, models.ProberConfig.slug),
    },
    default="slug",
)


def page_of_configs(session: Session, prober_slug: str, paging: Paging) -> Page[ProberConfig]:
    """Configs of a prober."""
    prober = living_prober(session, prober_slug)
    statement = select(models.ProberConfig).where(models.ProberConfig.prober_id == prober.id)
    rows, token = page_of(session, statement, SORTING, paging)
    return Page(items=[described_config(row) for row in rows], next_page_token=token)


def config(session: Session, prober_slug: str, slug: str) -> ProberConfig:
    """One config of a prober."""
    return described_config(_row(living_prober(session, prober_slug), slug))


def put_config(
    session: Session, prober_slug: str, slug: str, new: ProberConfigPut, expected: Precondition
) -> Written[ProberConfig]:
    """Create or replace a config; the same content again changes nothing. Who manages it stays, if it is unsaid."""
    prober = living_prober(session, prober_slug, lock=True)
    row = _expected_config(prober, slug, expected)
    values: dict[str, Any] = new.model_dump(mode="json", exclude={"settings"})
    values["settings"] = stored_settings(new.settings)
    _check(session, prober, slug, new)
    if row is None:
        row = models.ProberConfig(slug=slug, **values)
        prober.configs.append(row)
        mark_clusters_of(session, new.clusters)
        session.flush()
        return Written(_subject(prober, row), None, described_config(row))
    before = described_config(row)
    if "managed_by" not in new.model_fields_set:
        del values["managed_by"]
    globs = {*row.clusters, *new.clusters}
    for name, value in values.items():
        if canonical_json(getattr(row, name)) != canonical_json(value):
            setattr(row, name, value)
            flag_modified(row, name)  # to Python, 1 equals true
    if session.is_modified(row):
        row.version += 1
        mark_clusters_of(session, globs)
    session.flush()
    return Written(_subject(prober, row), before, described_config(row))


def delete_config(
    session: Session, prober_slug: str, slug: str, expected: Precondition
) -> Deleted[ProberConfig]:
    """Take a config away."""
    prober = living_prober(session, prober_slug, lock=True)
    row = _row(prober, slug)
    _expected_config(prober, slug, expected)
    mark_clusters_of(session, row.clusters)
    prober.configs.remove(row)
    return Deleted(_subject(prober, row), described_config(row))


def document_config(row: models.ProberConfig) -> DocumentConfig:
    """A config as the configuration document carries it."""
    return DocumentConfig.model_validate(row, from_attributes=True)


def _check(session: Session, prober: models.Prober, slug: str, new: ProberConfigPut) -> None:
    problems = settings_problems(new.settings, "settings")
    placed = PlacedConfig(
        new.clusters,
        DocumentConfig(
            slug=slug,
            settings=stored_settings(new.settings),
            **new.model_dump(include={"order", "hosts", "except_hosts", "host_labels"}),
        ),
    )
    others = [
        PlacedConfig(other.clusters, document_config(other))
        for other in prober.configs
        if other.slug != slug
    ]
    problems += order_problems(placed, others, _known_clusters(session) if others else [])
    problems += layered_problems(prober.defaults, placed.config.settings, "settings", config=slug)
    layers = (prober.defaults, placed.config.settings)
    problems += mode_problems(layers, "settings.mode", command=prober.command, config=slug)
    problems += matrix_problems(session, prober, [placed, *others], "settings.matrix")
    if problems:
        raise InvalidError(problems)


def _known_clusters(session: Session) -> list[KnownCluster]:
    rows = session.execute(
        select(models.Cluster.slug, models.Cluster.hosts).where(models.Cluster.deleted_at.is_(None))
    )
    return [
        KnownCluster(
            row.slug,
            {name: host.labels for name, host in described_hosts(row.hosts).items()},
        )
        for row in rows
    ]


def _expected_config(
    prober: models.Prober, slug: str, expected: Precondition
) -> models.ProberConfig | None:
    """The config, if there is one; the prober's row is locked, so it stays what it is."""
    name = f"{prober.slug}/{slug}"
    row = next((one for one in prober.configs if one.slug == slug), None)
    if row is None:
        expected.require_absent("config", name)
    else:
        expected.require("config", name, etag_of(row.id, row.version))
        expected.require_manager("config", name, row.managed_by)
    return row


def _subject(prober: models.Prober, row: models.ProberConfig) -> Subject:
    return Subject("config", row.id, f"{prober.slug}/{row.slug}")


def _row(prober: models.Prober, slug: str) -> models.ProberConfig:
    for row in prober.configs:
        if row.slug == slug:
            return row
    raise NotFoundError("config", slug)
