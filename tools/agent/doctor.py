"""Decide: what is well and what is not with an agent's surroundings; a line each, with what to do. Pure over facts.

The facts come from the agent itself where it lives (`AgentState`), and from this machine (`machine.py`).
"""

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from common.contracts.control import AgentState, LinkState
from common.version import VERSION
from tools.agent.machine import MachineFacts
from tools.agent.marks import size, span

_CLOCK_SKEW = timedelta(seconds=2)
_LITTLE_SPACE = 100 * 1024 * 1024


class Health(StrEnum):
    """How a check came out."""

    WELL = "ok"
    DOUBT = "?"  # cannot be told, or worth a look
    ILL = "ill"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    health: Health
    text: str
    advice: str = ""


def examined(facts: MachineFacts, state: AgentState | None) -> list[Check]:
    """All checks, in the order in which one would look; without `state` the agent does not answer."""
    checks = [_agent(facts, state), _folder(facts), _disk(facts), _clock(facts)]
    if state is not None:
        checks += _living(state)
    return checks


def _agent(facts: MachineFacts, state: AgentState | None) -> Check:
    if state is not None:
        return Check(
            "agent", Health.WELL, f"answers, pid {state.agent.pid}, boot {state.agent.boot}"
        )
    if facts.is_locked:
        return Check(
            "agent",
            Health.ILL,
            f"a process holds {facts.folder} but does not answer: {facts.silence}",
            "you may lack the rights to its socket (its user or group); else end it, its supervisor starts it anew",
        )
    if os.strerror(errno.EACCES) in facts.silence:
        return Check(
            "agent",
            Health.ILL,
            f"cannot be asked by {facts.user}, whether it runs or not: {facts.silence}",
            "call this as the agent's user or root",
        )
    return Check(
        "agent",
        Health.ILL,
        f"does not run: {facts.silence}",
        "start it (systemctl, docker or the supervisor of this machine) and read its log",
    )


def _folder(facts: MachineFacts) -> Check:
    if not facts.is_readable:
        return Check(
            "permissions",
            Health.ILL,
            f"{facts.folder} cannot be read by {facts.user}",
            "call this as the agent's user or root, or name the folder with --dir",
        )
    return Check("permissions", Health.WELL, f"{facts.folder} is readable for {facts.user}")


def _disk(facts: MachineFacts) -> Check:
    if facts.disk_free_bytes is None:
        return Check("disk", Health.DOUBT, "its folder is not there, or hidden from this user")
    text = f"{size(facts.disk_free_bytes)} free, {facts.inodes_free} inodes"
    if facts.disk_free_bytes < _LITTLE_SPACE or facts.inodes_free == 0:
        return Check("disk", Health.ILL, text, "make room: points and records are being lost")
    return Check("disk", Health.WELL, text)


def _clock(facts: MachineFacts) -> Check:
    if facts.clock_skew_seconds is None:
        return Check(
            "clock",
            Health.DOUBT,
            f"not compared with that of {facts.api_url or 'the API'}: {facts.clock_problem}",
            "name the API with MR_PROBER_API_URL, or compare `date` by hand",
        )
    text = f"{abs(facts.clock_skew_seconds):.1f} s off that of the API at {facts.api_url}"
    if abs(facts.clock_skew_seconds) > _CLOCK_SKEW.total_seconds():
        return Check(
            "clock", Health.ILL, text, "start time synchronization; points carry wrong times"
        )
    return Check("clock", Health.WELL, text)


def _living(state: AgentState) -> Iterator[Check]:
    yield _version(state)
    yield _configuration(state)
    yield _link("API", state.api, "look at the network, the address and the token of the agent")
    yield _link(
        "object storage",
        state.storage,
        "without it the agent has only its own disk while the API is away: see MR_PROBER_FALLBACK_URL",
    )
    yield _link("reports", state.reports, "as for the API; probers go on")
    yield _link(
        "Solomon", state.solomon, "see agent/README.md, What becomes of a push; points wait on disk"
    )
    yield _canaries(state)
    yield _recorder(state)
    yield _powers(state.own.missing_powers)


def _version(state: AgentState) -> Check:
    theirs = state.agent.version
    if theirs != VERSION:
        return Check(
            "versions",
            Health.DOUBT,
            f"the agent has {theirs}, this tool {VERSION}",
            "use the tool of the same image or checkout",
        )
    return Check("versions", Health.WELL, f"agent and tool {VERSION}, Python {state.agent.python}")


def _configuration(state: AgentState) -> Check:
    known = state.configuration
    if known.problem:
        return Check("configuration", Health.ILL, known.problem, "the last good one stays in force")
    if known.source == "none":
        return Check("configuration", Health.ILL, "there is none yet", "see API below")
    return Check("configuration", Health.WELL, f"revision {known.revision}, from {known.source}")


def _link(name: str, link: LinkState, advice: str) -> Check:
    if not link.is_used:
        return Check(name, Health.WELL, "not used")
    if link.problem:
        return Check(name, Health.ILL, f"{link.address}: {link.problem}", advice)
    if link.succeeded_seconds_ago is None:
        return Check(name, Health.DOUBT, f"{link.address} was not asked yet")
    return Check(
        name, Health.WELL, f"{link.address} answered {span(link.succeeded_seconds_ago)} ago"
    )


def _canaries(state: AgentState) -> Check:
    right, wrong = (state.own.canary_runs.get(word, 0) for word in ("right", "wrong"))
    if state.own.canary_problem:
        return Check(
            "canaries", Health.ILL, state.own.canary_problem, "believe no cell of this host"
        )
    if not right:
        return Check("canaries", Health.DOUBT, "none has ended yet, or they are switched off")
    return Check("canaries", Health.WELL, f"{right} judged rightly, {wrong} not")


def _recorder(state: AgentState) -> Check:
    recorder = state.recorder
    if recorder.problem:
        return Check("recorder", Health.ILL, recorder.problem, "runs leave no evidence")
    return Check("recorder", Health.WELL, f"{size(recorder.bytes)} of {size(recorder.max_bytes)}")


def _powers(missing: Sequence[str]) -> Check:
    if not missing:
        return Check("powers", Health.WELL, "all that the agent can use")
    return Check("powers", Health.DOUBT, "; ".join(missing), "run it as root for these")
