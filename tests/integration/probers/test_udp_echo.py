"""udp-echo against echoes on loopback that answer all, some or none."""

import json
from pathlib import Path

import pytest

from agent.outputs.prometheus import parsed_line
from tests.integration.probers.runs import RunProber, ServeUdp

QUICK = {"VAR_PAUSE_SECONDS": "0", "VAR_TIMEOUT_SECONDS": "0.3", "VAR_TARGET_ADDRESS": "127.0.0.1"}
IMPATIENT = QUICK | {"VAR_SOURCE_PORTS": "4"}


def test_counts_what_comes_back(run_prober: RunProber, serve_udp: ServeUdp) -> None:
    _, port = serve_udp(lambda message: [message])
    finished = run_prober("udp-echo", **QUICK, VAR_MACHINE_PORT=str(port))
    assert (finished.code, finished.errors) == (0, "")
    assert finished.metrics["udp_echo_sent"] == finished.metrics["udp_echo_received"] == 48
    assert finished.metrics["udp_echo_loss_ratio"] == 0
    assert finished.metrics["udp_echo_silent_source_ports"] == 0


def test_a_source_port_without_answers_is_named(run_prober: RunProber, serve_udp: ServeUdp) -> None:
    # As a network does that has lost one of four paths; the two bytes after the token number the source port.
    _, port = serve_udp(lambda message: [] if message[16:18] == b"\0\2" else [message])
    finished = run_prober("udp-echo", **IMPATIENT, VAR_MACHINE_PORT=str(port))
    assert finished.code == 1
    assert finished.reason == (
        f"3 of 12 datagrams to 127.0.0.1 port {port} were lost, all from 1 of 4 source ports"
    )
    assert finished.metrics["udp_echo_silent_source_ports"] == 1
    assert finished.metrics["udp_echo_loss_ratio"] == 0.25


def test_some_loss_may_be_allowed(run_prober: RunProber, serve_udp: ServeUdp) -> None:
    _, port = serve_udp(lambda message: [] if message[16:18] == b"\0\2" else [message])
    finished = run_prober(
        "udp-echo", **IMPATIENT, VAR_MACHINE_PORT=str(port), VAR_ALLOWED_LOSS_PERCENT="25"
    )
    assert finished.code == 0


def test_other_bytes_and_repeated_answers_count_for_nothing(
    run_prober: RunProber, serve_udp: ServeUdp
) -> None:
    _, port = serve_udp(lambda message: [b"", message[::-1], message + b"x", b"stranger"])
    assert run_prober("udp-echo", **IMPATIENT, VAR_MACHINE_PORT=str(port)).code == 1
    _, port = serve_udp(lambda message: [message, message])
    finished = run_prober("udp-echo", **IMPATIENT, VAR_MACHINE_PORT=str(port))
    assert finished.metrics["udp_echo_received"] == 12


def test_nobody_there_is_failure(run_prober: RunProber, dead_port: int) -> None:
    finished = run_prober("udp-echo", **IMPATIENT, VAR_MACHINE_PORT=str(dead_port))
    assert finished.code == 1
    assert finished.metrics["udp_echo_loss_ratio"] == 1


def test_a_batch_tells_about_each_target(
    run_prober: RunProber, serve_udp: ServeUdp, tmp_path: Path
) -> None:
    _, port = serve_udp(lambda message: [message])
    targets = tmp_path / "targets.json"
    described = [
        {"target": "demo-2", "target_address": "127.0.0.1"},
        {"target": "::1"},
        {"target": "demo-3"},
    ]
    targets.write_text(json.dumps(described))
    variables = IMPATIENT | {"MR_PROBER_TARGETS": str(targets), "VAR_MACHINE_PORT": str(port)}
    finished = run_prober("udp-echo", **variables)
    assert (finished.code, finished.errors) == (0, "")
    said = [
        parsed_line(line)
        for line in finished.output.splitlines()
        if line.startswith("mr_prober_outcome")
    ]
    assert [(labels["target"], value) for _, labels, value in said] == [
        ("demo-2", 0),
        ("::1", 1),
        ("demo-3", 3),
    ]
    assert said[1][1]["reason"].startswith(f"12 of 12 datagrams to ::1 port {port} were lost")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"VAR_TARGET_ADDRESS": "127.0.0.1"},
        {"VAR_TARGET_ADDRESS": "127.0.0.1", "VAR_MACHINE_PORT": "0"},
        {"VAR_MACHINE_PORT": "9", "VAR_TARGET_ADDRESS": "x"},
        {
            "VAR_MACHINE_PORT": "9",
            "VAR_TARGET_ADDRESS": "127.0.0.1",
            "VAR_SOURCE_PORTS": "1000",
        },
    ],
)
def test_is_broken_by_wrong_settings(run_prober: RunProber, variables: dict[str, str]) -> None:
    assert run_prober("udp-echo", **variables).code == 3
