"""Which probers have a warm parent on this host: *decide*, within a bound on their number.

Who has no place, and who cannot be forked, runs as in mode `run`: that is said once for each and shown.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta

from agent.plan import RunSpec, Sandbox
from common.contracts.modes import WARM, script_position
from common.contracts.reports import shortened

log = logging.getLogger(__name__)

# As long as a parent waits for its next run (`warm_parents.py`).
_IDLE_NS = 600 * 1_000_000_000
# Memory held for longer than this costs more than a start now and then.
LONGEST_INTERVAL = timedelta(minutes=5)

# Sandbox, folder, and the command up to the script.
WarmKey = tuple[Sandbox, str, tuple[str, ...]]


class WarmPlaces:
    """The places for warm parents; used by one thread."""

    def __init__(self, places: int) -> None:
        """`places`: how many parents there may be; 0: all runs are started as in mode `run`."""
        self._places = places
        self._used_ns: dict[WarmKey, int] = {}
        self._reasons: dict[WarmKey, str] = {}
        self._warm: set[WarmKey] = set()

    def script(self, spec: RunSpec, now_ns: int) -> int:
        """Which argument of the command a warm parent may run; 0 if this run is started like any program."""
        if spec.mode != WARM:
            return 0
        if spec.interval > LONGEST_INTERVAL:
            minutes = LONGEST_INTERVAL.total_seconds() / 60
            self.cold(spec, f"its interval is longer than {minutes:g} minutes")
            return 0
        position = script_position(spec.arguments)
        key = _key(spec, position)
        if spec.is_trial and key not in self._used_ns:
            return 0  # a parent for one run would cost more than it saves
        if key not in self._used_ns and len(self._used_ns) >= self._places:
            self._retire(now_ns)
            if len(self._used_ns) >= self._places:
                self.cold(spec, f"all {self._places} places for warm parents are taken")
                return 0
        self._used_ns[key] = now_ns
        return position

    def cold(self, spec: RunSpec, reason: str) -> None:
        """Runs like this one have no parent for this reason; it is logged when it is new."""
        key = _key(spec, script_position(spec.arguments))
        self._warm.discard(key)
        if self._reasons.get(key) != reason:
            self._reasons[key] = reason
            log.warning(
                "prober=%s is not warm, its runs are started as in mode run: %s",
                spec.prober_slug, shortened(reason),
            )  # fmt: skip

    def warmed(self, spec: RunSpec) -> None:
        """A parent has forked a run like this one."""
        key = _key(spec, script_position(spec.arguments))
        self._reasons.pop(key, None)
        self._warm.add(key)
        log.info("prober=%s is warm", spec.prober_slug)

    def is_warm(self, spec: RunSpec) -> bool:
        """Whether runs like this one are forks of a parent."""
        return _key(spec, script_position(spec.arguments)) in self._warm

    def reason(self, spec: RunSpec) -> str:
        """Why a prober of mode `warm` is started as in mode `run`; empty if it is not, or nobody knows yet."""
        return self._reasons.get(_key(spec, script_position(spec.arguments)), "")

    def forget_all_but(self, specs: Iterable[RunSpec]) -> list[WarmKey]:
        """Only these are run from now on; whose places have become free: their parents may go."""
        wanted = {_key(one, script_position(one.arguments)) for one in specs if one.mode == WARM}
        gone = [key for key in self._used_ns if key not in wanted]
        for key in {*self._used_ns, *self._reasons, *self._warm} - wanted:
            self._forget(key)
        return gone

    def _forget(self, key: WarmKey) -> None:
        self._used_ns.pop(key, None)
        self._reasons.pop(key, None)
        self._warm.discard(key)

    def _retire(self, now_ns: int) -> None:
        for key, used_ns in list(self._used_ns.items()):
            if now_ns - used_ns > _IDLE_NS:
                self._forget(key)


def _key(spec: RunSpec, position: int) -> WarmKey:
    return spec.sandbox, str(spec.folder), spec.arguments[: position + 1]
