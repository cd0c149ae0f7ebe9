"""icmp-ping with real packets, and what it says where the machine does not permit them."""

import pytest

from tests.integration.probers.runs import InChild, RunProber


def test_counts_the_answers(run_prober: RunProber) -> None:
    finished = run_prober("icmp-ping", VAR_TARGET_ADDRESS="127.77.0.9", VAR_PAUSE_SECONDS="0.01")
    if finished.code == 3 and "does not permit ICMP" in finished.errors:
        pytest.skip("this machine does not permit ICMP")
    assert (finished.code, finished.errors) == (0, "")
    assert finished.metrics["icmp_ping_loss_ratio"] == 0
    low, average, high = (
        finished.metrics[f"icmp_ping_rtt_{name}_seconds"] for name in ("min", "avg", "max")
    )
    assert 0 < low <= average <= high


def test_lost_pings_are_failure(run_prober: RunProber, network_tricks: dict[str, InChild]) -> None:
    variables = {
        "VAR_TARGET_ADDRESS": "127.0.0.1",
        "VAR_PAUSE_SECONDS": "0.01",
        "VAR_TIMEOUT_SECONDS": "0.1",
    }
    deaf = network_tricks["in_a_deaf_network"]
    finished = run_prober("icmp-ping", before=deaf, **variables)
    assert finished.code == 1
    assert finished.reason == "3 of 3 pings to 127.0.0.1 were lost"
    assert finished.metrics == {"icmp_ping_loss_ratio": 1.0}

    allowed = run_prober("icmp-ping", before=deaf, VAR_ALLOWED_LOSS_PERCENT="100", **variables)
    assert allowed.code == 0


def test_no_way_to_the_target_is_failure(
    run_prober: RunProber, network_tricks: dict[str, InChild]
) -> None:
    deaf = network_tricks["in_a_deaf_network"]
    finished = run_prober("icmp-ping", before=deaf, VAR_TARGET_ADDRESS="192.0.2.1")
    assert finished.code == 1
    assert finished.reason == "cannot ping 192.0.2.1: Network is unreachable"


def test_is_broken_where_the_machine_does_not_permit_it(
    run_prober: RunProber, network_tricks: dict[str, InChild]
) -> None:
    without_icmp = network_tricks["without_icmp"]
    finished = run_prober("icmp-ping", before=without_icmp, VAR_TARGET_ADDRESS="127.0.0.1")
    assert finished.code == 3
    assert finished.reason.startswith("this machine does not permit ICMP: the prober needs")


@pytest.mark.parametrize(
    "variables",
    [{}, {"VAR_TARGET_ADDRESS": "::1"}, {"VAR_TARGET_ADDRESS": "127.0.0.1", "VAR_COUNT": "0"}],
)
def test_is_broken_by_wrong_settings(run_prober: RunProber, variables: dict[str, str]) -> None:
    assert run_prober("icmp-ping", **variables).code == 3
