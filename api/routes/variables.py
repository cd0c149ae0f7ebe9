"""The route of the variables of all clusters; those of one cluster are in clusters.py."""

from typing import Annotated

from fastapi import APIRouter

from api.dependencies import TheContext, paging_by
from api.services import variables as service
from api.services.paging import Paging
from common.contracts.clusters import VariableOfCluster
from common.contracts.values import Page

router = APIRouter(prefix="/variables", tags=["clusters"])


@router.get("")
def list_all_variables(
    context: TheContext, paging: Annotated[Paging, paging_by(service.SORTING_OF_ALL)]
) -> Page[VariableOfCluster]:
    """Variables of all clusters that are not destroyed, with whose they are."""
    with context.database.reading() as session:
        return service.page_of_all_variables(session, paging)
