"""Asks a running agent through its control socket; for tools and tests.

    client = ControlClient(Path("/var/lib/mr-prober"))   # the agent's folder
    client.state().own.runs_in_progress

AgentNotRunningError: nobody listens there. ControlRefusedError: the agent says no, and why.
"""

import http.client
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

from pydantic import BaseModel, ValidationError

from agent.control.listener import connected_to
from agent.errors import AgentNotRunningError, ControlRefusedError
from common.contracts.control import (
    MAX_WAIT_SECONDS,
    AgentState,
    NewestMetrics,
    Pause,
    Pauses,
    PauseWanted,
    ProberDetails,
    ProberExplanation,
    Records,
    RunProgress,
    RunTicket,
    RunWanted,
)
from common.contracts.values import Problem

Model = TypeVar("Model", bound=BaseModel)
_TIME_LIMIT_SECONDS = 30.0
_MAX_ANSWER_BYTES = 256 * 1024 * 1024


class ControlClient:
    """One agent, named by its folder; a connection for each call, so threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self) -> AgentState:
        """All about the agent, its probers one line each."""
        return self._call(AgentState, "GET", "/v1/state")

    def prober(self, slug: str) -> ProberDetails:
        """A prober and its combinations."""
        return self._call(ProberDetails, "GET", f"/v1/probers/{slug}")

    def explanation(self, slug: str) -> ProberExplanation:
        """Why a prober runs as it does."""
        return self._call(ProberExplanation, "GET", f"/v1/probers/{slug}/explanation")

    def metrics(self, prober: str | None = None) -> NewestMetrics:
        """The series of a prober, or all."""
        return self._call(NewestMetrics, "GET", "/v1/metrics", query={"prober": prober})

    def records(
        self,
        *,
        prober: str | None = None,
        failed: bool = False,
        limit: int = 50,
        after: int | None = None,
        wait_seconds: float = 0.0,
    ) -> Records:
        """The newest records, or those after a number; then an empty answer may be waited for, at most 25 s."""
        query = {
            "prober": prober,
            "failed": "true" if failed else None,
            "limit": str(limit),
            "after": None if after is None else str(after),
            "wait": f"{min(wait_seconds, MAX_WAIT_SECONDS):g}" if wait_seconds else None,
        }
        return self._call(Records, "GET", "/v1/records", query=query, patience=wait_seconds)

    def run(self, wanted: RunWanted) -> RunTicket:
        """Have a prober run once; `progress` says how it goes."""
        return self._call(RunTicket, "POST", "/v1/runs", body=wanted)

    def progress(self, run: UUID, *, wait_seconds: float = 0.0) -> RunProgress:
        """How a run goes; the answer may wait for its end, at most 25 s."""
        query = {"wait": f"{min(wait_seconds, MAX_WAIT_SECONDS):g}" if wait_seconds else None}
        return self._call(RunProgress, "GET", f"/v1/runs/{run}", query=query, patience=wait_seconds)

    def end_run(self, run: UUID) -> RunProgress:
        """Nobody wants it any more: SIGTERM, grace, SIGKILL."""
        return self._call(RunProgress, "DELETE", f"/v1/runs/{run}")

    def pauses(self) -> Pauses:
        """Those that go on."""
        return self._call(Pauses, "GET", "/v1/pauses")

    def pause(self, wanted: PauseWanted) -> Pause:
        """Silence a prober, or all, for a while."""
        return self._call(Pause, "POST", "/v1/pauses", body=wanted)

    def resume(self, prober: str | None = None) -> Pauses:
        """End the pause of a prober, or that of all; those that are left."""
        return self._call(Pauses, "DELETE", "/v1/pauses", query={"prober": prober})

    def _call(
        self,
        model: type[Model],
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: BaseModel | None = None,
        patience: float = 0.0,
    ) -> Model:
        asked = urlencode({name: text for name, text in (query or {}).items() if text is not None})
        content = body.model_dump_json(exclude_none=True).encode() if body else b""
        status, answer = self._exchange(
            method, f"{path}?{asked}" if asked else path, content, _TIME_LIMIT_SECONDS + patience
        )
        try:
            if status >= 300:
                raise ControlRefusedError(Problem.model_validate_json(answer))
            return model.model_validate_json(answer)
        except ValidationError as error:
            raise AgentNotRunningError(self._folder, f"unexpected answer, HTTP {status}") from error

    def _exchange(
        self, method: str, target: str, body: bytes, time_limit_seconds: float
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("agent", timeout=time_limit_seconds)
        try:
            connection.sock = connected_to(self._folder, time_limit_seconds=time_limit_seconds)
            try:
                headers = {"Content-Type": "application/json"} if body else {}
                connection.request(method, target, body=body or None, headers=headers)
            except BrokenPipeError:
                pass  # it has refused already, and says why
            response = connection.getresponse()
            return response.status, response.read(_MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise AgentNotRunningError(self._folder, reason) from error
        finally:
            connection.close()
