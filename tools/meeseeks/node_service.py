"""The only file that knows gRPC and the generated code: one page of nodes in, values of ours out.

The generated code is imported at run time, since it is not in the repository; nothing of it has types, and none of it leaves this file.
See docs/decisions/0045-proto-specs-are-built-not-kept.md.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import grpc
from google.protobuf.runtime_version import VersionError

from common.version import VERSION
from tools.meeseeks.errors import EndpointError, SpecsMissingError, StoppedError
from tools.meeseeks.nodes import ListedNode, NodeState
from tools.meeseeks.pages import NodePage, PageQuery, PageRefusedError

_SPECS = "yandex.cloud.priv.compute.admin.v1.node_service_pb2"
_FIELDS = {
    "ListNodesRequest": {"page_size", "page_token", "filter"},
    "ListNodesResponse": {"nodes", "next_page_token", "total_size"},
}
_OPTIONS = (
    # Settings are explicit: no proxy from the environment of whoever started us.
    ("grpc.enable_http_proxy", 0),
    # What is repeated is decided in one place, pages.py.
    ("grpc.enable_retries", 0),
    # After an outage it is found again about as fast as calls are repeated.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.primary_user_agent", f"mr-prober-meeseeks/{VERSION}"),
)
# How soon a call ends after the process was told to.
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Specs:
    """The generated code."""

    messages: Any
    stubs: Any


@dataclass(frozen=True)
class Endpoint:
    """`address` is `host:port`; `authorities`: a PEM file of the only ones believed; `plaintext`: no TLS, on loopback only."""

    address: str
    authorities: Path | None = None
    plaintext: bool = False


def load_specs(folder: Path) -> Specs:
    """Import what `./build_proto_specs.sh` made in this folder; SpecsMissingError."""
    if str(folder) not in sys.path:
        # Last, so that no file there hides a package.
        sys.path.append(str(folder))
    try:
        messages = importlib.import_module(_SPECS)
        stubs = importlib.import_module(f"{_SPECS}_grpc")
    except ImportError as error:
        raise SpecsMissingError(folder, _who_hides_it() or str(error)) from error
    except (VersionError, RuntimeError, TypeError) as error:
        # Generated for another protobuf or grpcio than the one that is installed.
        raise SpecsMissingError(folder, str(error).partition("\n")[0]) from error
    for name, fields in _FIELDS.items():
        message = getattr(messages, name, None)
        missing = fields - set(message.DESCRIPTOR.fields_by_name) if message else {name}
        if missing:
            reason = f"its NodeService is another one, without {', '.join(sorted(missing))}"
            raise SpecsMissingError(folder, reason)
    return Specs(messages, stubs)


class GrpcNodeService:
    """Fulfils the port `NodeService` over one channel; a call ends soon after `stop` is set."""

    def __init__(self, specs: Specs, endpoint: Endpoint, stop: Event) -> None:
        """EndpointError."""
        self._messages = specs.messages
        self._channel = _channel(endpoint)
        self._stub = specs.stubs.NodeServiceStub(self._channel)
        self._stop = stop

    def page(self, query: PageQuery, *, token: str, time_limit: timedelta) -> NodePage:
        """See `NodeService`."""
        request = self._messages.ListNodesRequest(
            page_size=query.page_size, page_token=query.page_token, filter=query.filter
        )
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        call = self._stub.List.future(
            request, timeout=time_limit.total_seconds(), metadata=metadata
        )
        ended = Event()
        call.add_done_callback(lambda _: ended.set())
        while not ended.wait(_LOOK_SECONDS):
            if self._stop.is_set():
                call.cancel()
                raise StoppedError
        try:
            answer = call.result()
        except grpc.RpcError as error:
            raise PageRefusedError(error.code().name, error.details() or "") from error
        return NodePage(
            tuple(_listed(node) for node in answer.nodes),
            next_page_token=answer.next_page_token,
            # What is not counted is 0, as every field that is not sent.
            total=answer.total_size or None,
        )

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def _channel(endpoint: Endpoint) -> Any:
    if endpoint.plaintext:
        host = endpoint.address.rpartition(":")[0].strip("[]")
        if host not in {"127.0.0.1", "localhost", "::1"}:
            raise EndpointError(
                f"{endpoint.address} is not on loopback:"
                " a token goes nowhere else without TLS, unset MR_PROBER_COMPUTE_ADMIN_PLAINTEXT"
            )
        return grpc.insecure_channel(endpoint.address, options=_OPTIONS)
    try:
        authorities = endpoint.authorities.read_bytes() if endpoint.authorities else None
    except OSError as error:
        raise EndpointError(
            f"the file of authorities {endpoint.authorities} cannot be read: {error.strerror}"
        ) from error
    return grpc.secure_channel(
        endpoint.address, grpc.ssl_channel_credentials(authorities), options=_OPTIONS
    )


def _listed(node: Any) -> ListedNode:
    names: Callable[[int], str] = type(node).Status.Name
    numbers: Sequence[int] = type(node).Status.values()
    name = names(node.status) if node.status in numbers else ""
    return ListedNode(
        id=node.id,
        name=node.name,
        fqdn=node.fqdn,
        zone=node.zone_id,
        state=NodeState(name) if name in set(NodeState) else NodeState.UNKNOWN,
        address=node.address,
        labels=dict(node.labels),
    )


def _who_hides_it() -> str:
    """Where another package `yandex` was imported from, if one was."""
    package = sys.modules.get("yandex")
    place = next(iter(getattr(package, "__path__", [])), "")
    if "site-packages" in place:
        return f"another package yandex hides it, {place}: uninstall yandexcloud"
    return ""
