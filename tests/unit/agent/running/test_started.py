"""How long a run took, as far as its launcher can know."""

from agent.running.started import Run
from agent.running.wire import StartRequest

SECOND_NS = 10**9


def run(started_ns: int) -> Run:
    return Run(StartRequest(1, folder="/", cpu_seconds=0), "1", 7, started_ns=started_ns)


def test_an_end_is_noticed_when_it_happens() -> None:
    assert run(10 * SECOND_NS).took_ns(60 * SECOND_NS, alive_ns=59 * SECOND_NS) == 50 * SECOND_NS


def test_after_a_standstill_it_took_as_long_as_is_sure() -> None:
    assert run(10 * SECOND_NS).took_ns(60 * SECOND_NS, alive_ns=12 * SECOND_NS) == 2 * SECOND_NS
    assert run(10 * SECOND_NS).took_ns(60 * SECOND_NS, alive_ns=9 * SECOND_NS) == 0


def test_a_launcher_that_had_nothing_to_do_before_did_not_stand_still() -> None:
    assert run(10 * SECOND_NS).took_ns(10 * SECOND_NS + 7, alive_ns=0) == 7
