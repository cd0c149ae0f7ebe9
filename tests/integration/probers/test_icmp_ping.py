"""icmp-ping with real packets, and what it says where the machine does not permit them."""

import json
from pathlib import Path

import pytest

from agent.outputs.printed import Bounds
from agent.outputs.prometheus import parsed_line, prometheus_samples
from tests.integration.needs import need
from tests.integration.probers.runs import InChild, RunProber


@pytest.mark.parametrize("address", ["127.77.0.9", "::1"])
def test_counts_the_answers(run_prober: RunProber, address: str) -> None:
    finished = run_prober("icmp-ping", VAR_TARGET_ADDRESS=address, VAR_PAUSE_SECONDS="0.01")
    need("does not permit ICMP" not in finished.errors, "a machine that permits ICMP")
    assert (finished.code, finished.errors) == (0, "")
    assert finished.metrics["icmp_ping_loss_ratio"] == 0
    assert finished.metrics["icmp_ping_sent"] == finished.metrics["icmp_ping_received"] == 3
    assert finished.metrics["icmp_ping_jitter_seconds"] >= 0
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
    assert finished.metrics == {
        "icmp_ping_sent": 3,
        "icmp_ping_received": 0,
        "icmp_ping_loss_ratio": 1.0,
    }

    allowed = run_prober("icmp-ping", before=deaf, VAR_ALLOWED_LOSS_PERCENT="100", **variables)
    assert allowed.code == 0


def test_no_way_to_the_target_is_failure(
    run_prober: RunProber, network_tricks: dict[str, InChild]
) -> None:
    deaf = network_tricks["in_a_deaf_network"]
    finished = run_prober("icmp-ping", before=deaf, VAR_TARGET_ADDRESS="192.0.2.1")
    assert finished.code == 1
    assert finished.reason == "3 of 3 pings to 192.0.2.1 were lost: Network is unreachable"


def test_is_broken_where_the_machine_does_not_permit_it(
    run_prober: RunProber, network_tricks: dict[str, InChild]
) -> None:
    without_icmp = network_tricks["without_icmp"]
    finished = run_prober("icmp-ping", before=without_icmp, VAR_TARGET_ADDRESS="127.0.0.1")
    assert finished.code == 3
    assert finished.reason.startswith("this machine does not permit ICMP: the prober needs")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"VAR_TARGET_ADDRESS": "somewhere"},
        {"VAR_TARGET_ADDRESS": "127.0.0.1", "VAR_COUNT": "0"},
    ],
)
def test_is_broken_by_wrong_settings(run_prober: RunProber, variables: dict[str, str]) -> None:
    assert run_prober("icmp-ping", **variables).code == 3


def test_a_batch_tells_about_each_target(run_prober: RunProber, tmp_path: Path) -> None:
    targets = tmp_path / "targets.json"
    described = [
        {"target": "demo-2", "target_address": "127.77.0.2", "port": 80},
        {"target": "::1", "port": 80},
        {"target": 'no "address"', "port": 80},
    ]
    targets.write_text(json.dumps(described))
    finished = run_prober("icmp-ping", MR_PROBER_TARGETS=str(targets), VAR_PAUSE_SECONDS="0.01")
    need("does not permit ICMP" not in finished.errors, "a machine that permits ICMP")
    assert (finished.code, finished.errors) == (0, "")
    lines = finished.output.splitlines(keepends=True)
    said = [parsed_line(line.strip()) for line in lines if line.startswith("mr_prober_outcome")]
    assert [(labels["target"], labels["port"], value) for _, labels, value in said] == [
        ("demo-2", "80", 0),
        ("::1", "80", 0),
        ('no "address"', "80", 3),
    ]
    others = [line for line in lines if not line.startswith("mr_prober_outcome")]
    printed = prometheus_samples(others, Bounds())
    assert printed.bad_lines == 0
    received = {
        dict(sample.labels)["target"]: sample.value
        for sample in printed.samples
        if sample.name == "icmp_ping_received"
    }
    assert received == {"demo-2": 3, "::1": 3}
