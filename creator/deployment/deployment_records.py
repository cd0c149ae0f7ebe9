"""Record: what a deployment is doing, in short transactions; each is refused to whoever lost the cluster's lease.

A row is committed before what it announces begins, so that whoever comes after a crash knows what may have happened.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, select, update
from sqlalchemy.orm import Session

from common.contracts.clusters import (
    ClusterState,
    DeploymentState,
    HostDescription,
    PlanSummary,
)
from common.contracts.deployments import (
    MAX_CHANGES_SHOWN,
    Difference,
    Quarantine,
    ResourceChange,
    StateLock,
)
from creator import audit
from creator.deployment.audited import deployments_before
from creator.deployment.leased import Lease, under
from creator.deployment.log_records import forget_log_chunks
from creator.deployment.records import (
    ClusterRecord,
    restraints_of,
    set_cluster,
    switches_of,
    switches_of_installation,
)
from creator.planner import reason_not_to_apply, reason_to_judge_again
from database.audit_log import record
from database.configuration_changes import CHANGED
from database.models import (
    Cluster,
    Deployment,
    DeploymentStep,
    RecipeRevision,
    table_of,
)
from database.session import Database

_DEPLOYMENTS = table_of(Deployment)
# Made once: it costs more than its execution.
_OF_DEPLOYMENT = update(_DEPLOYMENTS).where(_DEPLOYMENTS.c.id == bindparam("of_id"))
_RESTRAINTS = (
    select(
        Cluster.state,
        Cluster.deploy_policy,
        Cluster.gates,
        Cluster.protected,
        Cluster.paused_at,
        Cluster.paused_by,
        Cluster.paused_until,
        Cluster.deploy_requested_at,
        Cluster.deploy_requested_by,
    )
    .where(Cluster.id == bindparam("of_id"))
    .with_for_update()
)


@dataclass(frozen=True)
class Beginning:
    """What is known of a deployment before its first step."""

    cause: str
    fingerprint: str
    recipe_revision_id: UUID
    inputs: Mapping[str, Any]
    differences: Sequence[Difference]
    changed_at: datetime | None
    state_key: str


@dataclass(frozen=True)
class Ending:
    """How a deployment ended, or that it waits for a person."""

    state: DeploymentState
    error: str = ""
    gate: str = ""
    lock: StateLock | None = None
    plan: Mapping[str, Any] | None = None
    plan_text: str = ""


@dataclass(frozen=True)
class Applied:
    """The deployment that made a cluster what it is, and what it changed."""

    deployment_id: UUID
    changes: Sequence[ResourceChange]


class DeploymentRecords:
    """Writes under leases; may be used by several threads. Calls may raise SQLAlchemy's errors and LeaseLostError."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def begin(self, cluster: ClusterRecord, lease: Lease, beginning: Beginning) -> UUID:
        """A new deployment is under way; its id. The request for it, if somebody asked, is served."""
        row = Deployment(
            cluster_id=cluster.id,
            recipe_revision_id=beginning.recipe_revision_id,
            cause=beginning.cause,
            fingerprint=beginning.fingerprint,
            inputs=dict(beginning.inputs),
            differences=[one.model_dump(mode="json") for one in beginning.differences],
            changed_at=beginning.changed_at,
            holder=lease.holder,
            fencing=lease.fencing,
            started_at=self._clock(),
        )
        requested_at = cluster.situation.switches.deploy_requested_at
        with under(self._database, lease) as session:
            session.add(row)
            unset = and_(Cluster.id == cluster.id, Cluster.state_key == "")
            set_cluster(session, unset, {"state_key": beginning.state_key})
            if requested_at is not None:
                # A request that came after the one we saw stays.
                served = Cluster.deploy_requested_at == requested_at
                set_cluster(
                    session,
                    and_(Cluster.id == cluster.id, served),
                    {"deploy_requested_at": None},
                )
        return row.id

    def go_on(self, deployment_id: UUID, lease: Lease) -> None:
        """Somebody goes on with a deployment that another Creator began."""
        with under(self._database, lease) as session:
            _set(session, deployment_id, {"holder": lease.holder, "fencing": lease.fencing})

    def take_up(self, deployment_id: UUID, lease: Lease) -> bool:
        """The deployment goes on with its approved plan; False if nobody approves of it any more. Then it waits no more, either."""
        approved = and_(
            Deployment.id == deployment_id,
            Deployment.state == DeploymentState.WAITING_FOR_APPROVAL,
            Deployment.approved.is_(True),
        )
        with under(self._database, lease) as session:
            found = deployments_before(session, approved)
            for one in found:
                values = {"holder": lease.holder, "fencing": lease.fencing}
                self._move(session, one, DeploymentState.PLANNING, **values)
        return bool(found)

    def planned(
        self,
        deployment_id: UUID,
        lease: Lease,
        changes: Sequence[ResourceChange],
        summary: PlanSummary,
    ) -> None:
        """There is a plan."""
        values = {"summary": summary.model_dump(), "changes": _shown(changes)}
        with under(self._database, lease) as session:
            _set(session, deployment_id, values)

    def changes_went_on(
        self, deployment_id: UUID, lease: Lease, changes: Sequence[ResourceChange]
    ) -> None:
        """How far the changes of a plan have come."""
        with under(self._database, lease) as session:
            _set(session, deployment_id, {"changes": _shown(changes)})

    def begin_apply(
        self,
        deployment_id: UUID,
        lease: Lease,
        cluster: ClusterRecord,
        *,
        until: datetime,
        snapshot: str = "",
    ) -> str:
        """Why the plan must not be applied after all; if it may (empty), the deployment is applying.

        From here on the cluster is neither what was deployed before nor what is being deployed now,
        and its deletion cannot be taken back. Without a `snapshot` it is to be destroyed.
        `cluster` is as it was when the plan was judged.
        """
        with under(self._database, lease) as session:
            row = session.execute(_RESTRAINTS, {"of_id": cluster.id}).one()
            switches = switches_of(row, switches_of_installation(session))
            restraints, destroys = restraints_of(row), not snapshot
            reason = reason_not_to_apply(
                switches, row.state, self._clock(), destroys=destroys
            ) or reason_to_judge_again(cluster.restraints, restraints, destroys=destroys)
            if reason:
                return reason
            (before,) = deployments_before(session, Deployment.id == deployment_id)
            self._move(session, before, DeploymentState.APPLYING)
            values: dict[str, Any] = {"deployed_fingerprint": "", "applying_until": until}
            if snapshot:
                values["applied_snapshot"] = snapshot
            set_cluster(session, Cluster.id == cluster.id, {**values, **CHANGED})
        return ""

    def close(
        self, deployment_id: UUID, lease: Lease, cluster_id: UUID, ending: Ending, log: str
    ) -> None:
        """The deployment is over, or waits for a person; a new plan takes the place of one that still waits."""
        waits = ending.state is DeploymentState.WAITING_FOR_APPROVAL
        values: dict[str, Any] = {
            "error": ending.error,
            "gate": ending.gate,
            "lock": ending.lock.model_dump() if ending.lock else None,
            "log": log,
            "finished_at": None if waits else self._clock(),
        }
        if ending.plan is not None:
            values["plan"] = dict(ending.plan)
        if ending.plan_text:
            values["plan_text"] = ending.plan_text
        with under(self._database, lease) as session:
            (before,) = deployments_before(session, Deployment.id == deployment_id)
            self._move(session, before, ending.state, **values)
            forget_log_chunks(session, deployment_id)
            _apply_is_over(session, cluster_id)
            if waits or ending.state is DeploymentState.SUCCEEDED:
                self._supersede_waiting(session, cluster_id, keep=deployment_id)

    def forget(self, deployment_id: UUID, lease: Lease) -> None:
        """A check that found nothing new leaves no trace."""
        with under(self._database, lease) as session:
            forget_log_chunks(session, deployment_id)
            steps = DeploymentStep.deployment_id == deployment_id
            session.execute(delete(DeploymentStep).where(steps))
            session.execute(delete(Deployment).where(Deployment.id == deployment_id))

    # Plans that wait

    def obsolete_plans(self, cluster_id: UUID) -> dict[UUID, str]:
        """By deployment: keys of kept plans that nobody will apply any more."""
        query = select(Deployment.id, Deployment.plan).where(
            Deployment.cluster_id == cluster_id,
            Deployment.plan.is_not(None),
            Deployment.state.in_(
                [
                    DeploymentState.SUPERSEDED,
                    DeploymentState.SUCCEEDED,
                    DeploymentState.FAILED,
                    DeploymentState.UNKNOWN,
                ]
            ),
        )
        with self._database.reading() as session:
            return {row[0]: str(row[1].get("key", "")) for row in session.execute(query)}

    def plan_removed(self, deployment_id: UUID, lease: Lease) -> None:
        """The kept plan is no more."""
        with under(self._database, lease) as session:
            _set(session, deployment_id, {"plan": None})

    # Clusters

    def cluster_planned(self, cluster_id: UUID, lease: Lease) -> None:
        """The cluster has been compared with its description."""
        with under(self._database, lease) as session:
            set_cluster(session, Cluster.id == cluster_id, {"last_planned_at": self._clock()})

    def state_seen(self, cluster_id: UUID, lease: Lease) -> None:
        """The cluster's state is there."""
        with under(self._database, lease) as session:
            set_cluster(session, Cluster.id == cluster_id, {"has_state": True})

    def cluster_deployed(
        self,
        cluster_id: UUID,
        lease: Lease,
        fingerprint: str,
        hosts: Mapping[str, HostDescription] | None,
        *,
        applied: Applied | None = None,
    ) -> None:
        """The cluster is what its description says; `hosts` None = they were not read, they stay."""
        values: dict[str, Any] = {
            "deployed_fingerprint": fingerprint,
            "last_planned_at": self._clock(),
        }
        if applied:  # terraform has written a state
            values["has_state"] = True
        with under(self._database, lease) as session:
            if applied:
                _set(session, applied.deployment_id, {"changes": _shown(applied.changes)})
            if hosts is not None:
                stored = {name: host.model_dump() for name, host in sorted(hosts.items())}
                _set_hosts(session, cluster_id, stored)
            set_cluster(session, Cluster.id == cluster_id, values)

    def nothing_differs(self, cluster_id: UUID, lease: Lease) -> None:
        """No plan needs to be approved any more, nothing is perpetual."""
        with under(self._database, lease) as session:
            self._supersede_waiting(session, cluster_id)
            _newest_apply_helped(session, cluster_id)
            quarantined = and_(Cluster.id == cluster_id, Cluster.quarantine.is_not(None))
            set_cluster(session, quarantined, {"quarantine": None})

    def quarantine(self, cluster_id: UUID, lease: Lease, quarantine: Quarantine) -> None:
        """Applies do not help: what differs again and again is left alone."""
        values = {"quarantine": quarantine.model_dump(mode="json")}
        with under(self._database, lease) as session:
            set_cluster(session, Cluster.id == cluster_id, values)

    def replaced(self, cluster_id: UUID, lease: Lease, addresses: Sequence[str]) -> None:
        """These resources were made anew; what was asked for meanwhile stays."""
        with under(self._database, lease) as session:
            row = session.get_one(Cluster, cluster_id, with_for_update=True)
            left = [one for one in row.replace_addresses if one not in addresses]
            if left != row.replace_addresses:
                set_cluster(session, Cluster.id == cluster_id, {"replace_addresses": left})

    def cluster_destroyed(self, cluster_id: UUID, lease: Lease) -> bool:
        """Nothing of the cluster is left but its row; False if its deletion was taken back meanwhile."""
        values: dict[str, Any] = {
            "state": ClusterState.DESTROYED,
            "deleted_at": self._clock(),
            "applied_snapshot": "",
            "quarantine": None,
        }
        with under(self._database, lease) as session:
            query = select(Cluster.state, Cluster.slug).where(Cluster.id == cluster_id)
            state, slug = session.execute(query.with_for_update()).one()
            if state is not ClusterState.DELETING:
                return False
            _set_hosts(session, cluster_id, {})
            set_cluster(session, Cluster.id == cluster_id, values)
            self._supersede_waiting(session, cluster_id)
            record(session, audit.CREATOR, audit.destroyed(cluster_id, slug), now=self._clock())
        return True

    def keep_dependency_lock(self, revision_id: UUID, text: str) -> None:
        """The first init of a revision has chosen its providers; later ones are bound to them."""
        unknown = and_(RecipeRevision.id == revision_id, RecipeRevision.dependency_lock == "")
        with self._database.writing() as session:
            session.execute(update(RecipeRevision).where(unknown).values(dependency_lock=text))

    def _move(
        self,
        session: Session,
        before: audit.DeploymentBefore,
        state: DeploymentState,
        **values: Any,
    ) -> None:
        """Bring a deployment into this state, and say so in the audit log."""
        _set(session, before.id, {**values, "state": state})
        record(session, audit.CREATOR, audit.moved(before, state), now=self._clock())

    def _supersede_waiting(
        self, session: Session, cluster_id: UUID, *, keep: UUID | None = None
    ) -> None:
        waiting = and_(
            Deployment.cluster_id == cluster_id,
            Deployment.state == DeploymentState.WAITING_FOR_APPROVAL,
        )
        for one in deployments_before(session, waiting):
            if one.id != keep:
                self._move(session, one, DeploymentState.SUPERSEDED, finished_at=self._clock())


def _shown(changes: Sequence[ResourceChange]) -> list[dict[str, Any]]:
    return [change.model_dump(mode="json") for change in changes[:MAX_CHANGES_SHOWN]]


def _set(session: Session, deployment_id: UUID, values: Mapping[str, Any]) -> None:
    session.execute(_OF_DEPLOYMENT, {"of_id": deployment_id, **values})


def _set_hosts(session: Session, cluster_id: UUID, hosts: Mapping[str, Any]) -> None:
    known = session.scalars(select(Cluster.hosts).where(Cluster.id == cluster_id)).one()
    if known != hosts:
        set_cluster(session, Cluster.id == cluster_id, {"hosts": hosts, **CHANGED})


def _newest_apply_helped(session: Session, cluster_id: UUID) -> None:
    """Nothing differs after it: whatever differs later is no perpetual difference."""
    query = (
        select(Deployment)
        .where(Deployment.cluster_id == cluster_id, Deployment.state == DeploymentState.SUCCEEDED)
        .order_by(Deployment.id.desc())
        .limit(1)
    )
    row = session.scalars(query).first()
    if row is not None and row.inputs is not None and not row.inputs.get("helped"):
        row.inputs = row.inputs | {"helped": True}


def _apply_is_over(session: Session, cluster_id: UUID) -> None:
    applying = and_(Cluster.id == cluster_id, Cluster.applying_until.is_not(None))
    set_cluster(session, applying, {"applying_until": None, **CHANGED})
