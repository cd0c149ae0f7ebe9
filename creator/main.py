"""Creator: keeps every cluster equal to its description by terraform. Reads the settings, builds the parts, runs the loop."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from pydantic import ValidationError
from rich.console import Console

from common.encryption import Keyring, keyring_of_installation
from common.errors import MrProberError
from common.logs import set_up_logging
from common.s3_object_storage import S3Access, s3_client
from common.server_key import server_key_of_installation
from common.solomon.client import HttpSolomonClient, classic_address
from common.solomon.tokens import FixedToken
from common.storages import s3_prefix, storages_of
from creator.check_records import CheckRecords
from creator.command_line import ExitCode, options_of
from creator.decisions import decisions_json, decisions_table
from creator.departure import Departure, Terms
from creator.deployment.assembly import Ground, deployments_on
from creator.deployment.backends import LocalStates, S3States, States, warn_without_versions
from creator.deployment.descriptions import Platform
from creator.deployment.running import Engine
from creator.deployment.terraform import Arguments, environment
from creator.deployment.workspaces import Workspaces
from creator.errors import CannotStartError
from creator.installation import (
    cli_configuration,
    require_database_file,
    terraform_executable,
    terraform_version,
)
from creator.leases import Leases
from creator.loop import Habits, Loop, Watch
from creator.metrics import Metrics
from creator.outlook import Outlook
from creator.planner import Pace
from creator.recipe_checks import Bench, RecipeChecks
from creator.register import Register, place_here
from creator.silences import Silences
from creator.solomon_push import SolomonPush
from creator.steps.adoption import this_machine
from creator.steps.commands import Commands
from creator.steps.detached import Launcher
from creator.steps.launches import User
from creator.steps.users import home_of, let_read, user_called
from creator.turns import Parts, Turns, guarded
from database.schema import require_schema
from database.session import DATABASE_IS_AWAY, Database
from settings import CreatorSettings

ROOT = Path(__file__).resolve().parent.parent

log = logging.getLogger("creator")


@dataclass(frozen=True)
class Known:
    """What is there already: who starts terraform, and what that calls itself (empty: it is asked)."""

    launcher: Launcher
    terraform_version: str = ""


def main(arguments: list[str]) -> int:
    """Run until a signal comes, or for one pass; `--help` lists the exit codes."""
    options = options_of(arguments)
    try:
        settings = CreatorSettings()
    except ValidationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - nothing is set up yet
        return ExitCode.WENT_WRONG
    set_up_logging(settings.log_level, settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # One pass has no end to wait for but its own: it is left at once.
    departure = Departure(at_once=options.once or options.plan_only)
    departure.listen()
    departure.see_to_it(
        Terms(
            waits=settings.creator_drain == "wait",
            time_limit=settings.creator_drain_time_limit,
            patience=settings.creator_database_patience,
        ),
        Workspaces(settings.data_dir.resolve()).have_a_terraform,
    )
    try:
        if options.plan_only:
            return _plan_only(settings, as_json=options.json)
        with _installation(settings) as database:
            return _work(settings, database, departure, once=options.once)
    except MrProberError as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence for the operator, no traceback
        return ExitCode.WENT_WRONG


@contextmanager
def _installation(settings: CreatorSettings) -> Iterator[Database]:
    """The data folder and the database, usable. CannotStartError."""
    try:
        settings.data_dir.resolve().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStartError(f"the data folder cannot be used: {error}") from error
    with _database(settings) as database:
        yield database


@contextmanager
def _database(settings: CreatorSettings) -> Iterator[Database]:
    """The database, with all tables. SchemaError."""
    database = Database(settings.database_url.get_secret_value())
    try:
        require_schema(database)
        yield database
    finally:
        database.dispose()


def _plan_only(settings: CreatorSettings, *, as_json: bool) -> int:
    """Show the decisions; keys and files that a Creator would make are made elsewhere, for a moment."""
    require_database_file(settings.database_url.get_secret_value())
    with TemporaryDirectory(prefix="mr-prober-plan-") as scratch, _database(settings) as database:
        ground = build_ground(settings, database, Event(), scratch=Path(scratch))
        loop = loop_on(ground, settings)
        try:
            clusters = loop.outlook()
        finally:
            loop.close()
    if as_json:
        print(decisions_json(clusters))  # noqa: T201 - what was asked for
    else:
        Console().print(decisions_table(clusters))
    idle = all(seen.decision.is_idle for seen in clusters)
    return ExitCode.DONE if idle else ExitCode.IS_DUE


def _work(
    settings: CreatorSettings, database: Database, departure: Departure, *, once: bool
) -> int:
    register = Register(database, place_here(_state_store(settings)))
    register.enter()
    gone = Event()
    register.keep_beating(gone)
    try:
        loop = build_loop(
            settings, database, departure.stop, holder=register.holder, spread=not once
        )
        log.info("Creator works in %s", settings.data_dir.resolve())
        if once:
            try:
                return ExitCode.DONE if loop.run_once() else ExitCode.WENT_WRONG
            finally:
                loop.close()
        _show(loop.metrics, settings, gone)
        waits = settings.creator_drain == "wait"
        loop.run(
            settings.creator_poll_interval,
            departure.drain,
            waits=waits,
            answered=departure.answered,
        )
        log.info("Creator ends; a terraform that runs goes on")
        return ExitCode.DONE
    finally:
        gone.set()
        # Without a database the row says for a minute more that we are here.
        with suppress(*DATABASE_IS_AWAY):
            register.leave()


def _state_store(settings: CreatorSettings) -> str:
    if settings.s3_access_key_id is None:
        return f"file:{settings.data_dir.resolve()}"
    return f"s3://{settings.s3_states_bucket}"


def build_loop(
    settings: CreatorSettings,
    database: Database,
    stop: Event,
    *,
    home: Path = ROOT,
    holder: str = "",
    spread: bool = False,
) -> Loop:
    """All parts, put together; `home` is the root of the installation as recipes see it. CannotStartError.

    With `spread` checks that were due before the start do not come all at once.
    """
    ground = build_ground(settings, database, stop, home=home)
    return loop_on(ground, settings, holder=holder, spread=spread)


def loop_on(
    ground: Ground, settings: CreatorSettings, *, holder: str = "", spread: bool = False
) -> Loop:
    """The loop on this ground; as `build_loop`."""
    database, stop = ground.database, ground.stop
    deployments = deployments_on(ground)
    leases = Leases(database, holder or Register(database, place_here("")).holder)
    parts = Parts(
        database=database,
        records=deployments.clusters,
        descriptions=deployments.descriptions,
        deployer=deployments.deployer,
        leases=leases,
    )
    pace = Pace(settings.creator_maximum_plan_age, settings.creator_retry_delay)
    turns = Turns(parts, pace=pace, clock=_now, stop=stop)
    watch = Watch(
        database=database,
        outlook=Outlook(
            deployments.clusters,
            deployments.descriptions,
            pace=replace(pace, started_at=_now()) if spread else pace,
            clock=_now,
            guard=guarded,
        ),
        silences=Silences(database),
        leases=leases,
        recipe_checks=RecipeChecks(
            CheckRecords(database, _now),
            ground.storage,
            Bench(ground.engine, ground.commands, ground.data_folder),
            stop,
        ),
        launcher=ground.commands.launcher,
    )
    habits = Habits(
        workers=settings.creator_workers,
        rest=pace.retry_delay,
        maximum_plan_age=pace.maximum_plan_age,
        clock=_now,
        stop=stop,
    )
    return Loop(watch, turns, habits)


def build_ground(
    settings: CreatorSettings,
    database: Database,
    stop: Event,
    *,
    home: Path = ROOT,
    scratch: Path | None = None,
    known: Known | None = None,
) -> Ground:
    """What deployments stand on; `home` as in `build_loop`. CannotStartError.

    With a `scratch` folder nothing is written anywhere else: good for looking, not for deployments.
    Whoever asks for it ends the starter: `ground.commands.launcher.close()`.
    """
    known = known or Known(Launcher())
    data_folder = settings.data_dir.resolve()
    made_in = scratch or data_folder
    # The recipe's programs find the interpreter that has our packages as `python3`.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    user = user_called(settings.terraform_user)
    commands = Commands(known.launcher, this_machine(socket.gethostname()), user)
    engine = Engine(
        arguments=Arguments(
            terraform_executable(settings.terraform, path), settings.creator_lock_time_limit
        ),
        environment={
            **environment(
                path=path,
                home=home_of(user) if user else os.environ.get("HOME", "/"),
                language=os.environ.get("LANG", "C.UTF-8"),
                cli_configuration=cli_configuration(
                    made_in, user, mirror=settings.creator_provider_mirror
                ),
            ),
            # For recipes that start processes of ours.
            "MR_PROBER_HOME": str(home),
            "MR_PROBER_DATA_DIR": str(data_folder),
            "MR_PROBER_ENVIRONMENT": settings.environment,
        },
        step_time_limit=settings.creator_step_time_limit,
    )
    storages = storages_of(settings, hostname=socket.gethostname())
    platform = Platform(
        api_url=settings.api_url,
        fallback_url=settings.fallback_url,
        published_url=storages.published_url,
        server_key=_server_key(settings, scratch, is_sqlite=database.is_sqlite),
        keyring=_keyring(settings, scratch, is_sqlite=database.is_sqlite),
        terraform_version=known.terraform_version or terraform_version(engine, commands, made_in),
    )
    return Ground(
        database=database,
        storage=storages.files,
        platform=platform,
        engine=engine,
        commands=commands,
        states=_states(settings, made_in, user, only_looks=scratch is not None),
        data_folder=data_folder,
        plan_life=settings.creator_plan_life,
        clock=_now,
        stop=stop,
    )


def _show(metrics: Metrics, settings: CreatorSettings, gone: Event) -> None:
    """Answer scrapers and push to Solomon, as far as the settings say so. CannotStartError."""
    if settings.creator_metrics_port:
        try:
            metrics.serve(settings.creator_metrics_port)
        except OSError as error:
            raise CannotStartError(
                f"no metrics on port {settings.creator_metrics_port}: {error}"
            ) from error
    if settings.solomon_url:
        token = settings.solomon_token
        address = classic_address(
            settings.solomon_url,
            project=settings.solomon_project,
            cluster=settings.environment,
            service=settings.solomon_service,
        )
        client = HttpSolomonClient(address, FixedToken(token.get_secret_value() if token else ""))
        SolomonPush(client, metrics.points, {"host": socket.gethostname()}, _now).keep_pushing(gone)


def _states(
    settings: CreatorSettings, made_in: Path, user: User | None, *, only_looks: bool
) -> States:
    """Where terraform's states are: in S3 as soon as both keys are set. CannotStartError."""
    # terraform reads the key of the states, so that key may be one that opens nothing else.
    key_id = settings.s3_states_access_key_id or settings.s3_access_key_id
    secret = settings.s3_states_secret_access_key or settings.s3_secret_access_key
    if key_id is None or secret is None:
        return LocalStates(Workspaces(settings.data_dir.resolve()).states)
    access = S3Access(
        settings.s3_endpoint_url,
        settings.s3_region,
        key_id.get_secret_value(),
        secret.get_secret_value(),
    )
    bucket = settings.s3_states_bucket
    states = S3States(
        access=access,
        bucket=bucket,
        prefix=s3_prefix(settings.environment, socket.gethostname()),
        data_folder=made_in,
        client=s3_client(access),
    )
    try:
        states.write_credentials()
        let_read(states.credentials_file, user)
    except OSError as error:
        raise CannotStartError(f"the data folder cannot be used: {error}") from error
    if not only_looks:
        warn_without_versions(states.client, bucket)
    return states


def _key_file(settings: CreatorSettings, scratch: Path | None, name: str) -> Path:
    """Where a key is, or is made if it is nowhere; one of `scratch` opens nothing, and nothing was closed with any."""
    path = settings.data_dir.resolve() / name
    return path if scratch is None or path.exists() else scratch / name


def _server_key(settings: CreatorSettings, scratch: Path | None, *, is_sqlite: bool) -> bytes:
    key = settings.server_key
    return server_key_of_installation(
        key.get_secret_value() if key else None,
        _key_file(settings, scratch, "server.key"),
        may_make=is_sqlite,
    )


def _keyring(settings: CreatorSettings, scratch: Path | None, *, is_sqlite: bool) -> Keyring:
    keys = settings.encryption_keys
    return keyring_of_installation(
        keys.get_secret_value() if keys else None,
        _key_file(settings, scratch, "encryption.key"),
        may_make=is_sqlite,
    )


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
