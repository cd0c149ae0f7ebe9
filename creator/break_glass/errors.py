"""Why a break-glass command does nothing.

MrProberError
└── BreakGlassError
    ├── NoSuchClusterError, NothingAppliedError, NoSuchResourceError    it is not there
    ├── StateThereError                                                 there is nothing to forget
    ├── NoLockError, OtherLockError, LockOfProcessError                 the lock is another one
    └── BusyClusterError                                                Creator is at it
"""

from collections.abc import Sequence

from common.contracts.deployments import StateLock
from common.errors import MrProberError

_ADDRESSES_SHOWN = 20


class BreakGlassError(MrProberError):
    """The command did nothing."""


class NoSuchClusterError(BreakGlassError):
    """No living cluster has this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"there is no cluster {slug}")


class NothingAppliedError(BreakGlassError):
    """There is no state yet."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"cluster {slug} was never deployed: it has no state")


class NoSuchResourceError(BreakGlassError):
    """The state has no resource at this address."""

    def __init__(self, slug: str, address: str, addresses: Sequence[str]) -> None:
        shown = ", ".join(addresses[:_ADDRESSES_SHOWN]) or "nothing"
        super().__init__(f"the state of cluster {slug} has no {address}; it has: {shown}")


class StateThereError(BreakGlassError):
    """The state is where it should be."""

    def __init__(self, slug: str, state_key: str) -> None:
        super().__init__(
            f"the state of cluster {slug} is there ({state_key}): what it names is known and stays known"
        )


class NoLockError(BreakGlassError):
    """Nobody holds the lock."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"the state of cluster {slug} is not locked")


class OtherLockError(BreakGlassError):
    """Another lock than the one that was named."""

    def __init__(self, slug: str, lock: StateLock) -> None:
        super().__init__(
            f"the state of cluster {slug} is locked with another id: {lock.id} by {lock.who or 'nobody says who'},"
            f" {lock.operation}, since {lock.created}"
        )


class LockOfProcessError(BreakGlassError):
    """A lock that nobody can free but its holder."""

    def __init__(self, slug: str, lock: StateLock) -> None:
        super().__init__(
            f"the state of cluster {slug} is a file, whose lock goes with the process that holds it:"
            f" find and end it on its host ({lock.who or 'nobody says which'}); nothing is to be freed"
        )


class BusyClusterError(BreakGlassError):
    """Creator has the cluster in its hands."""

    def __init__(self, slug: str, reason: str) -> None:
        super().__init__(f"cluster {slug} is busy: {reason}")
