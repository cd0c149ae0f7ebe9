"""tcp-connect and mesh-tcp against real sockets: alive, dead, hanging, talking nonsense."""

import socket
import threading

import pytest

from tests.integration.probers.runs import RunProber, ServeTcp


def echo(connection: socket.socket) -> None:
    while received := connection.recv(4096):
        connection.sendall(received)


def test_tcp_connect_succeeds_and_says_how_long_it_took(
    run_prober: RunProber, serve_tcp: ServeTcp
) -> None:
    host, port = serve_tcp(echo)
    finished = run_prober("tcp-connect", VAR_TARGET=f"{host}:{port}")
    assert (finished.code, finished.errors) == (0, "")
    assert finished.metrics.keys() == {"tcp_connect_seconds"}


def test_tcp_connect_takes_its_target_as_an_argument_too(
    run_prober: RunProber, serve_tcp: ServeTcp
) -> None:
    host, port = serve_tcp(echo)
    assert run_prober("tcp-connect", "--target", f"{host}:{port}").code == 0


def test_tcp_connect_fails_if_nobody_listens(run_prober: RunProber, dead_port: int) -> None:
    finished = run_prober("tcp-connect", VAR_TARGET=f"127.0.0.1:{dead_port}")
    assert finished.code == 1
    assert finished.reason == f"cannot connect to 127.0.0.1:{dead_port}: Connection refused"


def test_tcp_connect_gives_up_by_itself(run_prober: RunProber, deaf_port: int) -> None:
    finished = run_prober(
        "tcp-connect", VAR_TARGET=f"127.0.0.1:{deaf_port}", VAR_TIMEOUT_SECONDS="0.2"
    )
    assert finished.code == 1
    assert finished.reason == f"no connection to 127.0.0.1:{deaf_port} within 0.2 s"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "no target: set VAR_TARGET or --target to host:port"),
        ({"VAR_TARGET": "somewhere"}, "expected host:port, not 'somewhere'"),
        ({"VAR_TARGET": "a:1", "VAR_TIMEOUT_SECONDS": "soon"}, "invalid positive_seconds value"),
    ],
)
def test_tcp_connect_is_broken_by_wrong_settings(
    run_prober: RunProber, variables: dict[str, str], reason: str
) -> None:
    finished = run_prober("tcp-connect", **variables)
    assert finished.code == 3
    assert reason in finished.reason


def mesh(run_prober: RunProber, port: int, seconds: str = "5") -> tuple[int, str]:
    finished = run_prober(
        "mesh-tcp",
        VAR_TARGET="demo-2",
        VAR_TARGET_ADDRESS="127.0.0.1",
        VAR_MACHINE_PORT=str(port),
        VAR_TIMEOUT_SECONDS=seconds,
    )
    return finished.code, finished.errors or ",".join(finished.metrics)


def test_mesh_tcp_wants_its_bytes_back(run_prober: RunProber, serve_tcp: ServeTcp) -> None:
    _, port = serve_tcp(echo)
    assert mesh(run_prober, port) == (0, "mesh_tcp_connect_seconds,mesh_tcp_echo_seconds")


def test_mesh_tcp_takes_no_other_bytes(run_prober: RunProber, serve_tcp: ServeTcp) -> None:
    def nonsense(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"x" * 32)

    _, port = serve_tcp(nonsense)
    code, reason = mesh(run_prober, port)
    assert (code, reason) == (
        1,
        f"127.0.0.1:{port} sent back 32 bytes that are not the 32 sent\n",
    )


def test_mesh_tcp_fails_if_the_other_side_hangs_up(
    run_prober: RunProber, serve_tcp: ServeTcp
) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(4096)

    _, port = serve_tcp(hang_up)
    assert mesh(run_prober, port)[0] == 1


def test_mesh_tcp_gives_up_on_a_silent_side(run_prober: RunProber, serve_tcp: ServeTcp) -> None:
    finished = threading.Event()

    def be_silent(_: socket.socket) -> None:
        finished.wait(30)

    _, port = serve_tcp(be_silent)
    code, reason = mesh(run_prober, port, "0.2")
    finished.set()
    assert (code, reason) == (1, f"no echo from 127.0.0.1:{port} within 0.2 s\n")


def test_mesh_tcp_fails_if_nobody_listens(run_prober: RunProber, dead_port: int) -> None:
    code, reason = mesh(run_prober, dead_port)
    assert (code, reason) == (1, f"no connection to 127.0.0.1:{dead_port}: Connection refused\n")


def test_mesh_tcp_is_broken_without_an_address(run_prober: RunProber) -> None:
    finished = run_prober("mesh-tcp", VAR_TARGET="demo-2", VAR_MACHINE_PORT="1")
    assert finished.code == 3
    assert "no address of demo-2: the recipe's output mr_prober_hosts gives it" in finished.reason
