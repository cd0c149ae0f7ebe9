"""How long a run took, as far as its launcher can know."""

import resource

from agent.running.started import Run
from agent.running.wire import encoded_program, start_request

SECOND_NS = 10**9


def took_ns(started_ns: int, ended_ns: int, *, alive_ns: int) -> int:
    program = encoded_program(["true"], {}, folder="/", cpu_seconds=0)
    run = Run(start_request(1, program), [])
    run.started_ns = started_ns
    run.note_end(0, resource.getrusage(resource.RUSAGE_SELF), now_ns=ended_ns, alive_ns=alive_ns)
    return run.took_ns


def test_an_end_is_noticed_when_it_happens() -> None:
    assert took_ns(10 * SECOND_NS, 60 * SECOND_NS, alive_ns=59 * SECOND_NS) == 50 * SECOND_NS


def test_after_a_standstill_it_took_as_long_as_is_sure() -> None:
    assert took_ns(10 * SECOND_NS, 60 * SECOND_NS, alive_ns=12 * SECOND_NS) == 2 * SECOND_NS
    assert took_ns(10 * SECOND_NS, 60 * SECOND_NS, alive_ns=9 * SECOND_NS) == 0


def test_a_launcher_that_had_nothing_to_do_before_did_not_stand_still() -> None:
    assert took_ns(10 * SECOND_NS, 10 * SECOND_NS + 7, alive_ns=0) == 7
