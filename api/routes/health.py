"""Is the process alive, and can it work? The only answers that need no key."""

from fastapi import APIRouter
from sqlalchemy import text

from api.dependencies import TheContext

router = APIRouter(prefix="/health", include_in_schema=False)


@router.get("/live")
async def live() -> dict[str, str]:
    """The process answers: not from the thread pool, which a slow database may fill."""
    return {"status": "live"}


@router.get("/ready")
def ready(context: TheContext) -> dict[str, str]:
    """The database answers and the storage can be written; otherwise 503."""
    with context.database.reading() as session:
        session.execute(text("SELECT 1"))
    context.storage.write("health/api", b"")
    return {"status": "ready"}
