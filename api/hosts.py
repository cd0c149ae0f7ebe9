"""Under which names the API may be addressed: pure decisions about the Host header."""

from functools import lru_cache
from urllib.parse import urlsplit

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY = "*"


@lru_cache(maxsize=1024)
def name_in(host: str) -> str:
    """The name in a Host header, without port, in lower case; empty if it is none."""
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return ""
    # With a path, a query or a user it is no Host header.
    is_host = parts.netloc == host and "@" not in host
    return (parts.hostname or "") if is_host else ""


def allowed_hosts(api_url: str, more: str) -> frozenset[str] | None:
    """Loopback, the name in the API's own address, and `more` names, comma-separated. None: any name (`*`)."""
    names = {name.strip().lower().strip("[]") for name in more.split(",")}
    if _ANY in names:
        return None
    return frozenset({*_LOOPBACK_NAMES, urlsplit(api_url).hostname or "", *names} - {""})
