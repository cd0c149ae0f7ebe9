"""The commands that have something done: a run, a pause, an examination, an archive."""

import getpass
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from agent.errors import AgentNotRunningError
from agent.recorder.reader import Wanted, read_records
from agent.remains import remains_in
from common.contracts.control import (
    MAX_RECORDS,
    AgentState,
    Pauses,
    RunPhase,
    RunProgress,
    RunTicket,
)
from tools.agent.bundle import written_bundle
from tools.agent.dead import explanation_from
from tools.agent.doctor import Check, Health, examined
from tools.agent.errors import NothingKnownError
from tools.agent.following import run_to_its_end
from tools.agent.local_folder import local_prober
from tools.agent.machine import machine_facts
from tools.agent.marks import duration_in
from tools.agent.pages import checks_table, pauses_page
from tools.agent.place import (
    NAME,
    Place,
    as_json_option,
    checked,
    plain_json,
    print_json,
    with_place,
    with_prober,
)
from tools.agent.ports import LivingAgent
from tools.agent.records import line_of, page_of
from tools.agent.wishes import pause_wanted, run_wanted
from tools.command_line import examples_of
from tools.exit_codes import ExitCode

ALL = "all"
Parts = dict[str, BaseModel | Iterable[BaseModel]]


@click.command(
    epilog=examples_of(
        NAME,
        "run dns-resolve --verbose",
        "run dns-resolve --where target=demo-2 --set retries=3",
        "run --path ./port-open --set target=127.0.0.1:22   as its author has it",
    )
)
@with_prober(required=False)
@click.option("--path", "path", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Run the prober of this folder, as its author has it.")  # fmt: skip
@click.option("--config", help="With --path: which of its configs counts; default: the only one.")
@click.option("--where", "combination", multiple=True, metavar="NAME=VALUE",
              help="Choose one combination of its matrix.")  # fmt: skip
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE",
              help="Another value of a variable, as JSON or text.")  # fmt: skip
@click.option("--verbose", is_flag=True, help="Also command, environment, cost and all output.")
@as_json_option
@with_place
def run(place: Place, /, prober: str | None, *, as_json: bool, **options: Any) -> int:
    """Run a prober once, exactly as the agent does it: same environment, user and limits.

    No metric, no state and no count of the agent changes.
    """
    path, verbose = options["path"], options["verbose"]
    local = None
    if path is not None:
        slug, local = local_prober(path, config=options["config"])
        prober = prober or slug
    elif options["config"]:
        raise click.UsageError("--config needs --path")
    if prober is None:
        raise click.UsageError("name a PROBER, or a folder with --path")
    wanted = checked(
        lambda: run_wanted(
            prober, combination=options["combination"], values=options["values"], local=local
        )
    )
    record = run_to_its_end(place.agent(), wanted, told=_teller())
    if as_json:
        print_json(plain_json(record))
    else:
        place.show(page_of(record) if verbose or not record.is_good else line_of(record))
    return ExitCode.DONE if record.is_good else ExitCode.ERROR


@click.command(
    epilog=examples_of(
        NAME,
        'pause dns-resolve --for 30m --why "the resolver is replaced"',
        'pause all --for 2h --why "the rack moves"',
    )
)
@with_prober(metavar="PROBER|all")
@click.option(
    "--for", "length", required=True, metavar="DURATION", help="30m, 2h, 1h30m; at most 7d."
)
@click.option("--why", required=True, help="For everybody who sees the pause.")
@as_json_option
@with_place
def pause(place: Place, /, prober: str, *, length: str, why: str, as_json: bool) -> int:
    """Silence a prober, or all; it ends by itself, and API and page show it meanwhile."""
    parsed: timedelta = checked(lambda: duration_in(length))
    wanted = checked(
        lambda: pause_wanted(_prober_or_all(prober), length=parsed, why=why, who=_who())
    )
    made = place.agent().pause(wanted)
    if as_json:
        print_json(plain_json(made))
    else:
        place.show(pauses_page([made]))
    return ExitCode.DONE


@click.command(epilog=examples_of(NAME, "resume dns-resolve", "resume all"))
@with_prober(metavar="PROBER|all")
@as_json_option
@with_place
def resume(place: Place, /, prober: str, *, as_json: bool) -> int:
    """End a pause before its time; what is paused still is shown."""
    left = place.agent().resume(_prober_or_all(prober))
    if as_json:
        print_json(plain_json(left))
    else:
        place.show(pauses_page(left.pauses))
    return ExitCode.DONE


@click.command(
    epilog=examples_of(
        NAME, "doctor", "doctor --json | jq -r '.[] | select(.health == \"ill\") | .name'"
    )
)
@as_json_option
@with_place
def doctor(place: Place, /, *, as_json: bool) -> int:
    """Look at everything the agent needs: a line each, with what to do."""
    checks, _ = _examined(place)
    if as_json:
        print_json(
            [
                {"name": one.name, "health": one.health, "text": one.text, "advice": one.advice}
                for one in checks
            ]
        )
    else:
        place.show(checks_table(checks))
    return ExitCode.ERROR if any(one.health is Health.ILL for one in checks) else ExitCode.DONE


@click.command(epilog=examples_of(NAME, "bundle", "bundle -o ticket-42.tar.gz"))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=None,
              help="Where to; default: a name with host and time in this folder.")  # fmt: skip
@as_json_option
@with_place
def bundle(place: Place, /, *, output: Path | None, as_json: bool) -> int:
    """One archive for a ticket: state, explanations, records, metrics, doctor; secrets are removed.

    Of an agent that does not answer: who it was, its pauses, explanations and records, from its folder.
    """
    checks, state = _examined(place)
    if state is None:
        host, parts = _parts_of_dead(place)
    else:
        host, parts = state.agent.host, _parts_of(place.agent(), state)
    path = output or Path(f"mr-prober-{host}-{datetime.now().astimezone():%Y%m%d-%H%M%S}.tar.gz")
    size = written_bundle(path, parts, checks)
    if as_json:
        print_json({"path": str(path), "bytes": size})
        return ExitCode.DONE
    click.echo(
        f"{path} ({size} bytes): no secrets of probers are in it, names of hosts and targets are"
    )
    return ExitCode.DONE


def _parts_of(agent: LivingAgent, state: AgentState) -> Parts:
    parts: Parts = {"state": state, "metrics": agent.metrics(), "pauses": agent.pauses()}
    parts["records"] = agent.records(limit=MAX_RECORDS).records
    parts["failed"] = agent.records(failed=True, limit=MAX_RECORDS).records
    for prober in state.probers:
        parts[f"explain-{prober.slug}"] = agent.explanation(prober.slug)
        parts[f"show-{prober.slug}"] = agent.prober(prober.slug)
    return parts


def _parts_of_dead(place: Place) -> tuple[str, Parts]:
    """The host that it was, and what its folder says."""
    remains = remains_in(place.folder)
    if remains.problem or remains.identity is None:
        raise NothingKnownError(place.folder, remains.problem)
    parts: Parts = {"identity": remains.identity, "pauses": Pauses(pauses=list(remains.pauses))}
    parts["records"] = read_records(place.folder, Wanted(limit=MAX_RECORDS)).records
    parts["failed"] = read_records(place.folder, Wanted(failed=True, limit=MAX_RECORDS)).records
    for prober in remains.probers:
        parts[f"explain-{prober.slug}"] = explanation_from(remains, prober.slug)
    return f"{remains.identity.host}-dead", parts


def _examined(place: Place) -> tuple[list[Check], AgentState | None]:
    state, silence = None, ""
    try:
        state = place.agent().state()
    except AgentNotRunningError as error:
        silence = error.reason
    facts = machine_facts(
        place.folder, silence=silence, api_url=state.api.address if state else place.api_url
    )
    return examined(facts, state), state


def _teller() -> Callable[[RunTicket, RunProgress], None]:
    """Says on stderr what one waits for, once per phase."""
    phases: set[RunPhase] = set()

    def tell(ticket: RunTicket, progress: RunProgress) -> None:
        if progress.phase in phases or progress.phase in (RunPhase.ENDED, RunPhase.NOT_RUN):
            return
        phases.add(progress.phase)
        at_most = (
            f", {ticket.longest_seconds:g} s at most" if progress.phase is RunPhase.RUNNING else ""
        )
        click.echo(f"{progress.phase.value}{at_most} …", err=True)

    return tell


def _prober_or_all(name: str) -> str | None:
    return None if name == ALL else name


def _who() -> str:
    """Who sits at the terminal, if the system knows; the agent takes its caller's user otherwise."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


COMMANDS = (run, pause, resume, doctor, bundle)
