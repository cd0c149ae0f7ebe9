"""The pages: clusters, one cluster with its live grid, and the API's documentation."""

from fastapi import APIRouter, Request, Response

from api.dependencies import TheContext
from api.pages import TEMPLATES
from api.routes.clusters import ClusterPaging
from api.services import clusters, deployments
from api.services.errors import NotFoundError
from api.services.overview import page_of_overviews
from api.services.paging import Paging
from common.contracts.identifiers import is_slug
from common.contracts.reports import REPORT_PERIOD_SECONDS

router = APIRouter(include_in_schema=False)

_SHOWN_DEPLOYMENTS = 10
_LONGEST_ECHO = 100


@router.get("/")
def show_clusters(context: TheContext, request: Request, paging: ClusterPaging) -> Response:
    """Clusters, a page of them."""
    with context.database.reading() as session:
        shown, token = page_of_overviews(session, paging, now=context.clock())
    following = request.url.include_query_params(page_token=token).query if token else ""
    values = {"overviews": shown, "is_first": not paging.token, "following": following}
    return TEMPLATES.TemplateResponse(request, "clusters.html", values)


@router.get("/clusters/{slug}")
def show_cluster(context: TheContext, request: Request, slug: str) -> Response:
    """One cluster: its grid and its last deployments."""
    # To a person a name that no cluster can have is a cluster that is not there.
    if not is_slug(slug):
        raise NotFoundError("cluster", slug[:_LONGEST_ECHO])
    with context.database.reading() as session:
        cluster = clusters.cluster(session, slug)
        last = deployments.page_of_deployments(session, cluster.id, Paging(size=_SHOWN_DEPLOYMENTS))
    values = {
        "cluster": cluster,
        "deployments": last.items,
        "report_period_seconds": REPORT_PERIOD_SECONDS,
    }
    return TEMPLATES.TemplateResponse(request, "cluster.html", values)


@router.get("/docs")
def show_documentation(request: Request) -> Response:
    """Swagger UI, from our own assets."""
    return TEMPLATES.TemplateResponse(request, "docs.html")
