"""Whether a host was too busy to judge."""

from agent.pressure import SAMPLE_NS, CpuPressure, is_starved


class Kernel:
    """Its pressure file, with as much waiting as the test says."""

    def __init__(self) -> None:
        self.waited_us = 1_000

    def read(self) -> str:
        return f"some avg10=1.00 avg60=2.00 avg300=3.00 total={self.waited_us}\nfull avg10=0.00 total=0\n"


def test_the_share_of_waiting_covers_the_whole_run() -> None:
    kernel = Kernel()
    pressure = CpuPressure(kernel.read)
    pressure.sample(0)
    kernel.waited_us += 1_500_000
    assert pressure.share_since(0, 3 * SAMPLE_NS) == 0.5


def test_a_short_run_says_nothing_about_pressure() -> None:
    kernel = Kernel()
    pressure = CpuPressure(kernel.read)
    pressure.sample(0)
    kernel.waited_us += 10_000_000
    assert pressure.share_since(SAMPLE_NS, SAMPLE_NS + 5) == 0.0


def test_a_kernel_without_figures_starves_nobody() -> None:
    pressure = CpuPressure(lambda: "")
    pressure.sample(0)
    assert pressure.share_since(0, 9 * SAMPLE_NS) == 0.0


def test_a_late_start_or_a_busy_host_is_starved() -> None:
    assert is_starved(start_lag_seconds=1.0, waiting_share=0.0)
    assert is_starved(start_lag_seconds=0.0, waiting_share=0.99)
    assert not is_starved(start_lag_seconds=0.3, waiting_share=0.5)
