"""Templates and assets of the pages; nothing on them is loaded from elsewhere."""

from datetime import datetime
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from api.permissions import READING
from common.contracts.values import Problem

STATIC_FOLDER = Path(__file__).parent / "static"
SWAGGER_FOLDER = Path(str(files("fastapi_offline"))) / "static"
TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")


def shown_moment(moment: datetime | None) -> str:
    """A moment as pages show it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "never"


def shown_duration(seconds: float) -> str:
    """How long something took, as pages show it."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks, and not a program that reads problems."""
    is_browser = "text/html" in request.headers.get("accept", "")
    return is_browser and request.method in READING and "authorization" not in request.headers


def problem_page(request: Request, problem: Problem) -> Response:
    """A problem for people."""
    return TEMPLATES.TemplateResponse(
        request, "problem.html", {"problem": problem}, status_code=problem.status
    )


TEMPLATES.env.filters["moment"] = shown_moment
TEMPLATES.env.filters["duration"] = shown_duration
