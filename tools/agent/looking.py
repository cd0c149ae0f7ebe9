"""The commands that only look: at a living agent, or at what the disk of a dead one says."""

import sys
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Any

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from agent.errors import AgentNotRunningError
from agent.recorder.reader import Wanted, read_records
from agent.remains import remains_in
from common.contracts.control import MAX_RECORDS, AgentState, ProberDetails
from common.contracts.states import State
from tools.agent.dead import explanation_from, remains_as_json, remains_page
from tools.agent.errors import UnknownProberError, with_neighbours
from tools.agent.following import records_as_they_come, states
from tools.agent.judgement import Judgement, judged
from tools.agent.keys import quit_key
from tools.agent.machine import agents_here
from tools.agent.marks import duration_in, plain
from tools.agent.pages import (
    details_page,
    explanation_page,
    metrics_page,
    prober_table,
    status_page,
    top_table,
)
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
from tools.command_line import examples_of
from tools.exit_codes import ExitCode

# So many probers that are not green are looked at closely.
_LOOKED_AT = 10


@click.command(
    epilog=examples_of(
        NAME,
        "status",
        "status --json | jq -r .judgement.headline",
        "status --dir /var/lib/mr-prober-2",
    )
)
@as_json_option
@with_place
def status(place: Place, /, *, as_json: bool) -> int:
    """One screen: is it me, the host or the target?"""
    agent = place.agent()
    try:
        state = agent.state()
    except AgentNotRunningError as error:
        return show_remains(place, error, as_json=as_json)
    judgement = judged(state, _closer_look(agent, state))
    if as_json:
        print_json({"judgement": _judgement_as_json(judgement), "state": plain_json(state)})
    else:
        place.show(status_page(state, judgement))
    return ExitCode.DONE if judgement.culprit is None else ExitCode.ERROR


@click.command(
    "list",
    epilog=examples_of(NAME, "list", "list --json | jq -r '.[] | select(.state != 0) | .slug'"),
)
@as_json_option
@with_place
def list_probers(place: Place, /, *, as_json: bool) -> int:
    """The probers of this host, what needs a person first."""
    try:
        state = place.agent().state()
    except AgentNotRunningError as error:
        return show_remains(place, error, as_json=as_json)
    if as_json:
        print_json([plain_json(prober) for prober in state.probers])
    else:
        place.show(prober_table(state))
    return ExitCode.DONE


@click.command(epilog=examples_of(NAME, "show dns-resolve"))
@with_prober()
@as_json_option
@with_place
def show(place: Place, /, prober: str, *, as_json: bool) -> int:
    """A prober with all its combinations, and what those that fail have in common."""
    agent = place.agent()
    try:
        details = agent.prober(prober)
    except AgentNotRunningError as error:
        return show_remains(place, error, as_json=as_json, prober=prober)
    if as_json:
        print_json(plain_json(details))
    else:
        place.show(details_page(details, datetime.now().astimezone()))
    return ExitCode.DONE


@click.command(epilog=examples_of(NAME, "explain dns-resolve"))
@with_prober()
@as_json_option
@with_place
def explain(place: Place, /, prober: str, *, as_json: bool) -> int:
    """Which layer set each value, what the files are, when the next run is."""
    try:
        explanation = place.agent().explanation(prober)
    except AgentNotRunningError as error:
        explanation = explanation_from(remains_in(place.folder), prober)
        click.echo(str(error), err=True)
    if as_json:
        print_json(plain_json(explanation))
    else:
        place.show(explanation_page(explanation))
    return ExitCode.DONE


@click.command(
    epilog=examples_of(
        NAME,
        "logs dns-resolve --failed",
        "logs dns-resolve --failed --verbose -n 1   all that the last bad run said",
        "logs -f                                    every run as it ends",
        "logs dns-resolve --json | jq .reason",
    )
)
@with_prober(required=False)
@click.option("--failed", is_flag=True, help="Only runs that were not good.")
@click.option("-n", "limit", type=click.IntRange(1, 200), default=20, show_default=True,
              help="How many of the newest.")  # fmt: skip
@click.option("-f", "--follow", is_flag=True, help="Go on with those to come.")
@click.option("--verbose", is_flag=True, help="Also command, environment, cost and all output.")
@as_json_option
@with_place
def logs(place: Place, /, prober: str | None, *, as_json: bool, **options: Any) -> int:
    """What the last runs said, from the flight recorder."""
    failed, verbose = options["failed"], options["verbose"]
    known: Collection[str] = ()
    try:
        # Also says whether anybody answers.
        known = [one.slug for one in place.agent().state().probers]
        records = records_as_they_come(
            place.agent(),
            prober=prober,
            failed=failed,
            limit=options["limit"],
            follow=options["follow"],
        )
    except AgentNotRunningError as error:
        if options["follow"]:
            raise
        remains = remains_in(place.folder)
        if remains.problem:
            raise
        known = [one.slug for one in remains.probers]
        click.echo(str(error), err=True)
        wanted = Wanted(prober=prober, failed=failed, limit=options["limit"])
        records = iter(read_records(place.folder, wanted).records)
    found = False
    for record in records:
        found = True
        if as_json:
            click.echo(record.model_dump_json())
        else:
            place.show(page_of(record) if verbose else line_of(record))
    if not found and prober and prober not in known:
        raise UnknownProberError(prober, known)
    if not found:
        click.echo(
            f"no {'failed ' if failed else ''}run of {prober or 'any prober'} is recorded", err=True
        )
    return ExitCode.DONE


@click.command(
    epilog=examples_of(
        NAME,
        "top               q or Ctrl-C ends it",
        "top --every 10s",
        "top --once        for a ticket",
    )
)
@click.option("--every", default="2s", show_default=True, help="How often it is drawn anew.")
@click.option("--once", is_flag=True, help="One table of all since the start; so too in a pipe.")
@as_json_option
@with_place
def top(place: Place, /, *, every: str, once: bool, as_json: bool) -> int:
    """The probers by what they cost, and how many of their runs fail; `q` ends it."""
    agent = place.agent()
    if as_json:
        print_json([plain_json(prober) for prober in agent.state().probers])
        return ExitCode.DONE
    if once or not place.console.is_terminal:
        place.show(top_table(agent.state(), None))
        return ExitCode.DONE
    pause = max(0.2, checked(lambda: duration_in(every)).total_seconds())
    before: AgentState | None = None
    # Whoever interrupts a table that goes on for ever has got what they wanted.
    with (
        suppress(KeyboardInterrupt),
        quit_key(sys.stdin) as quits,
        Live(Text("…"), console=place.console, screen=True, auto_refresh=False) as live,
    ):
        for state in states(agent, is_enough=lambda: quits(pause)):
            page = Group(top_table(state, before), Text(), Text("q ends it", "dim"))
            live.update(page, refresh=True)
            before = state
    return ExitCode.DONE


@click.command(epilog=examples_of(NAME, "metrics", "metrics dns-resolve --json"))
@with_prober(required=False)
@as_json_option
@with_place
def metrics(place: Place, /, prober: str | None, *, as_json: bool) -> int:
    """The numbers as they stand, which go to Solomon."""
    newest = place.agent().metrics(prober)
    if as_json:
        print_json(plain_json(newest))
    else:
        place.show(metrics_page(newest))
    return ExitCode.DONE


def show_remains(
    place: Place, error: AgentNotRunningError, *, as_json: bool, prober: str | None = None
) -> int:
    """What the disk of an agent says that does not answer."""
    remains = remains_in(place.folder)
    records = read_records(place.folder, Wanted(prober=prober, limit=MAX_RECORDS)).records
    told = with_neighbours(error, agents_here())
    if as_json:
        print_json({"problem": told, "remains": remains_as_json(remains, records, prober=prober)})
    else:
        place.show(plain(told, "bold red"))
        place.show(remains_page(remains, records, prober=prober))
    return ExitCode.ERROR


def _closer_look(agent: LivingAgent, state: AgentState) -> dict[str, ProberDetails]:
    red = [one.slug for one in state.probers if one.state in (State.FAILURE, State.TIMEOUT)]
    return {slug: agent.prober(slug) for slug in red[:_LOOKED_AT]}


def _judgement_as_json(judgement: Judgement) -> dict[str, Any]:
    findings = [
        {"party": one.party, "weight": one.weight, "text": one.text, "advice": one.advice}
        for one in judgement.findings
    ]
    return {"culprit": judgement.culprit, "headline": judgement.headline, "findings": findings}


COMMANDS = (status, list_probers, show, explain, logs, top, metrics)
