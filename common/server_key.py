"""The server key, from which agents' tokens and the addresses of publications are derived: API and Creator find the same one."""

from pathlib import Path

from common.atomic_files import read_or_make_key
from common.errors import MrProberError


class NoServerKeyError(MrProberError):
    """Each machine would make another key, so none is made."""

    def __init__(self) -> None:
        super().__init__(
            "MR_PROBER_SERVER_KEY must be set with PostgreSQL: every API and Creator needs the same one"
        )


def server_key_of_installation(setting: str | None, path: Path, *, may_make: bool) -> bytes:
    """The key in the setting, else in the file, if one may be made there. NoServerKeyError, KeyFileError."""
    if setting is not None:
        return setting.encode()
    if not may_make:
        raise NoServerKeyError
    return read_or_make_key(path).encode()
