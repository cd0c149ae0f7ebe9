"""Small probers of our own, one every so often, whose verdicts are known: whether this agent would notice anything at all.

They run in the same machinery as all others, beside the plan: no slot, no counter, no state of anybody's is touched.
`Canaries` says which one runs next and what was wrong: *decide*. docs/decisions/0029-canaries.md says why it is done this way.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from agent.flights import Flight
from agent.plan import MIB, RunKey, RunSpec
from agent.rules import Rules
from agent.running.kernel import file_bytes
from common.contracts.reports import shortened
from common.contracts.states import Outcome

log = logging.getLogger(__name__)

SLUG = "mr-prober-canary"
# What was started has this argument, and nothing else on the host has.
TOKEN_SECONDS = 86_413
_ID = UUID(int=0xCA)
_SECOND_NS = 1_000_000_000
# So long after its end nothing of a canary may be left: where they run often, sooner.
_LOOK_AFTER_NS = 10 * _SECOND_NS
_LOOK_SOON_NS = 2 * _SECOND_NS
# A wrong verdict is tried again before it is told: the host may have been too busy.
_SAID_AFTER = 2
_RETRY_NS = 15 * _SECOND_NS
# So many rounds without any verdict are a fault, too.
_SILENT_ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Canary:
    """A program and what must come of it."""

    name: str
    script: str
    outcome: Outcome
    reason: str = ""  # a part of it
    time_limit_seconds: float = 30.0


_PASSES = Canary("passes", 'f="$TMPDIR/made" && echo > "$f" && echo "file $f"', Outcome.SUCCESS)
_FAILS = Canary("fails", "echo no answer >&2; exit 1", Outcome.FAILURE, "no answer")
_IN_TURN = (
    # Its child ignores SIGTERM, too.
    Canary("hangs", f"trap '' TERM; sleep {TOKEN_SECONDS} & echo pid $!; wait",
           Outcome.TIMEOUT, "no end within", time_limit_seconds=1.0),
    Canary("floods", "exec head -c 4000000 /dev/zero", Outcome.BROKEN, "output_mb"),
    Canary("forks", f"for i in 1 2 3 4 5; do sleep {TOKEN_SECONDS} & echo pid $!; done", Outcome.SUCCESS),
    Canary("leaves its group", f"setsid sleep {TOKEN_SECONDS} & echo pid $!", Outcome.SUCCESS),
)  # fmt: skip
ROUND = tuple(canary for other in _IN_TURN for canary in (_PASSES, _FAILS, other))


def spec_of(canary: Canary, interval: timedelta) -> RunSpec:
    """How it is run: with the rights of whoever names no user."""
    return RunSpec(
        key=RunKey(_ID, canary.name),
        prober_slug=SLUG,
        labels={},
        arguments=("sh", "-c", canary.script),
        environment={"MR_PROBER_PROBER": SLUG},
        folder=Path("/"),
        interval=interval,
        time_limit=timedelta(seconds=canary.time_limit_seconds),
        grace=timedelta(seconds=0.2),
        output="none",
        output_bytes=MIB,
    )


# Runs this once, then tells how it went.
StartCanary = Callable[[RunSpec, Callable[[Flight], None]], None]


@dataclass(slots=True)
class _Landed:
    """A run whose leavings are looked for later."""

    canary: Canary
    look_at_ns: int
    pids: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class Canaries:
    """All canaries of one agent; used by the loop's thread only."""

    def __init__(
        self,
        interval: timedelta,
        *,
        rules: Rules,
        now_ns: int,
        start: StartCanary,
    ) -> None:
        """`interval`: each kind of canary that always runs does so once in it, and one of the others; `start` has one run."""
        self._interval = interval
        self._pause_ns = round(interval.total_seconds() * _SECOND_NS) // 3
        self._look_after_ns = min(_LOOK_AFTER_NS, max(_LOOK_SOON_NS, self._pause_ns))
        self._start = start
        self._next = 0
        self._next_ns = now_ns + min(self._pause_ns, _RETRY_NS)
        self._flying: Canary | None = None
        self._again: Canary | None = None
        self._landed: list[_Landed] = []
        self._faults: dict[str, tuple[int, str]] = {}
        self._silent = 0
        # Verdicts come between two looks: what was told is remembered.
        self._told = ""
        self.right = self.wrong = 0
        self.forbidden = rules.problem_of_programs(
            SLUG, "", [spec_of(canary, interval).arguments for canary in ROUND]
        )
        if self.forbidden:
            log.info("canaries do not run: %s", self.forbidden)

    @property
    def problem(self) -> str:
        """Why this agent's verdicts are not to be believed; empty if they are."""
        said = [
            f"{name}: {why}" for name, (times, why) in self._faults.items() if times >= _SAID_AFTER
        ]
        if self._silent >= _SILENT_ROUNDS:
            said.append("none of them could run")
        return f"canaries: {'; '.join(said)}" if said else ""

    def look(self, now_ns: int, *, may_start: bool = True) -> bool:
        """Start the one that is due, judge what others have left behind; whether the problem is another one than at the last look."""
        for landed in [one for one in self._landed if now_ns >= one.look_at_ns]:
            self._landed.remove(landed)
            self._judge_leavings(landed, now_ns)
        if now_ns >= self._next_ns and not self.forbidden:
            self._next_ns = now_ns + self._pause_ns
            self._silent += may_start
            if may_start and self._flying is None:
                self._begin()
        if self.problem == self._told:
            return False
        self._told = self.problem
        log.log(
            logging.WARNING if self._told else logging.INFO,
            "%s", self._told or "canaries are judged as they must be again",
        )  # fmt: skip
        return True

    def _begin(self) -> None:
        canary, self._again = self._again, None
        if canary is None:
            canary = ROUND[self._next % len(ROUND)]
            self._next += 1
        self._flying = canary
        try:
            self._start(spec_of(canary, self._interval), self._take)
        except BaseException:
            self._flying = None
            raise

    def _take(self, flight: Flight) -> None:
        canary, self._flying = self._flying, None
        if canary is None:
            return
        self._silent = 0
        said = flight.whole.verdict
        ended_ns = flight.whole.ended_ns
        if said.outcome is not canary.outcome or canary.reason not in said.reason:
            # Of a host that was too busy nothing is known.
            if not flight.whole.starved:
                self._blame(
                    canary,
                    f"{said.outcome.value} instead of {canary.outcome.value} ({said.reason})",
                    ended_ns,
                )
            return
        lines = flight.stdout.head.decode(errors="replace").splitlines()
        found = [line.partition(" ") for line in lines]
        self._landed.append(
            _Landed(
                canary, ended_ns + self._look_after_ns,
                [int(rest) for word, _, rest in found if word == "pid" and rest.isdigit()],
                [rest for word, _, rest in found if word == "file"],
            )
        )  # fmt: skip

    def _judge_leavings(self, landed: _Landed, now_ns: int) -> None:
        token = str(TOKEN_SECONDS).encode()
        left = [
            f"process {pid}" for pid in landed.pids if token in file_bytes(f"/proc/{pid}/cmdline")
        ]
        left += [name for name in landed.files if Path(name).exists()]
        if left:
            self._blame(landed.canary, f"left behind: {', '.join(left)}", now_ns)
        else:
            self.right += 1
            self._faults.pop(landed.canary.name, None)

    def _blame(self, canary: Canary, why: str, now_ns: int) -> None:
        self.wrong += 1
        times, _ = self._faults.get(canary.name, (0, ""))
        self._faults[canary.name] = times + 1, shortened(why)
        if times + 1 < _SAID_AFTER:
            self._again = canary
            self._next_ns = min(self._next_ns, now_ns + _RETRY_NS)


def no_canaries(start: StartCanary, now_ns: int) -> Canaries:
    """None that ever start."""
    return Canaries(
        timedelta(days=365_000), rules=Rules(probers=(SLUG,)), now_ns=now_ns, start=start
    )
