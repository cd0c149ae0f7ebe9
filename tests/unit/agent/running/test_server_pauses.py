"""How long a server that dies or hangs has to wait for its next start."""

from agent.running.servers import Pause

SECOND_NS = 10**9


def test_the_first_time_costs_nothing_and_then_it_grows_to_a_bound() -> None:
    pause = Pause()
    lengths = []
    for _ in range(12):
        pause.begin(0)
        lengths.append(pause.until_ns // SECOND_NS)
    assert lengths == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_something_good_ends_it() -> None:
    pause = Pause()
    for _ in range(5):
        pause.begin(0)
    pause.reset()
    pause.begin(7 * SECOND_NS)
    assert pause.until_ns == 7 * SECOND_NS
