"""Read and record: everything that Creator asks the database and writes to it, in short transactions.

No transaction is open while terraform runs.
A row is committed before what it announces begins, so that whoever comes after a crash knows what may have happened.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import ColumnElement, and_, delete, func, literal, select, update
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from common.contracts.clusters import (
    ClusterState,
    DeploymentState,
    DeployPolicy,
    HostDescription,
    PlannedChanges,
    PlanSummary,
)
from common.contracts.files import FileReference
from common.contracts.recipes import RevisionProblem, Validity
from creator import audit
from creator.planner import (
    ATTEMPTS_LOOKED_AT,
    Attempt,
    ClusterSituation,
    Ruling,
    Switches,
    reason_not_to_apply,
)
from creator.process_table import RunningProcess
from creator.terraform import Kind
from database.audit_log import record
from database.configuration_changes import mark_changed
from database.models import (
    Cluster,
    Deployment,
    DeploymentStep,
    InstallationSwitches,
    RecipeFile,
    RecipeRevision,
)
from database.session import Database

# How long a deployment waits for the verdict on a new revision: with nobody to judge, it goes on without.
VERDICT_TIME = timedelta(minutes=1)
_UNDER_WAY = (DeploymentState.PLANNING, DeploymentState.APPLYING)


@dataclass(frozen=True)
class RecipeRevisionRecord:
    """A revision of a recipe without its files."""

    id: UUID
    content_hash: str
    problem: str = ""  # why it is invalid
    verdict_expected_until: datetime | None = None


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

    @property
    def deploy_policy(self) -> DeployPolicy:
        """Who starts an apply."""
        return self.situation.deploy_policy


@dataclass(frozen=True)
class UnfinishedStep:
    """A command whose end nobody recorded; without a process, nobody recorded its start either."""

    id: UUID
    kind: str
    arguments: tuple[str, ...]
    process: RunningProcess | None
    started_at: datetime


@dataclass(frozen=True)
class UnfinishedDeployment:
    """A deployment that is under way, or whose Creator died."""

    id: UUID
    cluster_id: UUID
    cluster: str
    agent_token_version: int
    step: UnfinishedStep | None


class Records:
    """All of it behind verbs; each call is one transaction, and may raise SQLAlchemy's errors."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    # Reading

    def clusters(self, only: UUID | None = None) -> list[ClusterRecord]:
        """Every cluster that is not destroyed, oldest first; the number of statements does not grow with theirs."""
        with self._database.reading() as session:
            chosen: ColumnElement[bool] = Cluster.state != ClusterState.DESTROYED
            if only is not None:
                chosen = and_(chosen, Cluster.id == only)
            query = select(Cluster).where(chosen).options(selectinload(Cluster.variables))
            rows = session.scalars(query.order_by(Cluster.id)).all()
            wanted = _wanted_revisions(session, chosen)
            deleting = [row.id for row in rows if row.state is ClusterState.DELETING]
            applied = _applied_revisions(session, deleting) if deleting else {}
            attempts = _attempts(session, chosen)
            installation = _installation(session)
        return [
            _cluster_record(
                row,
                attempts=attempts.get(row.id, []),
                wanted=wanted.get(row.id),
                applied=applied.get(row.id),
                switches=_switches(row, installation),
            )
            for row in rows
        ]

    def unfinished(self) -> list[UnfinishedDeployment]:
        """Every deployment that is under way, whoever began it."""
        query = select(Deployment).where(Deployment.state.in_(_UNDER_WAY)).order_by(Deployment.id)
        options = (selectinload(Deployment.steps), joinedload(Deployment.cluster))
        with self._database.reading() as session:
            return [_unfinished(row) for row in session.scalars(query.options(*options))]

    def files(self, revision_id: UUID) -> list[FileReference]:
        """The files of a recipe's revision."""
        query = select(RecipeFile).where(RecipeFile.revision_id == revision_id)
        with self._database.reading() as session:
            return [
                FileReference.model_validate(row, from_attributes=True)
                for row in session.scalars(query.order_by(RecipeFile.path))
            ]

    # Deployments

    def begin(
        self, cluster: ClusterRecord, revision_id: UUID, *, cause: str, fingerprint: str
    ) -> UUID:
        """A new deployment is under way; its id. The request for it, if somebody asked, is served."""
        row = Deployment(
            cluster_id=cluster.id,
            recipe_revision_id=revision_id,
            cause=cause,
            fingerprint=fingerprint,
            started_at=self._clock(),
        )
        requested_at = cluster.situation.switches.deploy_requested_at
        with self._database.writing() as session:
            session.add(row)
            if requested_at is not None:
                _serve_request(session, cluster.id, requested_at)
        return row.id

    def begin_step(self, deployment_id: UUID, kind: Kind, arguments: Sequence[str]) -> UUID:
        """A command is about to start; its step's id."""
        row = DeploymentStep(
            deployment_id=deployment_id,
            kind=kind.value,
            arguments=list(arguments),
            started_at=self._clock(),
        )
        with self._database.writing() as session:
            session.add(row)
        return row.id

    def step_started(self, step_id: UUID, process: RunningProcess) -> None:
        """The command runs as this process."""
        self._update_step(step_id, pid=process.pid, process_start_ticks=process.start_ticks)

    def step_ended(self, step_id: UUID, exit_code: int | None) -> None:
        """The command has ended; None = nobody saw how."""
        self._update_step(step_id, exit_code=exit_code, finished_at=self._clock())

    def store_log(self, deployment_id: UUID, log: str) -> None:
        """What terraform has said until now."""
        self._update_deployment(deployment_id, log=log)

    def planned(self, deployment_id: UUID, summary: PlanSummary, changes: PlannedChanges) -> None:
        """There is a plan."""
        self._update_deployment(
            deployment_id, summary=summary.model_dump(), changes=changes.model_dump()
        )

    def begin_apply(self, cluster_id: UUID, deployment_id: UUID, *, destroys: bool) -> str:
        """Why the plan must not be applied after all; if it may (empty), the deployment is applying.

        From here on the cluster is neither what was deployed before nor what is being deployed now,
        and its deletion cannot be taken back.
        """
        with self._database.writing() as session:
            query = select(Cluster).where(Cluster.id == cluster_id).with_for_update()
            row = session.scalars(query).one()
            switches = _switches(row, _installation(session))
            reason = reason_not_to_apply(switches, row.state, self._clock(), destroys=destroys)
            if not reason:
                self._move(session, deployment_id, DeploymentState.APPLYING)
                _set_cluster(session, cluster_id, {"deployed_fingerprint": ""})
        return reason

    def approved(self, deployment_id: UUID, ruling: Ruling) -> None:
        """The deployment goes through because a person approved its plan."""
        self._update_deployment(
            deployment_id, approved=True, decided_by=ruling.by, decided_at=ruling.at
        )

    def close(self, deployment_id: UUID, state: DeploymentState, *, error: str, log: str) -> None:
        """The deployment is over, or waits for a person; a new plan takes the place of one that still waits."""
        waits = state is DeploymentState.WAITING_FOR_APPROVAL
        finished_at = None if waits else self._clock()
        with self._database.writing() as session:
            self._move(session, deployment_id, state, error=error, log=log, finished_at=finished_at)
            if waits or state is DeploymentState.SUCCEEDED:
                of = select(Deployment.cluster_id).where(Deployment.id == deployment_id)
                cluster_id = session.scalars(of).one()
                self._supersede_waiting(session, cluster_id, keep=deployment_id)

    def forget(self, deployment_id: UUID) -> None:
        """A check that found nothing new leaves no trace."""
        with self._database.writing() as session:
            steps = DeploymentStep.deployment_id == deployment_id
            session.execute(delete(DeploymentStep).where(steps))
            session.execute(delete(Deployment).where(Deployment.id == deployment_id))

    # Clusters

    def cluster_planned(self, cluster_id: UUID) -> None:
        """The cluster has been compared with its description."""
        with self._database.writing() as session:
            _set_cluster(session, cluster_id, {"last_planned_at": self._clock()})

    def cluster_deployed(
        self, cluster_id: UUID, fingerprint: str, hosts: Mapping[str, HostDescription] | None
    ) -> None:
        """The cluster is what its description says; `hosts` None = they were not read, they stay."""
        values = {"deployed_fingerprint": fingerprint, "last_planned_at": self._clock()}
        with self._database.writing() as session:
            if hosts is not None:
                stored = {name: host.model_dump() for name, host in sorted(hosts.items())}
                _set_hosts(session, cluster_id, stored)
            _set_cluster(session, cluster_id, values)

    def waiting_is_pointless(self, cluster_id: UUID) -> None:
        """Nothing differs any more: no plan needs to be approved."""
        with self._database.writing() as session:
            self._supersede_waiting(session, cluster_id)

    def cluster_destroyed(self, cluster_id: UUID) -> bool:
        """Nothing of the cluster is left but its row; False if its deletion was taken back meanwhile."""
        values = {"state": ClusterState.DESTROYED, "deleted_at": self._clock()}
        with self._database.writing() as session:
            query = select(Cluster.state, Cluster.slug).where(Cluster.id == cluster_id)
            state, slug = session.execute(query.with_for_update()).one()
            if state is not ClusterState.DELETING:
                return False
            _set_hosts(session, cluster_id, {})
            _set_cluster(session, cluster_id, values)
            self._supersede_waiting(session, cluster_id)
            record(session, audit.CREATOR, audit.destroyed(cluster_id, slug), now=self._clock())
        return True

    def _move(
        self, session: Session, deployment_id: UUID, state: DeploymentState, **values: Any
    ) -> None:
        """Bring a deployment into this state, and say so in the audit log."""
        (before,) = _deployments_before(session, Deployment.id == deployment_id)
        _set(session, deployment_id, {**values, "state": state})
        record(session, audit.CREATOR, audit.moved(before, state), now=self._clock())

    def _supersede_waiting(
        self, session: Session, cluster_id: UUID, *, keep: UUID | None = None
    ) -> None:
        waiting = and_(
            Deployment.cluster_id == cluster_id,
            Deployment.state == DeploymentState.WAITING_FOR_APPROVAL,
        )
        for one in _deployments_before(session, waiting):
            if one.id != keep:
                self._move(session, one.id, DeploymentState.SUPERSEDED, finished_at=self._clock())

    def _update_step(self, step_id: UUID, **values: Any) -> None:
        with self._database.writing() as session:
            rows = update(DeploymentStep).where(DeploymentStep.id == step_id)
            session.execute(rows.values(**values))

    def _update_deployment(self, deployment_id: UUID, **values: Any) -> None:
        with self._database.writing() as session:
            _set(session, deployment_id, values)


def _set(session: Session, deployment_id: UUID, values: Mapping[str, Any]) -> None:
    session.execute(update(Deployment).where(Deployment.id == deployment_id).values(**values))


def _set_cluster(session: Session, cluster_id: UUID, values: Mapping[str, Any]) -> None:
    # `updated_at` says when people changed the description.
    kept = {"updated_at": Cluster.updated_at}
    session.execute(update(Cluster).where(Cluster.id == cluster_id).values(**values, **kept))


def _set_hosts(session: Session, cluster_id: UUID, hosts: Mapping[str, Any]) -> None:
    known = session.scalars(select(Cluster.hosts).where(Cluster.id == cluster_id)).one()
    if known != hosts:
        _set_cluster(session, cluster_id, {"hosts": hosts})
        mark_changed(session, [cluster_id])


def _deployments_before(
    session: Session, chosen: ColumnElement[bool]
) -> list[audit.DeploymentBefore]:
    """Locked, as the audit log knows them."""
    query = (
        select(Deployment, Cluster.slug)
        .join(Cluster, Cluster.id == Deployment.cluster_id)
        .where(chosen)
        .order_by(Deployment.id)
        .with_for_update(of=Deployment)
    )
    return [
        audit.DeploymentBefore(
            id=row.id,
            cluster_id=row.cluster_id,
            cluster=slug,
            note=audit.DeploymentNote(state=row.state, summary=row.summary),
        )
        for row, slug in session.execute(query)
    ]


def _wanted_revisions(
    session: Session, chosen: ColumnElement[bool]
) -> dict[UUID, RecipeRevisionRecord]:
    """By cluster: the revision that it pins, or the newest of its recipe."""
    other = aliased(RecipeRevision)
    newest = select(func.max(other.number)).where(other.recipe_id == Cluster.recipe_id)
    wanted = and_(
        RecipeRevision.recipe_id == Cluster.recipe_id,
        RecipeRevision.number == func.coalesce(Cluster.recipe_revision, newest.scalar_subquery()),
    )
    query = select(Cluster.id, RecipeRevision).join(RecipeRevision, wanted).where(chosen)
    return {row[0]: _revision_record(row[1]) for row in session.execute(query)}


def _revision_record(revision: RecipeRevision) -> RecipeRevisionRecord:
    never_judged = revision.validity is Validity.UNCHECKED and revision.checked_at is None
    is_invalid = revision.validity is Validity.INVALID
    return RecipeRevisionRecord(
        id=revision.id,
        content_hash=revision.content_hash,
        problem=_first_problem(revision.problems) if is_invalid else "",
        verdict_expected_until=revision.created_at + VERDICT_TIME if never_judged else None,
    )


def _first_problem(problems: Sequence[Any]) -> str:
    for problem in map(RevisionProblem.model_validate, problems):
        place = f"{problem.file}:{problem.line}: " if problem.file else ""
        return f"{place}{problem.message}"
    return "terraform does not say why"


def _applied_revisions(
    session: Session, cluster_ids: Sequence[UUID]
) -> dict[UUID, RecipeRevisionRecord]:
    """By cluster: the revision whose apply was the last to start."""
    applied = DeploymentStep.kind == Kind.APPLY.value
    query = (
        select(Deployment.cluster_id, RecipeRevision.id, RecipeRevision.content_hash)
        .join(DeploymentStep, DeploymentStep.deployment_id == Deployment.id)
        .join(RecipeRevision, RecipeRevision.id == Deployment.recipe_revision_id)
        .where(Deployment.cluster_id.in_(cluster_ids), applied)
        .order_by(Deployment.id)
    )
    rows = session.execute(query)
    # The last one in a dictionary wins.
    return {row[0]: RecipeRevisionRecord(id=row[1], content_hash=row[2]) for row in rows}


def _attempts(session: Session, chosen: ColumnElement[bool]) -> dict[UUID, list[Attempt]]:
    """By cluster: its last deployments that are not under way, newest first; older ones are not even looked at."""
    older = aliased(Deployment)
    oldest = (
        select(older.id)
        .where(older.cluster_id == Cluster.id, older.state.not_in(_UNDER_WAY))
        .order_by(older.id.desc())
        .offset(ATTEMPTS_LOOKED_AT - 1)
        .limit(1)
        .correlate(Cluster)
        .scalar_subquery()
    )
    nothing_is_older = literal(UUID(int=0), Deployment.id.type)
    # Materialized: planned as one, the database would ask for the limit once per deployment.
    limits = (
        select(Cluster.id, func.coalesce(oldest, nothing_is_older).label("oldest"))
        .where(chosen)
        .cte("limits")
        .prefix_with("MATERIALIZED")
    )
    query = (
        select(Deployment)
        .join(limits, and_(Deployment.cluster_id == limits.c.id, Deployment.id >= limits.c.oldest))
        .where(Deployment.state.not_in(_UNDER_WAY))
        .order_by(Deployment.id.desc())
    )
    attempts: dict[UUID, list[Attempt]] = {}
    for row in session.scalars(query):
        attempts.setdefault(row.cluster_id, []).append(
            Attempt(
                state=row.state,
                fingerprint=row.fingerprint,
                finished_at=row.finished_at,
                summary=PlanSummary.model_validate(row.summary) if row.summary else None,
                ruling=_ruling(row),
            )
        )
    return attempts


def _cluster_record(
    row: Cluster,
    *,
    attempts: Sequence[Attempt],
    wanted: RecipeRevisionRecord | None,
    applied: RecipeRevisionRecord | None,
    switches: Switches,
) -> ClusterRecord:
    return ClusterRecord(
        id=row.id,
        slug=row.slug,
        agent_token_version=row.agent_token_version,
        variables={one.name: one.value for one in row.variables if one.encrypted is None},
        encrypted={one.name: one.encrypted for one in row.variables if one.encrypted is not None},
        revision=applied or wanted,
        situation=ClusterSituation(
            state=row.state,
            deploy_policy=row.deploy_policy,
            deployed_fingerprint=row.deployed_fingerprint,
            last_planned_at=row.last_planned_at,
            attempts=attempts,
            was_applied=applied is not None,
            recipe_problem=wanted.problem if wanted else "",
            verdict_expected_until=wanted.verdict_expected_until if wanted else None,
            switches=switches,
        ),
    )


def _switches(row: Cluster, installation: InstallationSwitches | None) -> Switches:
    return Switches(
        is_paused=row.paused_at is not None,
        paused_by=row.paused_by,
        paused_until=row.paused_until,
        deploy_requested_at=row.deploy_requested_at,
        deploy_requested_by=row.deploy_requested_by,
        applies_stopped=installation is not None and installation.applies_stopped,
        applies_stopped_by=installation.changed_by if installation else "",
    )


def _installation(session: Session) -> InstallationSwitches | None:
    return session.get(InstallationSwitches, 1)


def _ruling(row: Deployment) -> Ruling | None:
    if row.approved is None or row.decided_at is None:
        return None
    return Ruling(approved=row.approved, by=row.decided_by, at=row.decided_at)


def _serve_request(session: Session, cluster_id: UUID, requested_at: datetime) -> None:
    """A request that came after the one we saw stays."""
    served = and_(Cluster.id == cluster_id, Cluster.deploy_requested_at == requested_at)
    values = {"deploy_requested_at": None, "updated_at": Cluster.updated_at}
    session.execute(update(Cluster).where(served).values(**values))


def _unfinished(row: Deployment) -> UnfinishedDeployment:
    step = next((step for step in row.steps if step.finished_at is None), None)
    return UnfinishedDeployment(
        id=row.id,
        cluster_id=row.cluster_id,
        cluster=row.cluster.slug,
        agent_token_version=row.cluster.agent_token_version,
        step=_unfinished_step(step) if step else None,
    )


def _unfinished_step(row: DeploymentStep) -> UnfinishedStep:
    process = None
    if row.pid is not None and row.process_start_ticks is not None:
        process = RunningProcess(row.pid, row.process_start_ticks)
    return UnfinishedStep(
        id=row.id,
        kind=row.kind,
        arguments=tuple(row.arguments),
        process=process,
        started_at=row.started_at,
    )
