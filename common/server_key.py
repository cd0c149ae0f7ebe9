"""The server key, from which agents' tokens and the addresses of publications are derived: API and Creator find the same one."""

from pathlib import Path

from common.atomic_files import read_or_make_key
from common.encryption import HOW_TO_MAKE_A_KEY, MINIMUM_KEY_LENGTH
from common.errors import MrProberError


class NoServerKeyError(MrProberError):
    """Each machine would make another key, so none is made."""

    def __init__(self) -> None:
        super().__init__(
            "MR_PROBER_SERVER_KEY must be set with PostgreSQL: every API and Creator needs the same one;"
            f" {HOW_TO_MAKE_A_KEY}"
        )


class ShortServerKeyError(MrProberError):
    """Whoever guesses the key speaks for every agent; it is not repeated."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where} has fewer than {MINIMUM_KEY_LENGTH} characters: {HOW_TO_MAKE_A_KEY}"
        )


def server_key_of_installation(setting: str | None, path: Path, *, may_make: bool) -> bytes:
    """The key in the setting, else in the file, if one may be made there.

    NoServerKeyError, ShortServerKeyError, KeyFileError.
    """
    if setting is not None:
        return _long_enough(setting, "MR_PROBER_SERVER_KEY")
    if not may_make:
        raise NoServerKeyError
    return _long_enough(read_or_make_key(path), f"the server key in {path}")


def _long_enough(key: str, where: str) -> bytes:
    if len(key) < MINIMUM_KEY_LENGTH:
        raise ShortServerKeyError(where)
    return key.encode()
