"""Where the token for the Compute Admin API comes from; never from arguments, which everybody on the machine reads."""

from pathlib import Path

from common.atomic_files import read_key
from common.errors import KeyFileError
from common.solomon.tokens import FixedToken, MetadataToken, NoTokenError, TokenSource
from tools.meeseeks.errors import EndpointError


class FileToken:
    """A file that somebody else keeps fresh: read for each call anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._given = ""

    def token(self) -> str:
        """See `TokenSource`."""
        try:
            self._given = read_key(self._path)
        except KeyFileError as error:
            raise NoTokenError(str(error)) from error
        return self._given

    def refused(self) -> bool:
        """See `TokenSource`: whether the file holds another one by now."""
        refused = self._given
        try:
            return self.token() != refused
        except NoTokenError:
            return False


def token_source(token: str, file: Path | None, metadata_url: str) -> TokenSource:
    """The token that is set, else the one of the file, else the VM's own; EndpointError."""
    if token:
        return FixedToken(token)
    if file:
        return FileToken(file)
    try:
        return MetadataToken(metadata_url)
    except ValueError as error:
        raise EndpointError(f"MR_PROBER_METADATA_URL: {error}") from error
