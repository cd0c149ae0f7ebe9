"""Start of the API: reads the settings, builds what the application needs, listens, and ends gracefully."""

import argparse
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from uvicorn.supervisors import multiprocess

from api.after_restore import settle
from api.application import application_of
from api.background import jobs_of
from api.context import Context
from api.hosts import allowed_hosts
from api.key_rotation import rotate
from api.services.evidence import EvidenceLimits
from api.services.keys import ensure_admin_key, valid_key
from api.services.retention import Policy
from api.services.sign_in import make_link_token
from common.encryption import Keyring, keyring_of_installation
from common.errors import MrProberError
from common.logs import set_up_logging
from common.server_key import server_key_of_installation
from common.storages import storages_of
from database.models import now
from database.schema import require_schema
from database.session import Database
from settings import ApiSettings

log = logging.getLogger(__name__)

_GRACE_SECONDS = 10
_WORKER_SILENT_SECONDS = 30
_KEY_FILE = "encryption.key"
_EXAMPLES = """examples:
  PYTHONPATH=. python api/main.py                            start the API on 127.0.0.1:8080
  MR_PROBER_API_PORT=9000 PYTHONPATH=. python api/main.py    start it on another port
  PYTHONPATH=. python api/main.py --sign-in-link             print a fresh sign-in link and exit
  PYTHONPATH=. python api/main.py rotate-encryption-key      encrypt all sensitive variables with a new key
  PYTHONPATH=. python api/main.py after-restore              once, when the database comes from a backup (docs/backup.md)

All settings are environment variables: api/README.md has their table."""


class StartError(MrProberError):
    """The API cannot start; the text says what to do."""


def main() -> int:
    """Run until SIGTERM or SIGINT; 1 if it cannot start, with one line that says why."""
    arguments = _arguments()
    try:
        settings = ApiSettings()
        set_up_logging(settings.log_level, settings.log_format)
        logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells what it looks at
        if arguments.command == "rotate-encryption-key":
            _say(_rotated(settings))
        elif arguments.command == "after-restore":
            _say(settle(_context(settings).database, now=now()))
        elif arguments.sign_in_link:
            _say(_sign_in_link(_context(settings), settings, _address_of(settings)))
        else:
            _serve(settings)
    except ValidationError as error:
        for mistake in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in mistake["loc"]).upper()
            sys.stderr.write(f"error: MR_PROBER_{name}: {mistake['msg']}\n")
        return 1
    except MrProberError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="The API of Mr. Prober.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=["serve", "rotate-encryption-key", "after-restore"],
        default="serve",
        help="what to do; the two commands may be interrupted and repeated",
    )
    parser.add_argument(
        "--sign-in-link",
        action="store_true",
        help="print a fresh one-time sign-in link for the admin key and exit",
    )
    return parser.parse_args()


class _Server(uvicorn.Server):
    """Answers held requests as soon as the end is asked for; uvicorn would wait for them."""

    def __init__(self, context: Context, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._context = context

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """At SIGTERM or SIGINT."""
        self._context.waiting_room.close()
        super().handle_exit(sig, frame)


def _serve(settings: ApiSettings) -> None:
    _refuse_half_of_tls(settings)
    context = _context(settings)
    listener = _listener(settings)
    address = _address_of(settings, port=listener.getsockname()[1])
    _say(f"Mr. Prober: {address}/")
    _say(f"Sign in: {_sign_in_link(context, settings, address)}")
    log.info("listening on host=%s port=%d", *listener.getsockname()[:2])
    if settings.api_workers > 1:
        context.database.dispose()
        _supervise(settings, listener)
        return
    server = _server(context, settings)
    _answer(context, settings, lambda: server.run(sockets=[listener]))


def _supervise(settings: ApiSettings, listener: socket.socket) -> None:
    """Have several processes answer, and start those anew that die, until SIGTERM or SIGINT."""
    multiprocess.Process = _Worker  # type: ignore[misc]  # uvicorn names no other way to give workers more than an application
    multiprocess.Multiprocess(_config(settings, application=None), sockets=[listener]).run()
    log.info("stopped")


class _Worker(multiprocess.Process):
    """One of several processes: it builds all that it needs by itself."""

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """What the new process does."""
        settings = ApiSettings()
        set_up_logging(settings.log_level, settings.log_format)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        context = _context(settings)
        self._server = _server(context, settings)
        _answer(context, settings, lambda: super(_Worker, self).target(sockets))


def _config(settings: ApiSettings, *, application: FastAPI | None) -> uvicorn.Config:
    return uvicorn.Config(
        application or "",
        workers=settings.api_workers,
        timeout_worker_healthcheck=_WORKER_SILENT_SECONDS,
        access_log=False,  # it would print the token of sign-in links
        log_config=None,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        server_header=False,
        ssl_certfile=settings.api_tls_certificate,
        ssl_keyfile=settings.api_tls_key,
    )


def _server(context: Context, settings: ApiSettings) -> _Server:
    server = _Server(context, _config(settings, application=application_of(context)))
    for number in (signal.SIGTERM, signal.SIGINT):
        # Uvicorn raises its signals once more after its end; this way they are no second death.
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    return server


def _answer(context: Context, settings: ApiSettings, serve: Callable[[], None]) -> None:
    """Answer requests until SIGTERM or SIGINT; then end what is under way, and write what is still to be written."""
    storages = storages_of(settings, hostname=socket.gethostname())
    jobs = jobs_of(context, storages, _retention(settings))
    jobs.start()
    _settle_in()
    serve()
    context.report_writer.flush(time_limit=timedelta(seconds=_GRACE_SECONDS))
    jobs.close()
    context.database.dispose()
    log.info("stopped")


def _settle_in() -> None:
    """Take what lives as long as the process from the garbage collector: it would look it through for ever, at the cost of requests."""
    gc.collect()
    gc.freeze()


def _retention(settings: ApiSettings) -> Policy:
    return Policy(
        deployments=timedelta(days=settings.retention_deployments_days),
        deployments_per_cluster=settings.retention_deployments_per_cluster,
        revisions=timedelta(days=settings.retention_revisions_days),
        revisions_per_parent=settings.retention_revisions_per_parent,
        agents=timedelta(days=settings.retention_agents_days),
        tombstones=timedelta(days=settings.retention_tombstones_days),
        audit=timedelta(days=settings.retention_audit_days),
        files=timedelta(days=settings.retention_files_days),
        evidence=timedelta(days=settings.retention_evidence_days),
    )


def _context(settings: ApiSettings) -> Context:
    database = Database(settings.database_url.get_secret_value())
    server_key = _server_key(settings, is_sqlite=database.is_sqlite)
    require_schema(database)
    storages = storages_of(settings, hostname=socket.gethostname())
    return Context(
        database=database,
        storage=storages.files,
        logs=storages.logs,
        server_key=server_key,
        allowed_hosts=allowed_hosts(_address_of(settings), settings.api_allowed_hosts),
        keyring=_keyring(settings, is_sqlite=database.is_sqlite),
        approver_must_differ=settings.approver_must_differ,
        evidence_limits=EvidenceLimits(
            per_minute=settings.evidence_per_minute, per_cluster=settings.evidence_per_cluster
        ),
    )


def _refuse_half_of_tls(settings: ApiSettings) -> None:
    paths = (settings.api_tls_certificate, settings.api_tls_key)
    if any(paths) and not all(paths):
        raise StartError(
            "MR_PROBER_API_TLS_CERTIFICATE and MR_PROBER_API_TLS_KEY: set both or none"
        )
    for path in filter(None, paths):
        if not path.is_file():
            raise StartError(f"TLS: there is no file {path}")


def _rotated(settings: ApiSettings) -> str:
    context = _context(settings)
    key_file = None if settings.encryption_keys else settings.data_dir / _KEY_FILE
    return rotate(context.database, context.keyring, key_file)


def _keyring(settings: ApiSettings, *, is_sqlite: bool) -> Keyring:
    keys = settings.encryption_keys
    return keyring_of_installation(
        keys.get_secret_value() if keys else None,
        settings.data_dir / _KEY_FILE,
        may_make=is_sqlite,
    )


def _server_key(settings: ApiSettings, *, is_sqlite: bool) -> bytes:
    key = settings.server_key
    return server_key_of_installation(
        key.get_secret_value() if key else None,
        settings.data_dir / "server.key",
        may_make=is_sqlite,
    )


def _sign_in_link(context: Context, settings: ApiSettings, address: str) -> str:
    path: Path = settings.data_dir / "admin.key"
    key_id = ensure_admin_key(context.database, path)
    with context.database.writing() as session:
        if valid_key(session, key_id, now=now()) is None:
            return (
                f"{address}/sign-in (the key in {path} was revoked; remove the file for a new one)"
            )
        return f"{address}/sign-in?token={make_link_token(session, key_id, now=now())}"


def _listener(settings: ApiSettings) -> socket.socket:
    host, port = settings.api_host, settings.api_port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror}:"
            " choose another with MR_PROBER_API_HOST and MR_PROBER_API_PORT"
        ) from error
    return listener


def _address_of(settings: ApiSettings, *, port: int | None = None) -> str:
    if settings.api_url:
        return settings.api_url.rstrip("/")
    host = "127.0.0.1" if settings.api_host in {"", "0.0.0.0", "::"} else settings.api_host  # noqa: S104 - compared, not bound
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.api_tls_certificate else "http"
    return f"{scheme}://{host}:{port or settings.api_port}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
