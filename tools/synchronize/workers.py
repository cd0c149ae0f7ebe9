"""Calls of the API side by side, with a bound: each thread has a client of its own."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

from common.api_client import ApiClient
from tools.api_access import ApiAccess

Client = TypeVar("Client")
Answer = TypeVar("Answer")


class Workers(Generic[Client]):
    """`client()` gives the calling thread its client; with one worker all is done in the caller's thread."""

    def __init__(self, client: Callable[[], Client], *, count: int = 1) -> None:
        self._client = client
        self._pool = ThreadPoolExecutor(count, "api") if count > 1 else None
        self._is_abandoned = False

    def all_of(self, calls: Sequence[Callable[[Client], Answer]]) -> list[Answer]:
        """The answers in the order of the calls; the first error is raised after all have ended."""
        return [future.result() for future in self.begun(calls)]

    def begun(self, calls: Sequence[Callable[[Client], Answer]]) -> list[Future[Answer]]:
        """All calls, each as a future."""
        if self._pool is None:
            return [_done(self._called, call) for call in calls]
        return [self._pool.submit(self._called, call) for call in calls]

    def abandon(self) -> None:
        """Nobody waits for an answer any more: `close` comes back at once."""
        self._is_abandoned = True

    def close(self) -> None:
        """Wait for what is under way; what has not begun never will."""
        if self._pool is not None:
            self._pool.shutdown(wait=not self._is_abandoned, cancel_futures=True)

    def _called(self, call: Callable[[Client], Answer]) -> Answer:
        return call(self._client())


@contextmanager
def workers_of(access: ApiAccess, *, count: int) -> Iterator[Workers[ApiClient]]:
    """Workers with connections to the API, which are closed at the end. AddressError, MissingKeyError, KeyFileError."""
    own = threading.local()
    transports = [access.transport()]  # what is wrong with the key is told before any thread starts
    spare = list(transports)

    def client() -> ApiClient:
        if not hasattr(own, "client"):
            try:
                transport = spare.pop()
            except IndexError:
                transport = access.transport()
                transports.append(transport)
            own.client = ApiClient(transport)
        found: ApiClient = own.client
        return found

    workers = Workers(client, count=count)
    try:
        yield workers
    except KeyboardInterrupt:
        workers.abandon()
        raise
    finally:
        workers.close()
        for transport in transports:
            transport.close()


def _done(
    called: Callable[[Callable[[Client], Answer]], Answer], call: Callable[[Client], Answer]
) -> Future[Answer]:
    future: Future[Answer] = Future()
    try:
        future.set_result(called(call))
    except Exception as error:  # noqa: BLE001 - as a pool does: whoever asks for the result gets it
        future.set_exception(error)
    return future
