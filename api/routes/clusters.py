"""Routes of clusters, their variables, deployments, agents and grid."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response, status
from fastapi.responses import PlainTextResponse

from api.dependencies import (
    HostInPath,
    SlugInPath,
    SlugOrIdInPath,
    TheContext,
    VariableInPath,
    Word,
    paging_by,
)
from api.routes.fleet import FleetPaging, TheAgentFilter
from api.services import agents, deployments, fleet, variables
from api.services import clusters as service
from api.services.host_configuration import host_configuration
from api.services.large_values import store_large
from api.services.paging import Paging
from api.writing import TheWriting, tagged
from common.contracts.agents import Agent, Grid
from common.contracts.clusters import (
    Cluster,
    ClusterCreate,
    ClusterState,
    ClusterUpdate,
    Deployment,
    DeploymentState,
    PlannedChanges,
    Variable,
    VariablePut,
)
from common.contracts.host_configuration import HostConfiguration
from common.contracts.identifiers import SLUG_PATTERN
from common.contracts.values import Page

router = APIRouter(prefix="/clusters", tags=["clusters"])

ClusterPaging = Annotated[Paging, paging_by(service.SORTING)]


def _filter(
    recipe: Annotated[str | None, Query(pattern=SLUG_PATTERN)] = None,
    state: ClusterState | None = None,
    managed_by: Word = None,
) -> service.ClusterFilter:
    return service.ClusterFilter(recipe=recipe, state=state, managed_by=managed_by)


@router.get("")
def list_clusters(
    context: TheContext,
    paging: ClusterPaging,
    wanted: Annotated[service.ClusterFilter, Depends(_filter)],
) -> Page[Cluster]:
    """Clusters; of a recipe, in a state, of a manager."""
    with context.database.reading() as session:
        return service.page_of_clusters(session, wanted, paging)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_cluster(writing: TheWriting, new: ClusterCreate) -> Cluster:
    """Create a cluster; Creator deploys it."""
    with writing.describing() as session:
        shown = writing.shown(session, service.create_cluster(session, new))
        store_large(writing.context.storage, new.variables.values())
        return shown


@router.get("/{slug}")
def read_cluster(context: TheContext, slug: SlugOrIdInPath, response: Response) -> Cluster:
    """One cluster with its last deployment; by id also a destroyed one."""
    with context.database.reading() as session:
        return tagged(response, service.cluster(session, slug))


@router.patch("/{slug}")
def update_cluster(
    writing: TheWriting,
    slug: SlugInPath,
    changes: ClusterUpdate,
    force: Annotated[bool, Query()] = False,
) -> Cluster:
    """Change the fields that are in the body; `recipe_revision: null` follows the newest.

    422 if the cluster's values do not fit that revision, unless `force=true`: they may come afterwards.
    """
    with writing.describing() as session:
        written = service.update_cluster(session, slug, changes, writing.precondition, force=force)
        return writing.shown(session, written)


@router.delete("/{slug}", status_code=status.HTTP_202_ACCEPTED)
def delete_cluster(writing: TheWriting, slug: SlugInPath) -> Cluster:
    """Ask for the cluster's end; Creator destroys it. May be repeated."""
    with writing.describing() as session:
        written = service.delete_cluster(session, slug, writing.precondition)
        return writing.shown(session, written)


@router.get("/{slug}/variables")
def list_variables(
    context: TheContext,
    slug: SlugInPath,
    paging: Annotated[Paging, paging_by(variables.SORTING)],
) -> Page[Variable]:
    """Variables of a cluster."""
    with context.database.reading() as session:
        return variables.page_of_variables(session, slug, paging)


@router.get("/{slug}/variables/{name}")
def read_variable(
    context: TheContext, slug: SlugInPath, name: VariableInPath, response: Response
) -> Variable:
    """One variable of a cluster."""
    with context.database.reading() as session:
        return tagged(response, variables.variable(session, slug, name))


@router.put("/{slug}/variables/{name}")
def put_variable(
    writing: TheWriting, slug: SlugInPath, name: VariableInPath, new: VariablePut
) -> Variable:
    """Create or, with If-Match, replace a variable; the same value again changes nothing."""
    with writing.describing() as session:
        written = variables.put_variable(
            session, slug, name, new, writing.precondition, keyring=writing.context.keyring
        )
        shown = writing.shown(session, written)
        if not shown.sensitive:
            store_large(writing.context.storage, [new.value])
        return shown


@router.delete("/{slug}/variables/{name}", status_code=status.HTTP_204_NO_CONTENT)
def delete_variable(writing: TheWriting, slug: SlugInPath, name: VariableInPath) -> None:
    """Delete a variable."""
    with writing.describing() as session:
        deleted = variables.delete_variable(session, slug, name, writing.precondition)
        writing.done(session, deleted)


@router.get("/{slug}/deployments")
def list_deployments(
    context: TheContext,
    slug: SlugOrIdInPath,
    paging: Annotated[Paging, paging_by(deployments.SORTING)],
    state: DeploymentState | None = None,
) -> Page[Deployment]:
    """Deployments of a cluster, by id also of a destroyed one; in a state."""
    with context.database.reading() as session:
        cluster_id = service.known_cluster_id(session, slug)
        return deployments.page_of_deployments(session, cluster_id, paging, state=state)


@router.get("/{slug}/deployments/{deployment_id}")
def read_deployment(context: TheContext, slug: SlugOrIdInPath, deployment_id: UUID) -> Deployment:
    """One deployment of a cluster."""
    with context.database.reading() as session:
        cluster_id = service.known_cluster_id(session, slug)
        return deployments.deployment(session, cluster_id, deployment_id)


@router.get("/{slug}/deployments/{deployment_id}/changes")
def read_planned_changes(
    context: TheContext, slug: SlugOrIdInPath, deployment_id: UUID
) -> PlannedChanges:
    """What the plan does, resource by resource."""
    with context.database.reading() as session:
        cluster_id = service.known_cluster_id(session, slug)
        return deployments.planned_changes(session, cluster_id, deployment_id)


@router.get("/{slug}/deployments/{deployment_id}/log", response_class=PlainTextResponse)
def read_deployment_log(context: TheContext, slug: SlugOrIdInPath, deployment_id: UUID) -> str:
    """What terraform said."""
    with context.database.reading() as session:
        cluster_id = service.known_cluster_id(session, slug)
        return deployments.deployment_log(session, cluster_id, deployment_id)


@router.get("/{slug}/agents")
def list_agents(
    context: TheContext, slug: SlugInPath, paging: FleetPaging, wanted: TheAgentFilter
) -> Page[Agent]:
    """Agents that ever reported for a cluster."""
    with context.database.reading() as session:
        cluster_id = service.living_cluster_id(session, slug)
        wanted = replace(wanted, cluster_id=cluster_id)
        return fleet.page_of_fleet(session, wanted, paging, now=context.clock())


@router.get("/{slug}/hosts/{host}/configuration")
def read_host_configuration(
    context: TheContext, slug: SlugInPath, host: HostInPath
) -> HostConfiguration:
    """What runs on one host: each setting with the layer that gave it, each run as the agent starts it."""
    return host_configuration(context.documents, slug, host)


@router.get("/{slug}/grid")
def read_grid(context: TheContext, slug: SlugInPath) -> Grid:
    """The live grid, hosts by probers."""
    return agents.cluster_grid(context.documents, slug, grids=context.grids)
