"""Templates and assets of the pages; nothing on them is loaded from elsewhere."""

from datetime import datetime
from importlib.resources import files
from pathlib import Path

from starlette.templating import Jinja2Templates

STATIC_FOLDER = Path(__file__).parent / "static"
SWAGGER_FOLDER = Path(str(files("fastapi_offline"))) / "static"
TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")


def shown_moment(moment: datetime | None) -> str:
    """A moment as pages show it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "never"


TEMPLATES.env.filters["moment"] = shown_moment
