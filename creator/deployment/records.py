"""Read: clusters as they are described, and what was done about them; in short transactions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Row, Select, bindparam, select, update
from sqlalchemy.orm import Session, aliased

from common.contracts.clusters import (
    ClusterState,
    DeployPolicy,
)
from common.contracts.deployments import Gates, Quarantine
from common.contracts.files import FileReference
from creator.deployment.attempt_records import attempts_of
from creator.deployment.choice import Choice, chosen
from creator.deployment.revision_records import (
    RecipeRevisionRecord,
    applied_revisions,
    is_wanted,
    wanted_revisions,
)
from creator.planner import (
    spread_of,
)
from creator.situations import Attempt, ClusterSituation, Restraints, Switches
from database.models import (
    Cluster,
    ClusterVariable,
    Deployment,
    InstallationSwitches,
    RecipeFile,
    RecipeRevision,
    table_of,
)
from database.session import Database
from database.tables.deployments import UNDER_WAY

_REVISIONS_REMEMBERED = 100
# Made once: it costs more than the query.
_NEWEST = aliased(Deployment)
_CLUSTERS = table_of(Cluster)
_INSTALLATION = select(InstallationSwitches.applies_stopped, InstallationSwitches.changed_by).where(
    InstallationSwitches.id == 1
)
_UNFINISHED = (
    select(Deployment.id)
    .where(Deployment.cluster_id == bindparam("cluster"), UNDER_WAY)
    .order_by(Deployment.id)
)
# The state key of a cluster whose state is in a file of Creator's data folder.
LOCAL_STATE = "local"
# Only what decisions and descriptions need: rows of clusters and deployments hold far more.
_CLUSTER_COLUMNS = (
    Cluster.id,
    Cluster.slug,
    Cluster.state,
    Cluster.deploy_policy,
    Cluster.agent_token_version,
    Cluster.deployed_fingerprint,
    Cluster.last_planned_at,
    Cluster.paused_at,
    Cluster.paused_by,
    Cluster.paused_until,
    Cluster.protected,
    Cluster.deploy_requested_at,
    Cluster.deploy_requested_by,
    Cluster.quarantine,
    Cluster.recipe_id,
    Cluster.gates,
    Cluster.state_key,
    Cluster.has_state,
    Cluster.applied_snapshot,
    Cluster.replace_addresses,
)
Marks = dict[UUID, tuple[object, ...]]


@dataclass(frozen=True)
class ClusterRecord:
    """A cluster as it is described, and what was done about it.

    `revision` is the one to apply; of a cluster that is being deleted, the one that was applied last.
    """

    id: UUID
    slug: str
    agent_token_version: int
    variables: Mapping[str, JsonValue]
    encrypted: Mapping[str, str]  # values of sensitive variables
    revision: RecipeRevisionRecord | None
    situation: ClusterSituation
    recipe_id: UUID
    gates: Gates = field(default_factory=Gates)
    # Where the state is: chosen at the first deployment; empty before it.
    state_key: str = ""
    # It was seen there.
    has_state: bool = False
    # Key of the object with recipe and values of the newest apply.
    applied_snapshot: str = ""
    # What the next deployment makes anew.
    replace_addresses: tuple[str, ...] = ()

    @property
    def deploy_policy(self) -> DeployPolicy:
        """Who starts an apply."""
        return self.situation.deploy_policy

    @property
    def restraints(self) -> Restraints:
        """By what its plans are judged."""
        return Restraints(self.deploy_policy, self.gates, self.situation.is_protected)


class Records:
    """All of it behind verbs; each call is one transaction, and may raise SQLAlchemy's errors."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        # A revision never changes.
        self.files = lru_cache(_REVISIONS_REMEMBERED)(self._files)

    # Reading

    def clusters(self, only: Collection[UUID] | None = None) -> list[ClusterRecord]:
        """Every cluster that is not destroyed, or those of them, oldest first.

        The number of statements does not grow with theirs.
        """
        choice, parameters = chosen(only)
        with self._database.reading() as session:
            clusters = session.execute(_clusters(choice), parameters).all()
            variables = _variables(session, choice, parameters)
            wanted = wanted_revisions(session, choice, parameters)
            deleting = [row.id for row in clusters if row.state is ClusterState.DELETING]
            applied = applied_revisions(session, deleting) if deleting else {}
            attempts = attempts_of(session, only)
            installation = switches_of_installation(session)
        return [
            _cluster_record(
                row,
                variables=variables.get(row.id, []),
                attempts=attempts.get(row.id, []),
                wanted=wanted.get(row.id),
                applied=applied.get(row.id),
                switches=switches_of(row, installation),
            )
            for row in clusters
        ]

    def marks(self, only: Collection[UUID] | None = None) -> Marks:
        """What tells whether a cluster is as it was when it was read last; one statement, and one for the switches.

        Whoever writes what `clusters` reads changes the mark: people the cluster's row (`mark_changed` for values),
        Creator the newest deployment or the moment of the last plan.
        """
        choice, parameters = chosen(only)
        with self._database.reading() as session:
            installation = switches_of_installation(session)
            switch = (installation.applies_stopped, installation.changed_by) if installation else ()
            rows = session.execute(_marks(choice), parameters).all()
        return {row[0]: (*row[1:], switch) for row in rows}

    def unfinished(self, cluster_id: UUID) -> list[UUID]:
        """Ids of the cluster's deployments that are under way, whoever began them."""
        with self._database.reading() as session:
            return list(session.scalars(_UNFINISHED, {"cluster": cluster_id}))

    def _files(self, revision_id: UUID) -> tuple[FileReference, ...]:
        """The files of a recipe's revision."""
        query = select(RecipeFile).where(RecipeFile.revision_id == revision_id)
        with self._database.reading() as session:
            return tuple(
                FileReference.model_validate(row, from_attributes=True)
                for row in session.scalars(query.order_by(RecipeFile.path))
            )


def set_cluster(session: Session, which: ColumnElement[bool], values: Mapping[str, Any]) -> None:
    """Write what Creator saw or did; `updated_at` says when people changed the description, so it stays."""
    kept = {"updated_at": Cluster.updated_at}
    statement = update(_CLUSTERS).where(which).values(**values, **kept)
    session.execute(statement, execution_options={"synchronize_session": False})


@cache
def _clusters(choice: Choice) -> Select[*tuple[Any, ...]]:
    return select(*_CLUSTER_COLUMNS).where(choice.condition).order_by(Cluster.id)


def _variables(
    session: Session, choice: Choice, parameters: Mapping[str, Any]
) -> dict[UUID, list[Row[Any]]]:
    """By cluster."""
    found: dict[UUID, list[Row[Any]]] = {}
    for row in session.execute(_values(choice), parameters):
        found.setdefault(row.cluster_id, []).append(row)
    return found


@cache
def _values(choice: Choice) -> Select[*tuple[Any, ...]]:
    columns = (
        ClusterVariable.cluster_id,
        ClusterVariable.name,
        ClusterVariable.value,
        ClusterVariable.encrypted,
        ClusterVariable.updated_at,
    )
    query = select(*columns).join(Cluster, Cluster.id == ClusterVariable.cluster_id)
    return query.where(choice.condition).order_by(ClusterVariable.name)


@cache
def _marks(choice: Choice) -> Select[*tuple[Any, ...]]:
    newest_id = (
        select(_NEWEST.id)
        .where(_NEWEST.cluster_id == Cluster.id)
        .order_by(_NEWEST.id.desc())
        .limit(1)
        .correlate(Cluster)
        .scalar_subquery()
    )
    return (
        select(
            Cluster.id,
            Cluster.version,
            Cluster.updated_at,
            Cluster.configuration_change,
            Cluster.agent_token_version,
            Cluster.deployed_fingerprint,
            Cluster.last_planned_at,
            Cluster.deploy_requested_at,
            RecipeRevision.id,
            RecipeRevision.validity,
            RecipeRevision.checked_at,
            Deployment.id,
            Deployment.state,
            Deployment.decided_at,
        )
        .select_from(Cluster)
        .outerjoin(RecipeRevision, is_wanted())
        .outerjoin(Deployment, Deployment.id == newest_id)
        .where(choice.condition)
    )


def _cluster_record(
    row: Row[Any],
    *,
    variables: Sequence[Row[Any]],
    attempts: Sequence[Attempt],
    wanted: RecipeRevisionRecord | None,
    applied: RecipeRevisionRecord | None,
    switches: Switches,
) -> ClusterRecord:
    return ClusterRecord(
        id=row.id,
        slug=row.slug,
        agent_token_version=row.agent_token_version,
        variables={one.name: one.value for one in variables if one.encrypted is None},
        encrypted={one.name: one.encrypted for one in variables if one.encrypted is not None},
        revision=applied or wanted,
        recipe_id=row.recipe_id,
        gates=Gates.model_validate(row.gates or {}),
        state_key=row.state_key,
        has_state=row.has_state,
        applied_snapshot=row.applied_snapshot,
        replace_addresses=tuple(row.replace_addresses or ()),
        situation=ClusterSituation(
            state=row.state,
            deploy_policy=row.deploy_policy,
            deployed_fingerprint=row.deployed_fingerprint,
            last_planned_at=row.last_planned_at,
            attempts=attempts,
            # The deployments that tell of it may be so old that they were removed.
            was_applied=applied is not None or bool(row.applied_snapshot) or row.has_state,
            recipe_problem=wanted.problem if wanted else "",
            verdict_expected_until=wanted.verdict_expected_until if wanted else None,
            switches=switches,
            is_protected=row.protected,
            quarantine=Quarantine.model_validate(row.quarantine) if row.quarantine else None,
            spread=spread_of(row.id),
        ),
    )


def switches_of(row: Row[Any], installation: Row[bool, str] | None) -> Switches:
    """What people decided beside the cluster's description."""
    return Switches(
        is_paused=row.paused_at is not None,
        paused_by=row.paused_by,
        paused_until=row.paused_until,
        deploy_requested_at=row.deploy_requested_at,
        deploy_requested_by=row.deploy_requested_by,
        applies_stopped=installation is not None and installation.applies_stopped,
        applies_stopped_by=installation.changed_by if installation else "",
    )


def restraints_of(row: Row[Any]) -> Restraints:
    """By what plans are to be judged now."""
    return Restraints(row.deploy_policy, Gates.model_validate(row.gates or {}), row.protected)


def switches_of_installation(session: Session) -> Row[bool, str] | None:
    """What people decided about all clusters; None: nothing yet."""
    return session.execute(_INSTALLATION).one_or_none()
