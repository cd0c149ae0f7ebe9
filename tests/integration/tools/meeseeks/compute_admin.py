"""A Compute Admin API on loopback: a real gRPC server over nodes in memory, which goes wrong as a test wants."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import grpc

# Sees the request, its context and the answer that would be given; gives another one, or aborts.
Mischief = Callable[[Any, Any, Any], Any]


class ComputeAdmin:
    """`nodes` are dictionaries of fields of the message `Node`; a mischief is for one call, in order, then all is well."""

    def __init__(self, specs: Any, *, tls: tuple[Path, Path] | None = None, port: int = 0) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.mischief: list[Mischief | None] = []
        self.always: Mischief | None = None
        self.page_size = 3
        self.counts = True
        self.requests: list[Any] = []
        self.authorizations: list[str] = []
        self._messages = specs.messages
        self._executor = ThreadPoolExecutor(8)
        self._server = grpc.server(self._executor)
        specs.stubs.add_NodeServiceServicer_to_server(self, self._server)
        if tls:
            certificate, key = (path.read_bytes() for path in tls)
            credentials = grpc.ssl_server_credentials([(key, certificate)])
            self.port = self._server.add_secure_port(f"127.0.0.1:{port}", credentials)
        else:
            self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"
        self._server.start()

    def fill(self, count: int, *, zones: tuple[str, ...] = ("zone-a", "zone-b")) -> None:
        """So many nodes, in the zones by turns."""
        self.nodes = [
            {
                "id": f"id{number:04}", "name": f"node-{number:04}", "status": 1,
                "zone_id": zones[number % len(zones)], "address": f"10.0.{number // 256}.{number % 256}",
            }
            for number in range(count)
        ]  # fmt: skip

    def List(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """What the generated servicer calls."""
        self.requests.append(request)
        self.authorizations.append(dict(context.invocation_metadata()).get("authorization", ""))
        begin = int(request.page_token or 0)
        end = begin + min(self.page_size, request.page_size)
        answer = self._messages.ListNodesResponse(
            nodes=self.nodes[begin:end],
            next_page_token=str(end) if end < len(self.nodes) else "",
            total_size=len(self.nodes) if self.counts else 0,
        )
        mischief = self.mischief.pop(0) if self.mischief else self.always
        return mischief(request, context, answer) if mischief else answer

    def Get(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Not used."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"no {request.node_id}")

    def stop(self) -> None:
        """Break all connections and free the port."""
        self._server.stop(grace=None).wait()
        self._executor.shutdown(wait=False, cancel_futures=True)


def aborting(code: str, details: str = "as the test wants") -> Mischief:
    """The call fails."""

    def abort(_request: Any, context: Any, _answer: Any) -> None:
        context.abort(grpc.StatusCode[code], details)

    return abort


def answering(**fields: Any) -> Mischief:
    """These fields of the answer are others."""

    def answer(_request: Any, _context: Any, given: Any) -> Any:
        for name, value in fields.items():
            setattr(given, name, value)
        return given

    return answer


def hanging(_request: Any, context: Any, answer: Any) -> Any:
    """No answer until the caller is gone."""
    gone = Event()
    if context.add_callback(gone.set):
        gone.wait(60)
    return answer
