"""Creator: keeps every cluster equal to its description by terraform. Reads the settings, builds the parts, runs the loop."""

import argparse
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from pydantic import ValidationError

from common.encryption import Keyring, keyring_of_installation
from common.errors import MrProberError
from common.logs import set_up_logging
from common.server_key import server_key_of_installation
from common.storages import storages_of
from creator.check_records import CheckRecords
from creator.deployment.deployer import Deployer, Engine
from creator.deployment.descriptions import Descriptions, Platform
from creator.deployment.records import Records
from creator.deployment.terraform import Arguments, environment
from creator.deployment.workspaces import Workspaces
from creator.errors import AnotherCreatorError, CannotStartError
from creator.installation import (
    cli_configuration,
    terraform_executable,
    terraform_version,
)
from creator.loop import Loop, Parts
from creator.planner import Pace
from creator.recipe_checks import RecipeChecks
from creator.recovery import Recovery
from database.schema import require_schema
from database.session import Database
from settings import CreatorSettings

ROOT = Path(__file__).resolve().parent.parent

log = logging.getLogger("creator")


def main(arguments: list[str]) -> int:
    """Run until a signal comes, or for one pass; 0 = done, 1 = cannot start, or a deployment of that pass failed."""
    parser = argparse.ArgumentParser(prog="creator/main.py", description=__doc__)
    parser.add_argument(
        "--once", action="store_true", help="make one pass over what is due and exit"
    )
    options = parser.parse_args(arguments)
    try:
        settings = CreatorSettings()
    except ValidationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - nothing is set up yet
        return 1
    set_up_logging(settings.log_level, settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with only_creator(settings.data_dir.resolve()):
            return _run(settings, stop, once=options.once)
    except MrProberError as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence for the operator, no traceback
        return 1


@contextmanager
def only_creator(data_folder: Path) -> Iterator[None]:
    """Hold the lock of the data folder; the kernel frees it however we end. CannotStartError."""
    try:
        data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_folder / "creator.lock").open("w")
    except OSError as error:
        raise CannotStartError(f"the data folder cannot be used: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherCreatorError(data_folder) from None
        yield


def build_loop(
    settings: CreatorSettings, database: Database, stop: Event, *, home: Path = ROOT
) -> Loop:
    """All parts, put together; `home` is the root of the installation as recipes see it. CannotStartError."""
    data_folder = settings.data_dir.resolve()
    # The recipe's programs find the interpreter that has our packages as `python3`.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    engine = Engine(
        arguments=Arguments(terraform_executable(settings.terraform, path)),
        environment={
            **environment(
                path=path,
                home=os.environ.get("HOME", "/"),
                language=os.environ.get("LANG", "C.UTF-8"),
                cli_configuration=cli_configuration(data_folder),
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
        server_key=_server_key(settings, is_sqlite=database.is_sqlite),
        keyring=_keyring(settings, is_sqlite=database.is_sqlite),
        terraform_version=terraform_version(engine, data_folder),
    )
    records = Records(database, _now)
    workspaces = Workspaces(data_folder)
    storage = storages.files
    descriptions = Descriptions(records, storage, workspaces, platform)
    parts = Parts(
        records=records,
        descriptions=descriptions,
        deployer=Deployer(records, descriptions, workspaces, engine, stop),
        recovery=Recovery(
            records, workspaces, _now, step_time_limit=settings.creator_step_time_limit
        ),
        recipe_checks=RecipeChecks(
            CheckRecords(database, _now), storage, engine, data_folder, stop
        ),
    )
    pace = Pace(settings.creator_maximum_plan_age, settings.creator_retry_delay)
    return Loop(parts, pace=pace, clock=_now, stop=stop)


def _run(settings: CreatorSettings, stop: Event, *, once: bool) -> int:
    database = Database(settings.database_url.get_secret_value())
    try:
        require_schema(database)
        loop = build_loop(settings, database, stop)
        log.info("Creator works in %s", settings.data_dir.resolve())
        if once:
            well = loop.run_once()
            loop.close()
            return 0 if well else 1
        loop.run(settings.creator_poll_interval)
        log.info("Creator ends; a terraform that runs goes on")
        return 0
    finally:
        database.dispose()


def _server_key(settings: CreatorSettings, *, is_sqlite: bool) -> bytes:
    key = settings.server_key
    return server_key_of_installation(
        key.get_secret_value() if key else None,
        settings.data_dir.resolve() / "server.key",
        may_make=is_sqlite,
    )


def _keyring(settings: CreatorSettings, *, is_sqlite: bool) -> Keyring:
    keys = settings.encryption_keys
    return keyring_of_installation(
        keys.get_secret_value() if keys else None,
        settings.data_dir.resolve() / "encryption.key",
        may_make=is_sqlite,
    )


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
