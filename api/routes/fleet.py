"""Routes of all agents, whatever their cluster."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.dependencies import TheContext, paging_by
from api.services import fleet as service
from api.services.paging import Paging
from common.contracts.agents import Agent, ChosenPresence, MissingHost
from common.contracts.values import Page

router = APIRouter(prefix="/agents", tags=["agents"])


def _filter(
    presence: ChosenPresence | None = None,
    version: Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$")] = None,
    stale: bool | None = None,
    clock_skew_above_seconds: Annotated[
        float | None, Query(ge=0, le=1e9, allow_inf_nan=False)
    ] = None,
) -> service.AgentFilter:
    return service.AgentFilter(
        presence=presence,
        version=version,
        stale=stale,
        clock_skew_above_seconds=clock_skew_above_seconds,
    )


TheAgentFilter = Annotated[service.AgentFilter, Depends(_filter)]
FleetPaging = Annotated[Paging, paging_by(service.SORTING)]


@router.get("")
def list_fleet(context: TheContext, paging: FleetPaging, wanted: TheAgentFilter) -> Page[Agent]:
    """Agents of all clusters; `stale`: with an older document than the newest one.

    A page may hold fewer than `page_size`, even none, and name a next one: so many were looked at.
    """
    with context.database.reading() as session:
        return service.page_of_fleet(session, wanted, paging, now=context.clock())


@router.get("/missing")
def list_missing_hosts(
    context: TheContext, paging: Annotated[Paging, paging_by(service.MISSING_SORTING)]
) -> Page[MissingHost]:
    """Hosts that recipes named and from which no agent ever came; `page_size` counts clusters."""
    with context.database.reading() as session:
        return service.page_of_missing_hosts(session, paging)
