"""What the two ways to call the API have in common: keys that can be sent, answers that say no."""

from urllib.parse import urlsplit

from pydantic import ValidationError

from common.contracts.values import Problem
from common.errors import ApiRefusedError, ApiUnreachableError, UnusableKeyError


def check_key(key: str) -> None:
    """UnusableKeyError if no HTTP header carries it: the library would say it aloud."""
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UnusableKeyError


def is_fine(status: int) -> bool:
    """Whether this status is no refusal."""
    return 200 <= status < 300 or status == 304


def refusal(url: str, status: int, content: bytes) -> ApiRefusedError | ApiUnreachableError:
    """The error that says why, or that this was not our API."""
    try:
        return ApiRefusedError(Problem.model_validate_json(content))
    except ValidationError:
        return ApiUnreachableError(url, f"unexpected answer, HTTP {status}")


def host_of(url: str) -> str:
    """Scheme and host of an address, without what is signed, which is a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
