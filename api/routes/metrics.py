"""The route from which Prometheus takes what this process says about itself; it needs a key, as everything."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.dependencies import TheContext

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
def read_metrics(context: TheContext) -> Response:
    """Prometheus text."""
    return Response(context.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
