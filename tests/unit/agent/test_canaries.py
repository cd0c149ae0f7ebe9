"""Each canary has its turn, a wrong verdict is told once it is certain, and a busy host is blamed for nothing."""

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from agent.canaries import ROUND, SLUG, Canaries, no_canaries
from agent.flights import Excerpt, Flight
from agent.plan import RunSpec
from agent.results import RunResult
from agent.rules import Rules
from agent.verdict import Verdict
from common.contracts.states import Outcome

SECOND_NS = 10**9
INTERVAL = timedelta(seconds=60)


class Flown:
    """Canaries whose runs end as the test says."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.started: list[str] = []
        self.now_ns = 0
        self.wrong: dict[str, Verdict] = {}
        self.starved = False
        self.said = b""
        self.changes = 0
        self._landings: list[Callable[[], None]] = []
        self.canaries = Canaries(INTERVAL, rules=rules or Rules(), now_ns=0, start=self._fly)

    def _fly(self, spec: RunSpec, on_flight: object) -> None:
        name = spec.key.combination
        self.started.append(name)
        canary = next(canary for canary in ROUND if canary.name == name)
        said = self.wrong.get(name) or Verdict(canary.outcome, canary.reason)
        whole = RunResult(
            spec.key, said, self.now_ns, self.now_ns, self.now_ns, starved=self.starved
        )
        flight = Flight(spec, whole, (whole,), stdout=Excerpt(self.said))
        self._landings.append(lambda: on_flight(flight))  # type: ignore[operator]

    def turn(self, seconds: int, *, may_start: bool = True) -> None:
        for _ in range(seconds):
            self.now_ns += SECOND_NS
            # A run ends between two looks.
            for land in self._landings:
                land()
            self._landings.clear()
            self.changes += self.canaries.look(self.now_ns, may_start=may_start)


def test_every_minute_one_passes_one_fails_and_the_others_take_turns() -> None:
    flown = Flown()
    flown.turn(241)
    assert flown.started[:12] == [
        "passes", "fails", "hangs", "passes", "fails", "floods",
        "passes", "fails", "forks", "passes", "fails", "leaves its group",
    ]  # fmt: skip
    assert len(flown.started) <= 13
    assert (flown.canaries.wrong, flown.canaries.problem, flown.changes) == (0, "", 0)
    assert flown.canaries.right >= 11


def test_a_wrong_verdict_is_tried_again_then_told_and_taken_back_when_all_is_well() -> None:
    flown = Flown()
    flown.wrong["fails"] = Verdict(Outcome.SUCCESS)
    while flown.canaries.wrong < 1:
        flown.turn(1)
    assert flown.canaries.problem == ""
    flown.turn(16)
    assert flown.started[-1] == "fails"
    assert flown.canaries.problem == "canaries: fails: success instead of failure ()"
    assert flown.changes == 1
    del flown.wrong["fails"]
    flown.turn(80)
    assert (flown.canaries.problem, flown.changes) == ("", 2)


def test_the_right_outcome_for_another_reason_is_wrong() -> None:
    flown = Flown()
    flown.wrong["floods"] = Verdict(Outcome.BROKEN, "cannot start sh")
    flown.turn(300)
    assert "floods: broken instead of broken (cannot start sh)" in flown.canaries.problem


def test_a_host_that_was_too_busy_says_nothing() -> None:
    flown = Flown()
    flown.starved = True
    flown.wrong["passes"] = Verdict(Outcome.TIMEOUT, "no end within 30 s")
    flown.turn(300)
    assert (flown.canaries.wrong, flown.canaries.problem) == (0, "")


def test_what_is_left_behind_is_found() -> None:
    """A process that is ours is no canary's; a file stays."""
    flown = Flown()
    flown.said = f"pid {os.getpid()}\npid nonsense\nfile {__file__}\n".encode()
    flown.turn(120)
    assert f"passes: left behind: {__file__}"[-190:] in flown.canaries.problem
    assert f"process {os.getpid()}" not in flown.canaries.problem
    assert flown.canaries.right == 0


def test_canaries_that_never_run_are_a_fault_too() -> None:
    flown = Flown()
    flown.canaries = Canaries(INTERVAL, rules=Rules(), now_ns=0, start=lambda *_: None)
    flown.turn(600)
    assert flown.canaries.problem == "canaries: none of them could run"


def test_none_starts_while_everything_is_paused() -> None:
    flown = Flown()
    flown.turn(600, may_start=False)
    assert (flown.started, flown.canaries.problem) == ([], "")


@pytest.mark.parametrize(
    "rules", [Rules(probers=(SLUG,)), Rules(users=("nobody",), default_user="nobody"), Rules(commands=("sh",))]
)  # fmt: skip
def test_what_the_owner_forbids_holds_for_them(rules: Rules) -> None:
    flown = Flown(rules)
    flown.turn(600)
    assert (flown.started, flown.canaries.problem) == ([], "")
    assert "forbidden by the owner" in flown.canaries.forbidden


def test_a_loop_without_canaries_has_none() -> None:
    none = no_canaries(lambda *_: None, 0)
    assert not none.look(10**18)
    assert none.problem == ""
