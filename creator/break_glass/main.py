"""Break glass: what an operator may have to do by hand, on Creator's host and with its settings."""

import argparse
import getpass
import json
import logging
import os
import socket
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Event

from pydantic import ValidationError

from common.errors import MrProberError
from common.logs import set_up_logging
from creator.break_glass.tools import BreakGlass, ShownState
from creator.deployment.assembly import deployments_on
from creator.leases import Leases
from creator.main import build_ground
from database.schema import require_schema
from database.session import Database
from settings import CreatorSettings

_EXAMPLES = """\
examples:
  creator/break_glass/main.py show demo                       the state, without secrets, and who locks it
  creator/break_glass/main.py show demo --json                the same for programs
  creator/break_glass/main.py unlock demo --lock-id 4f2c…     free a lock whose holder is gone for good
  creator/break_glass/main.py replace demo 'vm.host["a"]'     have a sick machine made anew, through gates and policy
  creator/break_glass/main.py forget-state demo               its state is lost, and nothing of it exists any more

exit codes: 0 done, 1 nothing was done: the message says why, 64 wrong usage

Run it as Creator's user with Creator's settings. Every command leaves an entry in the audit log with your name.
"""


def main(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    options = _options(arguments)
    try:
        settings = CreatorSettings()
    except ValidationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - it talks to a person
        return 1
    set_up_logging("WARNING", settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    database = Database(settings.database_url.get_secret_value())
    try:
        require_schema(database)
        ground = build_ground(settings, database, Event())
        try:
            operator = operator_called(os.environ.get("SUDO_USER", ""), getpass.getuser())
            leases = Leases(
                database, f"{operator} on {socket.gethostname()} at {datetime.now(UTC)}"
            )
            tools = BreakGlass(ground, deployments_on(ground), leases, operator)
            _run(tools, options)
        finally:
            ground.commands.launcher.close()
    except MrProberError as error:
        print(f"{error}", file=sys.stderr)  # noqa: T201 - it talks to a person
        return 1
    finally:
        database.dispose()
    return 0


def operator_called(sudo_user: str, user: str) -> str:
    """The person behind sudo, as the audit log names people of the operating system."""
    return f"os:{sudo_user or user}"


def _run(tools: BreakGlass, options: argparse.Namespace) -> None:
    if options.command == "show":
        _print_state(tools.show(options.cluster), as_json=options.json)
    elif options.command == "unlock":
        lock = tools.unlock(options.cluster, options.lock_id)
        said = f"freed the lock {lock.id} of {lock.who}, {lock.operation}, since {lock.created}"
        _print({"freed": lock.model_dump()} if options.json else said)
    elif options.command == "forget-state":
        tools.forget_state(options.cluster)
        said = f"the next deployment of {options.cluster} makes everything anew"
        _print({"cluster": options.cluster} if options.json else said)
    else:
        tools.replace(options.cluster, options.address)
        said = f"the next deployment of {options.cluster} makes {options.address} anew"
        asked = {"cluster": options.cluster, "replace": options.address}
        _print(asked if options.json else said)


def _print_state(state: ShownState, *, as_json: bool) -> None:
    if as_json:
        lock = state.lock.model_dump() if state.lock else None
        _print(asdict(state) | {"lock": lock})
        return
    holder = f"locked by {state.lock.who} (lock {state.lock.id})" if state.lock else "not locked"
    _print(f"state of {state.cluster}: {state.state_key}, {holder}\n\n{state.text}")


def _print(what: object) -> None:
    print(what if isinstance(what, str) else json.dumps(what, indent=1))  # noqa: T201 - what was asked for


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="creator/break_glass/main.py",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="show the state without secrets")
    unlock = commands.add_parser("unlock", help="free a lock whose holder is gone for good")
    replace = commands.add_parser("replace", help="have the next deployment make a resource anew")
    forget = commands.add_parser(
        "forget-state", help="say that a lost state names nothing that still exists"
    )
    for command in (show, unlock, replace, forget):
        command.add_argument("cluster", metavar="CLUSTER", help="its slug")
        command.add_argument("--json", action="store_true", help="answer as JSON")
    unlock.add_argument("--lock-id", required=True, metavar="ID", help="as `show` tells it")
    replace.add_argument("address", metavar="ADDRESS", help="in the state, as `show` tells it")
    try:
        return parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        parser.print_usage(sys.stderr)
        parser.exit(64, f"{parser.prog}: {error}\n")
    except SystemExit as end:
        sys.exit(64 if end.code == 2 else end.code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
