"""Probers: create, read, change, delete; every change has the documents of their clusters built again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.attributes import flag_modified

from api.entity_tags import Precondition, etag_of
from api.services.errors import InvalidError, NotFoundError, SlugTakenError
from api.services.matrix_checks import matrix_problems
from api.services.paging import Paging, Sorting, page_of
from api.services.prober_layers import (
    PlacedConfig,
    layered_problems,
    mode_problems,
    settings_problems,
    stored_settings,
)
from api.services.revisions import (
    NewFiles,
    add_revision,
    described_revision,
    newest_revisions,
    stop_of,
)
from common.contracts.configuration import DocumentConfig
from common.contracts.probers import (
    Prober,
    ProberConfig,
    ProberCreate,
    ProberSettings,
    ProberUpdate,
    Severity,
)
from common.contracts.resolution import Layer, matches_any
from common.contracts.values import Page, canonical_json
from database import models
from database.audit_log import Deleted, Subject, Written
from database.configuration_changes import mark_changed

_OWN_FIELDS = {"slug", "description", "owner", "runbook_url", "severity", "managed_by"}

SORTING = Sorting(
    {
        "slug": (models.Prober.slug,),
        "created_at": (models.Prober.created_at, models.Prober.id),
        "updated_at": (models.Prober.updated_at, models.Prober.id),
    },
    default="slug",
)


@dataclass(frozen=True)
class ProberFilter:
    """Which probers: those that match all that is said."""

    owner: str | None = None
    severity: Severity | None = None
    managed_by: str | None = None


def page_of_probers(session: Session, wanted: ProberFilter, paging: Paging) -> Page[Prober]:
    """Living probers that match."""
    statement = (
        select(models.Prober)
        .where(models.Prober.deleted_at.is_(None))
        .options(selectinload(models.Prober.configs))
    )
    for column, value in (
        (models.Prober.owner, wanted.owner),
        (models.Prober.severity, wanted.severity),
        (models.Prober.managed_by, wanted.managed_by),
    ):
        if value is not None:
            statement = statement.where(column == value)
    rows, token = page_of(session, statement, SORTING, paging)
    newest = newest_revisions(session, models.ProberRevision, [row.id for row in rows])
    return Page(items=[_described(row, newest[row.id]) for row in rows], next_page_token=token)


def prober(session: Session, slug: str) -> Prober:
    """One living prober."""
    return _with_revision(session, living_prober(session, slug))


def create_prober(session: Session, new: ProberCreate, files: NewFiles) -> Written[Prober]:
    """A prober with its first revision; it runs nowhere until it has a config."""
    _check_settings(new.defaults)
    if problems := mode_problems(
        [stored_settings(new.defaults)], "defaults.mode", command=new.command
    ):
        raise InvalidError(problems)
    if _find_living_prober(session, new.slug):
        raise SlugTakenError("prober", new.slug, f"/api/v1/probers/{new.slug}")
    fields = new.model_dump(include=_OWN_FIELDS)
    row = models.Prober(
        **fields, command=list(new.command), defaults=stored_settings(new.defaults), configs=[]
    )
    session.add(row)
    session.flush()
    revision, _ = add_revision(session, models.ProberRevision, row.id, files)
    return Written(prober_subject(row), None, _described(row, revision))


def update_prober(
    session: Session, slug: str, changes: ProberUpdate, expected: Precondition
) -> Written[Prober]:
    """Change the fields that the caller named."""
    row = _expected_prober(session, slug, expected)
    before = _with_revision(session, row)
    named = changes.model_dump(exclude_unset=True, exclude={"defaults"})
    if "defaults" in changes.model_fields_set:
        _check_settings(changes.defaults)
        named["defaults"] = stored_settings(changes.defaults)
        _check_layers(session, row, named["defaults"])
    _check_modes(row, named)
    for name, value in named.items():
        if canonical_json(getattr(row, name)) != canonical_json(value):
            setattr(row, name, value)
            flag_modified(row, name)  # to Python, 1 equals true
    if session.is_modified(row):
        row.version += 1
        mark_clusters_of(session, _cluster_globs(row))
    session.flush()
    return Written(prober_subject(row), before, _with_revision(session, row))


def delete_prober(
    session: Session, slug: str, expected: Precondition, *, now: datetime
) -> Deleted[Prober]:
    """Leave a tombstone and take its configs away: agents stop it with their next document."""
    row = _expected_prober(session, slug, expected)
    for config in row.configs:
        expected.require_manager("config", f"{slug}/{config.slug}", config.managed_by)
    before = _with_revision(session, row)
    mark_clusters_of(session, _cluster_globs(row))
    row.configs.clear()
    row.deleted_at = now
    return Deleted(prober_subject(row), before)


def create_prober_revision(
    session: Session, slug: str, files: NewFiles, expected: Precondition
) -> Written[Prober]:
    """The prober with the revision of these files; from now on it is the one that runs."""
    row = _expected_prober(session, slug, expected)
    before = _with_revision(session, row)
    revision, is_new = add_revision(session, models.ProberRevision, row.id, files)
    if is_new:
        row.version += 1
        mark_clusters_of(session, _cluster_globs(row))
        session.flush()
    return Written(prober_subject(row), before, _described(row, revision), action="add_revision")


def mark_clusters_of(session: Session, globs: Iterable[str]) -> None:
    """Have the documents of all living clusters that a glob matches built again."""
    matched = set(globs)
    mark_changed(
        session,
        [
            cluster_id
            for cluster_id, slug in _living_clusters(session)
            if matches_any(slug, matched)
        ],
    )


def living_prober(session: Session, slug: str, *, lock: bool = False) -> models.Prober:
    """The row of a living prober with its configs, or NotFoundError."""
    if row := _find_living_prober(session, slug, lock=lock):
        return row
    raise NotFoundError("prober", slug)


def described_config(row: models.ProberConfig) -> ProberConfig:
    """A config on the wire."""
    described = ProberConfig.model_validate(row, from_attributes=True)
    return described.model_copy(update={"etag": etag_of(row.id, row.version)})


def _expected_prober(session: Session, slug: str, expected: Precondition) -> models.Prober:
    row = living_prober(session, slug, lock=True)
    expected.require("prober", slug, etag_of(row.id, row.version))
    expected.require_manager("prober", slug, row.managed_by)
    return row


def prober_subject(row: models.Prober) -> Subject:
    return Subject("prober", row.id, row.slug)


def _find_living_prober(session: Session, slug: str, *, lock: bool = False) -> models.Prober | None:
    statement = (
        select(models.Prober)
        .where(models.Prober.slug == slug, models.Prober.deleted_at.is_(None))
        .options(selectinload(models.Prober.configs))
    )
    if lock:
        statement = statement.with_for_update()
    return session.scalars(statement).one_or_none()


def _living_clusters(session: Session) -> list[tuple[UUID, str]]:
    rows = session.execute(
        select(models.Cluster.id, models.Cluster.slug).where(models.Cluster.deleted_at.is_(None))
    )
    return [(row.id, row.slug) for row in rows]


def _cluster_globs(row: models.Prober) -> set[str]:
    return {glob for config in row.configs for glob in config.clusters}


def _check_settings(settings: ProberSettings) -> None:
    if problems := settings_problems(settings, "defaults"):
        raise InvalidError(problems)


def _check_layers(session: Session, row: models.Prober, defaults: Layer) -> None:
    """InvalidError if a config does not fit new defaults."""
    placed = [
        PlacedConfig(one.clusters, DocumentConfig.model_validate(one, from_attributes=True))
        for one in row.configs
    ]
    problems = [
        problem
        for one in placed
        for problem in layered_problems(
            defaults, one.config.settings, "defaults", config=one.config.slug
        )
    ]
    problems += matrix_problems(session, row, placed, "defaults.matrix", defaults=defaults)
    if problems:
        raise InvalidError(problems)


def _check_modes(row: models.Prober, named: Mapping[str, Any]) -> None:
    """InvalidError if a new command or new defaults do not go together, alone or with a config."""
    defaults, command = named.get("defaults", row.defaults), named.get("command", row.command)
    field_name = "defaults.mode" if "defaults" in named else "command"
    layers: list[tuple[str, list[Layer]]] = [("", [defaults])]
    layers += [(one.slug, [defaults, one.settings]) for one in row.configs]
    problems = [
        problem
        for config, settings in layers
        for problem in mode_problems(settings, field_name, command=command, config=config)
    ]
    if problems and {"defaults", "command"} & named.keys():
        raise InvalidError(problems)


def _with_revision(session: Session, row: models.Prober) -> Prober:
    return _described(row, newest_revisions(session, models.ProberRevision, [row.id])[row.id])


def _described(row: models.Prober, newest: models.ProberRevision) -> Prober:
    return Prober(
        id=row.id,
        slug=row.slug,
        etag=etag_of(row.id, row.version),
        description=row.description,
        owner=row.owner,
        runbook_url=row.runbook_url,
        command=row.command,
        defaults=row.defaults,
        managed_by=row.managed_by,
        revision=described_revision(newest),
        severity=Severity(row.severity),
        configs=[described_config(config) for config in row.configs],
        stopped=stop_of(row),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
