"""The values of the secrets that this host's probers need: from disk or from the API; they go into environments only."""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from pydantic import JsonValue

from agent.store import Store
from common.contracts.configuration import ClusterSecrets
from common.errors import ApiRefusedError

log = logging.getLogger(__name__)


class SecretSource(Protocol):
    """Where secrets come from; ApiError if they do not."""

    def secrets(self) -> ClusterSecrets:
        """The newest values of all secrets that the cluster's probers name."""


class SecretValues:
    """Kept on disk, readable for the agent's user only, so that probers run while the API is away."""

    def __init__(self, source: SecretSource, store: Store) -> None:
        self._source = source
        self._store = store
        self._kept: ClusterSecrets | None = None
        self.refusal = ""  # why the API does not give them, if it said so

    def values(
        self, needed: Mapping[str, int], *, from_disk_only: bool = False
    ) -> dict[str, JsonValue]:
        """The values by name, as far as they can be had; asked for again only if a version is another one.

        ApiUnreachableError, OSError.
        """
        kept = self._kept or self._store.secrets()
        if not needed and kept.secrets and not from_disk_only:
            kept = ClusterSecrets()
            self._store.keep_secrets(kept)  # nothing needs them any more
        if not from_disk_only and not _holds(kept, needed):
            kept = self._fetched()
        self._kept = kept
        if from_disk_only:
            needed = {
                name: number for name, number in needed.items() if _holds(kept, {name: number})
            }
        return {name: kept.secrets[name].value for name in needed if name in kept.secrets}

    def _fetched(self) -> ClusterSecrets:
        try:
            fetched = self._source.secrets()
        except ApiRefusedError as error:
            self.refusal = str(error)
            return ClusterSecrets()
        self.refusal = ""
        self._store.keep_secrets(fetched)
        log.info("secrets fetched count=%d", len(fetched.secrets))
        return fetched


def _holds(kept: ClusterSecrets, needed: Mapping[str, int]) -> bool:
    """Whether exactly these versions are there: a variable that was made anew counts from 1 again."""
    versions = {name: secret.version for name, secret in kept.secrets.items()}
    return all(versions.get(name) == version for name, version in needed.items())


def kept_secrets(store: Store) -> Callable[[], dict[str, JsonValue]]:
    """A look at the values on disk; from any thread."""

    def values() -> dict[str, JsonValue]:
        return {name: secret.value for name, secret in store.secrets().secrets.items()}

    return values
