"""What shall go wrong on purpose with the next pushes, whatever their dialect: set at `/faults`, used up in order.

`POST /faults` with `{"faults": [{"times": 3, "status": 503, "retry_after": "2"}, {"partial": 5}]}`, GET shows, DELETE forgets.
"""

import asyncio
import threading
from collections import deque
from dataclasses import asdict, dataclass, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from solomon_stand_in.json_nodes import Node, parsed
from solomon_stand_in.requests_in import json_body
from solomon_stand_in.tokens import TokenDesk

PUSH_PATHS = ("/api/v2/push", "/monitoring/v2/data/write")
MAX_SECONDS = 60.0
_MAX_TIMES = 1_000_000


@dataclass(frozen=True)
class Fault:
    """One kind of mishap, for the next `times` pushes; all that is set happens.

    `delay_seconds` passes first; then `status` answers with `body` instead of the route, or `drop` breaks off in mid-answer,
    or `drip_seconds` passes before each byte of an answer that never ends. `partial`: so many metrics are not taken, with 200.
    """

    times: int = 1
    delay_seconds: float = 0.0
    status: int = 0
    body: str = ""
    retry_after: str = ""
    drop: bool = False
    drip_seconds: float = 0.0
    partial: int = 0


class Faults:
    """The faults that are left; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: deque[Fault] = deque()

    def add(self, faults: list[Fault]) -> None:
        """After those that are there."""
        with self._lock:
            self._left += faults

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._left.clear()

    def left(self) -> list[Fault]:
        """What is still to come."""
        with self._lock:
            return list(self._left)

    def next(self) -> Fault | None:
        """The one for the push that comes now."""
        with self._lock:
            if not self._left:
                return None
            fault = self._left.popleft()
            if fault.times > 1:
                self._left.appendleft(replace(fault, times=fault.times - 1))
            return fault


class FaultMiddleware:
    """Lets the faults happen to pushes; `partial` is left to the route, in `request.state.not_taken`."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        is_push = scope["type"] == "http" and scope["path"] in PUSH_PATHS
        fault = self._faults.next() if is_push else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(fault.delay_seconds)
        if fault.status:
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else None
            await Response(fault.body, fault.status, headers)(scope, receive, send)
        elif fault.drop or fault.drip_seconds:
            await _unfinished_answer(receive, send, fault.drip_seconds)
        else:
            scope.setdefault("state", {})["not_taken"] = fault.partial
            await self._app(scope, receive, send)


async def _unfinished_answer(receive: Receive, send: Send, drip_seconds: float) -> None:
    length = [(b"content-type", b"application/json"), (b"content-length", b"100000")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    bytes_left = int(MAX_SECONDS / drip_seconds) if drip_seconds else 1
    hung_up = asyncio.create_task(_hung_up(receive))
    for _ in range(min(bytes_left, 99_999)):
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        if (await asyncio.wait({hung_up}, timeout=drip_seconds))[0]:
            break
    hung_up.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def not_taken(request: Request) -> int:
    """How many metrics of this push shall not be taken."""
    return int(getattr(request.state, "not_taken", 0))


def fault_routes(faults: Faults, desk: TokenDesk) -> list[Route]:
    """Where faults are set, with a token as pushes need it."""

    async def endpoint(request: Request) -> Response:
        desk.check_request(request, "oauth", "bearer")
        if request.method == "POST":
            root = parsed(await json_body(request))
            fields = root.fields(("faults",), of="root object")
            items = fields.get("faults", Node("faults", None)).items(of="faults")
            faults.add([_fault(item) for item in items])
        elif request.method == "DELETE":
            faults.clear()
        return JSONResponse({"faults": [asdict(fault) for fault in faults.left()]})

    return [Route("/faults", endpoint, methods=["GET", "POST", "DELETE"])]


def _fault(node: Node) -> Fault:
    fields = node.fields(tuple(asdict(Fault())), of="fault")

    def integer(name: str, minimum: int, maximum: int) -> int:
        default = Node(name, getattr(Fault, name))
        return fields.get(name, default).integer(of=name, minimum=minimum, maximum=maximum)

    def seconds(name: str) -> float:
        found = fields.get(name, Node(name, 0.0))
        if not 0 <= found.finite_number(of=name) <= MAX_SECONDS:
            raise found.error(f"{name} is between 0 and {MAX_SECONDS:g}")
        return found.finite_number(of=name)

    def text(name: str) -> str:
        return fields.get(name, Node(name, "")).text(of=name)

    return Fault(
        times=integer("times", 1, _MAX_TIMES),
        delay_seconds=seconds("delay_seconds"),
        status=0 if "status" not in fields else integer("status", 200, 599),
        body=text("body"),
        retry_after=text("retry_after"),
        drop=fields.get("drop", Node("drop", value=False)).value is True,
        drip_seconds=seconds("drip_seconds"),
        partial=integer("partial", 0, _MAX_TIMES),
    )
