"""Routes of the kill switch; both may be repeated, so none asks for If-Match."""

from fastapi import APIRouter

from api.dependencies import SlugInPath
from api.services import prober_switches as service
from api.writing import TheWriting
from common.contracts.probers import Prober, ProberStart, ProberStop

router = APIRouter(prefix="/probers/{slug}", tags=["probers"])


@router.post("/stop")
def stop_prober(writing: TheWriting, slug: SlugInPath, request: ProberStop) -> Prober:
    """Stop a prober everywhere within seconds, or one revision of it."""
    now = writing.context.clock()
    with writing.describing() as session:
        written = service.stop_prober(session, slug, request, by=writing.author.name, now=now)
        return writing.shown(session, written)


@router.post("/start")
def start_prober(
    writing: TheWriting, slug: SlugInPath, request: ProberStart | None = None
) -> Prober:
    """Let it run again."""
    revision = request.revision if request else None
    with writing.describing() as session:
        return writing.shown(session, service.start_prober(session, slug, revision=revision))
