"""Start of the Solomon stand-in: reads the settings, opens the file of the series, listens, ends on SIGTERM."""

import argparse
import ipaddress
import logging
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn
from pydantic import ValidationError

from settings import SolomonStandInSettings
from solomon_stand_in.app import application
from solomon_stand_in.errors import StoreError
from solomon_stand_in.store import Store

log = logging.getLogger("solomon_stand_in")

_DESCRIPTION = (
    "Stand-in for Solomon, for development: not Solomon."
    " It takes pushes of the classic and the cloud dialect, keeps the series in an SQLite file and shows them on a page."
    " Its settings are environment variables; solomon_stand_in/README.md lists them."
)


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    argparse.ArgumentParser(description=_DESCRIPTION).parse_args()
    # uvicorn stops gracefully and then raises the signal again: that is the normal end.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    settings = _settings()
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    token = settings.solomon_token.get_secret_value() if settings.solomon_token else None
    host = settings.solomon_stand_in_host
    if not _is_loopback(host) and token is None:
        _fail(
            f"{host} is not a loopback address: set MR_PROBER_SOLOMON_TOKEN, or listen on 127.0.0.1"
        )
    listener = _listener(host, settings.solomon_stand_in_port)
    try:
        store = Store(settings.solomon_stand_in_database)
    except StoreError as error:
        _fail(str(error))
    page_token = None if _is_loopback(host) else token
    app = application(
        store,
        token=token,
        page_token=page_token,
        token_lifetime=settings.solomon_stand_in_token_lifetime,
    )
    log.info("listening url=http://%s:%d/", host, listener.getsockname()[1])
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        store.close()


def _settings() -> SolomonStandInSettings:
    try:
        return SolomonStandInSettings()
    except ValidationError as error:
        mistakes = (
            f"MR_PROBER_{'.'.join(map(str, mistake['loc']))}".upper() + f": {mistake['msg']}"
            for mistake in error.errors()
        )
        _fail("wrong settings: " + "; ".join(mistakes))


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        _fail(
            f"cannot listen on {host}:{port}: {error.strerror or error};"
            " MR_PROBER_SOLOMON_STAND_IN_PORT names another port"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fail(reason: str) -> NoReturn:
    sys.stderr.write(f"solomon stand-in: {reason}\n")
    sys.exit(1)


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
