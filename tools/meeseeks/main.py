"""`yc-mr-prober-meeseeks`: reads settings and options, then compares compute nodes with a cluster's variable, once or for ever."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import click

from common.logs import set_up_logging
from common.solomon.classic import ClassicDialect
from common.solomon.client import HttpSolomonClient, classic_address
from common.solomon.encoder import PushEncoder
from common.solomon.tokens import FixedToken
from common.version import VERSION
from settings import MeeseeksSettings
from tools import command_line
from tools.api_access import ApiAccess
from tools.command_line import examples_of
from tools.console import console_of
from tools.meeseeks.errors import EndpointError, MetricsError, PackagesMissingError
from tools.meeseeks.metrics import Metrics
from tools.meeseeks.nodes import NodeState, Selection
from tools.meeseeks.pages import Clocks, NodeReader, ReadLimits
from tools.meeseeks.plan import MANAGER, Rules
from tools.meeseeks.report import log_round, print_round, round_as_json
from tools.meeseeks.rounds import EXIT_CODES, Round, round_of
from tools.meeseeks.solomon import RoundPush
from tools.meeseeks.thresholds import Limits
from tools.meeseeks.tokens import token_source
from tools.meeseeks.variable import ClusterVariable
from tools.meeseeks.watch import watch

log = logging.getLogger("meeseeks")

NAME = "yc-mr-prober-meeseeks"
EXAMPLES = """
\b
Examples:
  yc-mr-prober-meeseeks                       what would change? (exit code 2: something would)
  yc-mr-prober-meeseeks apply                 change it
  yc-mr-prober-meeseeks apply --watch         keep it in step, until SIGTERM
  yc-mr-prober-meeseeks --zone ru-central1-a --state UP --label rack=r1
  yc-mr-prober-meeseeks plan --json | jq .summary

\b
Exit codes:
  0 nothing to do, or done              1 error or refused, nothing was done
  2 plan: there are changes             4 the variable changed meanwhile, or the
                                          answer to the change was lost: run again
  64 wrong usage

Needs ./build_proto_specs.sh once. Tokens and keys are settings, never options;
tools/README.md lists them.
"""


@dataclass(frozen=True)
class Options:
    """What was said on the command line; None and empty: nothing."""

    cluster: str | None = None
    variable: str | None = None
    zones: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    api_url: str | None = None
    endpoint: str | None = None
    interval: float | None = None
    force: bool = False
    adopt: bool = False
    as_json: bool = False
    watched: bool = False

    def over(self, general: "Options") -> "Options":
        """These options where they are given, the general ones elsewhere."""
        return Options(
            **{
                one.name: getattr(self, one.name) or getattr(general, one.name)
                for one in fields(self)
            }
        )


class _Label(click.ParamType[tuple[str, str]]):
    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """`rack=r1` as a pair."""
        name, sign, text = str(value).partition("=")
        if not name or not sign:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, text


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options may stand before the command and after it."""
    states = [state.value for state in NodeState]
    options = (
        click.option("--cluster", metavar="SLUG", help="The cluster; default: meeseeks."),
        click.option("--variable", metavar="NAME", help="Its variable; default: compute_nodes."),
        click.option("--zone", "zones", metavar="ZONE", multiple=True, help="Only nodes of this zone; may be repeated."),
        click.option("--state", "states", type=click.Choice(states, case_sensitive=False), multiple=True, help="Only nodes in this state; may be repeated."),
        click.option("--label", "labels", type=_Label(), multiple=True, help="Only nodes with this label; of several, all."),
        click.option("--endpoint", metavar="HOST:PORT", help="The Compute Admin API."),
        click.option("--api-url", metavar="URL", help="Address of Mr. Prober's API."),
        click.option("--force", is_flag=True, help="In spite of doubts: a short list, broken paging, nodes twice."),
        click.option("--adopt", is_flag=True, help="Take the variable over from its manager."),
        click.option("--watch", "watched", is_flag=True, help="Again and again, until SIGTERM."),
        click.option("--interval", type=click.FloatRange(min=0.1, max=86400), metavar="SECONDS", help="Pause between two rounds of --watch."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch one line a round."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@click.version_option(VERSION, prog_name=NAME)
@_with_options
@click.pass_context
def cli(context: click.Context, /, **options: Any) -> int | None:
    """Keep the variable of a cluster in step with the compute nodes of the Compute Admin API.

    Without a command: plan.
    """
    context.obj = Options(**options)
    if context.invoked_subcommand is None:
        return _run(context.obj, apply=False)
    return None


@cli.command(
    "plan",
    epilog=examples_of(
        NAME,
        "plan                           exit code 2: something would change",
        "plan --zone ru-central1-a --state UP",
        "plan --json | jq .summary",
    ),
)
@_with_options
@click.pass_obj
def plan_command(general: Options, /, **options: Any) -> int:
    """Show what would change; changes nothing."""
    return _run(Options(**options).over(general), apply=False)


@cli.command(
    "apply",
    epilog=examples_of(
        NAME,
        "apply                          once",
        "apply --watch --interval 30    until SIGTERM",
        "apply --force                  although the list is doubtful: look at plan first",
        "apply --adopt                  the variable was somebody else's",
    ),
)
@_with_options
@click.pass_obj
def apply_command(general: Options, /, **options: Any) -> int:
    """Show what changes, and change it."""
    return _run(Options(**options).over(general), apply=True)


@dataclass
class _Setting:
    """What rounds need besides the two APIs."""

    options: Options
    settings: MeeseeksSettings
    metrics: Metrics
    push: RoundPush | None
    stop: Event = field(default_factory=Event)


def _run(options: Options, *, apply: bool) -> int:
    _require_one_run(options)
    settings = MeeseeksSettings()
    set_up_logging(settings.log_level, settings.log_format)
    setting = _Setting(options, settings, Metrics(lambda: datetime.now(UTC)), _push_of(settings))
    with _rounds(setting, apply=apply) as run_round:
        if not options.watched:
            done = run_round()
            _print(setting, done)
            return EXIT_CODES[done.outcome]
        return _watch(setting, run_round)


def _require_one_run(options: Options) -> None:
    """A consent is for what its giver has seen, not for every list to come."""
    given = [f"--{name}" for name in ("force", "adopt") if getattr(options, name)]
    if options.watched and given:
        raise click.UsageError(f"{given[0]} is for one run: leave it out with --watch.")


def _watch(setting: _Setting, run_round: Callable[[], Round]) -> int:
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: setting.stop.set())
    if setting.settings.meeseeks_metrics_port is not None:
        port = setting.metrics.serve(setting.settings.meeseeks_metrics_port)
        log.info("metrics url=http://127.0.0.1:%d/metrics", port)

    def round_and_report() -> Round:
        done = run_round()
        log_round(done)
        if setting.options.as_json:
            click.echo(round_as_json(done, indent=None))
        return done

    seconds = setting.options.interval
    interval = timedelta(seconds=seconds) if seconds else setting.settings.meeseeks_interval
    watch(round_and_report, interval=interval, stop=setting.stop)
    return 0


@contextmanager
def _rounds(setting: _Setting, *, apply: bool) -> Iterator[Callable[[], Round]]:
    """A function that does one round, with metrics."""
    try:
        # Only here, since grpc needs half a second that `--help` shall not take.
        from tools.meeseeks import node_service  # noqa: PLC0415
    except ImportError as error:
        raise PackagesMissingError(error) from error

    settings, options = setting.settings, setting.options
    specs = node_service.load_specs(settings.proto_specs.resolve())
    endpoint = node_service.Endpoint(
        _endpoint_of(options.endpoint or settings.compute_admin_endpoint),
        settings.compute_admin_authorities,
        settings.compute_admin_plaintext,
    )
    service = node_service.GrpcNodeService(specs, endpoint, setting.stop)
    token = settings.compute_admin_token
    reader = NodeReader(
        service,
        token_source(
            token.get_secret_value() if token else "",
            settings.compute_admin_token_file,
            settings.metadata_url,
        ),
        endpoint=endpoint.address,
        limits=ReadLimits(settings.compute_admin_call_limit, settings.compute_admin_list_limit),
        clocks=Clocks(sleep=setting.stop.wait),
    )
    access = ApiAccess(
        options.api_url or settings.api_url,
        settings.api_key,
        settings.api_key_file,
        settings.api_authorities,
        # `*` insists where somebody else is named (docs/decisions/0040).
        manager="*" if options.adopt else MANAGER,
    )
    try:
        with access.client() as client:
            variable = ClusterVariable(
                client,
                cluster=options.cluster or "meeseeks",
                name=options.variable or "compute_nodes",
            )

            def run_round() -> Round:
                done = round_of(reader, variable, _rules_of(setting), apply=apply)
                _record(setting, done, reader.repeated)
                return done

            yield run_round
    finally:
        service.close()


def _record(setting: _Setting, done: Round, repeated: int) -> None:
    setting.metrics.record(done, repeated=repeated)
    path = setting.settings.meeseeks_metrics_file
    if path:
        try:
            setting.metrics.write(path)
        except MetricsError as error:
            # The round itself went well, and its exit code says so.
            log.warning("%s", error)
    if setting.push:
        setting.push.push(setting.metrics.points(), datetime.now(UTC))


def _rules_of(setting: _Setting) -> Rules:
    options = setting.options
    return Rules(
        Selection(
            frozenset(options.zones),
            frozenset(NodeState(state.upper()) for state in options.states),
            dict(options.labels),
        ),
        Limits(setting.settings.meeseeks_largest_share),
        force=options.force,
        adopt=options.adopt,
    )


def _push_of(settings: MeeseeksSettings) -> RoundPush | None:
    if not settings.solomon_url:
        return None
    token = settings.solomon_token.get_secret_value() if settings.solomon_token else ""
    try:
        address = classic_address(
            settings.solomon_url,
            project=settings.solomon_project,
            cluster=settings.environment,
            service=settings.solomon_service,
        )
        client = HttpSolomonClient(address, FixedToken(token))
    except ValueError as error:
        raise MetricsError(f"MR_PROBER_SOLOMON_URL: {error}") from error
    return RoundPush(client, PushEncoder(ClassicDialect()), {"host": settings.host})


def _print(setting: _Setting, done: Round) -> None:
    if setting.options.as_json:
        click.echo(round_as_json(done))
        return
    # In a pipe lines are as long as they need to be.
    console = console_of(sys.stdout, width=None if sys.stdout.isatty() else 1000)
    print_round(console, done)


def _endpoint_of(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or "/" in text or not port.isdecimal() or not 0 < int(port) < 65536:
        raise EndpointError(
            f"{text!r} is not the Compute Admin API's host:port:"
            " set MR_PROBER_COMPUTE_ADMIN_ENDPOINT or --endpoint"
        )
    return text


def run(arguments: list[str]) -> int:
    """Run with these arguments; gives the exit code."""
    return command_line.run(
        cli, NAME, arguments, interrupted="Interrupted: nothing was changed, or run again."
    )


def main() -> None:
    """Entry point of the command."""
    # What a person has to know of gRPC's own mishaps is in our errors; its lines would only hide them.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    command_line.main(run)


if __name__ == "__main__":
    main()
