"""What people do with a cluster beside describing it: pause, deploy now, undelete, rule on a plan, rotate the agents' token."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from api.services.agents import sightings
from api.services.clusters import cluster_subject, described_cluster, living_cluster
from api.services.deployments import deployment, planned_changes, reason_not_to_approve
from api.services.errors import ActionError, ForbiddenError, InvalidError, NotFoundError
from api.services.sightings import Sighting, remembered, speakers
from common.contracts.clusters import (
    Cluster,
    ClusterState,
    Deployment,
    DeploymentState,
    PauseRequest,
)
from common.contracts.deployments import DESTROYING, Gates, PlannedChanges
from database import models
from database.audit_log import Author, Subject, Written
from database.configuration_changes import mark_changed

# What may lie between a description and its plan.
_DESCRIBING_KINDS = ("cluster", "variable")


@dataclass(frozen=True)
class Ruling:
    """What a person says about a plan; `reason` is for the record."""

    approved: bool
    author: Author
    reason: str = ""
    approver_must_differ: bool = False


def pause(
    session: Session, slug: str, request: PauseRequest, *, by: str, now: datetime
) -> Written[Cluster]:
    """Have Creator leave the cluster alone; what runs goes on. InvalidError for an end in the past."""
    if request.until is not None and request.until <= now:
        expected = "a moment in the future"
        raise InvalidError.of("until", expected, given=request.until.isoformat())
    row = living_cluster(session, slug, lock=True)
    before = described_cluster(session, row)
    if row.paused_at is None or (row.paused_reason, row.paused_until) != (
        request.reason,
        request.until,
    ):
        row.paused_at, row.paused_by = now, by
        row.paused_reason, row.paused_until = request.reason, request.until
    return _written(session, row, before, action="pause")


def resume(session: Session, slug: str) -> Written[Cluster]:
    """End the pause; doing so twice is doing so once."""
    row = living_cluster(session, slug, lock=True)
    before = described_cluster(session, row)
    row.paused_at = row.paused_until = None
    row.paused_by = row.paused_reason = ""
    return _written(session, row, before, action="resume")


def deploy_now(session: Session, slug: str, *, by: str, now: datetime) -> Written[Cluster]:
    """Have Creator plan at once, without the pause after a failure; ActionError while it would not be heard."""
    row = living_cluster(session, slug, lock=True)
    before = described_cluster(session, row)
    if row.state is not ClusterState.ACTIVE:
        raise ActionError(f"cluster {slug} is {row.state}: there is nothing to deploy")
    if _is_paused(row, now):
        raise ActionError(f"cluster {slug} is paused by {row.paused_by}: resume it first")
    if row.deploy_requested_at is None:
        row.deploy_requested_at, row.deploy_requested_by = now, by
    return _written(session, row, before, action="deploy")


def undelete(session: Session, slug: str) -> Written[Cluster]:
    """Take the deletion back; ActionError as soon as Creator has begun to destroy."""
    row = living_cluster(session, slug, lock=True)
    before = described_cluster(session, row)
    if row.state is ClusterState.DELETING:
        if _destroy_has_begun(session, row.id):
            raise ActionError(
                f"cluster {slug} is being destroyed already: wait for its end and make it anew"
            )
        row.state = ClusterState.ACTIVE
    return _written(session, row, before, action="undelete")


def rotate_agent_token(session: Session, slug: str, *, force: bool) -> Written[Cluster]:
    """Raise the version of the agents' token; the one before stays valid until every agent has the new one.

    ActionError while an earlier rotation is under way: with `force` its agents are locked out.
    """
    row = living_cluster(session, slug, lock=True)
    before = described_cluster(session, row)
    if row.previous_agent_token_version is not None and not force:
        raise ActionError(
            f"agents of cluster {slug} still use token version {row.previous_agent_token_version}:"
            " wait until all of them have the new one, or rotate with `force`"
        )
    row.previous_agent_token_version = row.agent_token_version
    row.agent_token_version += 1
    return _written(session, row, before, action="rotate agent token")


def retire_previous_token(session: Session, cluster_id: UUID, *, now: datetime) -> bool:
    """End the life of the version before, if no agent needs it any more; called after reports. Whether it did."""
    row = session.get(models.Cluster, cluster_id, with_for_update=True, populate_existing=True)
    if row is None or row.previous_agent_token_version is None:
        return False
    rows = session.execute(
        select(models.Agent.instance, models.Agent.token_version).where(
            models.Agent.cluster_id == cluster_id
        )
    )
    versions = {row.instance: row.token_version for row in rows}
    seen = sightings(session, cluster_id)
    if not all_have_version(seen, versions, row.agent_token_version, hosts=row.hosts, now=now):
        return False
    row.previous_agent_token_version = None
    mark_changed(session, [cluster_id])  # its processes look at their clusters again
    return True


def all_have_version(
    seen: list[Sighting],
    versions: dict[UUID, int | None],
    wanted: int,
    *,
    hosts: dict[str, object],
    now: datetime,
) -> bool:
    """Whether the agent that counts on each host reported with this version. Pure.

    Also silent ones count for a day: after an absence of the API all are silent at first.
    """
    counting = speakers(remembered(seen, hosts, now), now).values()
    current = [versions.get(one.sighting.report.instance) == wanted for one in counting]
    return bool(current) and all(current)


def rule(
    session: Session, slug: str, deployment_id: UUID, ruling: Ruling, *, now: datetime
) -> Written[Deployment]:
    """Approve or reject the plan that waits; ActionError for another one, ForbiddenError for its author."""
    cluster = living_cluster(session, slug, lock=True)
    row = session.get(models.Deployment, deployment_id, with_for_update=True)
    if row is None or row.cluster_id != cluster.id:
        raise NotFoundError("deployment", deployment_id)
    before = deployment(session, cluster.id, deployment_id)
    if before.approved is ruling.approved:
        return Written(_deployment_subject(cluster, row), before, before)
    if row.state is not DeploymentState.WAITING_FOR_APPROVAL:
        raise ActionError(_not_waiting(row))
    if ruling.approved:
        _refuse_unfit(session, cluster, before, now)
        if ruling.approver_must_differ:
            _refuse_author(session, cluster, ruling.author)
    row.approved, row.decided_at = ruling.approved, now
    row.decided_by = ruling.author.name
    if not ruling.approved:
        row.state, row.finished_at = DeploymentState.SUPERSEDED, now
        row.error = f"rejected by {ruling.author.name}: {ruling.reason or 'no reason given'}"
        _withdraw_wishes(cluster, planned_changes(session, cluster.id, row.id))
    session.flush()
    session.expire(row)
    after = deployment(session, cluster.id, deployment_id)
    action = "approve" if ruling.approved else "reject"
    return Written(_deployment_subject(cluster, row), before, after, action=action)


def _withdraw_wishes(cluster: models.Cluster, rejected: PlannedChanges) -> None:
    """What was to be made anew by a rejected plan is not made anew by the next one, which nobody may look at."""
    destroyed = {one.address for one in rejected.resources if one.action in DESTROYING}
    left = [address for address in cluster.replace_addresses if address not in destroyed]
    if left != cluster.replace_addresses:
        cluster.replace_addresses = left
        cluster.version += 1


def _not_waiting(row: models.Deployment) -> str:
    if row.state is DeploymentState.SUPERSEDED:
        return f"the plan of deployment {row.id} is superseded: another one has taken its place"
    return f"deployment {row.id} is {row.state} and waits for nobody"


def _refuse_unfit(
    session: Session, cluster: models.Cluster, shown: Deployment, now: datetime
) -> None:
    """ActionError if Creator would not apply this plan, whoever approves it."""
    changes = planned_changes(session, cluster.id, shown.id)
    # By the gates as they are now, as Creator will look at them.
    gates = Gates.model_validate(cluster.gates)
    if reason := reason_not_to_approve(shown, changes, gates, now=now):
        raise ActionError(reason)


def _refuse_author(session: Session, cluster: models.Cluster, author: Author) -> None:
    """ForbiddenError if this key changed the description since what was deployed last, as the audit log knows it."""
    deployed = session.scalar(
        select(models.Deployment.started_at)
        .where(
            models.Deployment.cluster_id == cluster.id,
            models.Deployment.state == DeploymentState.SUCCEEDED,
        )
        .order_by(models.Deployment.id.desc())
        .limit(1)
    )
    entry = models.AuditEntry
    of_cluster = (entry.cluster_id == cluster.id) & entry.kind.in_(_DESCRIBING_KINDS)
    of_recipe = entry.object_id == cluster.recipe_id
    found = select(entry.id).where(entry.key_id == author.key_id, of_cluster | of_recipe)
    if deployed is not None:
        found = found.where(entry.at >= deployed)
    if session.scalar(found.limit(1)) is not None:
        raise ForbiddenError("who changed the cluster or its recipe does not approve the plan")


def _destroy_has_begun(session: Session, cluster_id: UUID) -> bool:
    """Creator says so with its row locked, before it starts terraform."""
    of_cluster = models.Deployment.cluster_id == cluster_id
    applying = exists().where(of_cluster, models.Deployment.state == DeploymentState.APPLYING)
    step = exists().where(
        of_cluster,
        models.DeploymentStep.deployment_id == models.Deployment.id,
        models.DeploymentStep.kind == "destroy",
    )
    return bool(session.scalar(select(applying | step)))


def _is_paused(row: models.Cluster, now: datetime) -> bool:
    return row.paused_at is not None and (row.paused_until is None or now < row.paused_until)


def _written(
    session: Session, row: models.Cluster, before: Cluster, *, action: str
) -> Written[Cluster]:
    # Asked before any query: those write first.
    if session.is_modified(row):
        row.version += 1
    session.flush()
    return Written(cluster_subject(row), before, described_cluster(session, row), action=action)


def _deployment_subject(cluster: models.Cluster, row: models.Deployment) -> Subject:
    return Subject("deployment", row.id, f"{cluster.slug}/{row.id}", cluster_id=cluster.id)
