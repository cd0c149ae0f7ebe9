"""`make demo`: the whole product on this machine, from nothing to a grid of real results, until Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from common.errors import MrProberError
from common.logs import set_up_logging
from demo.demonstration import Demonstration, Plan
from demo.services import Folders, Ports, common_environment
from demo.terminal import LastingOutput
from settings import DemoSettings

_PROJECT = Path(__file__).resolve().parents[1]
_EXAMPLES = """\
examples:
  make demo
  MR_PROBER_API_PORT=9000 make demo            the page on another port
  MR_PROBER_DEMO_DIR=/tmp/demo make demo       another folder for all that it writes
"""


def main() -> int:
    """Run the demo; the exit status is 0 if everything went up and came down again."""
    argparse.ArgumentParser(
        prog="make demo",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    try:
        settings = DemoSettings()
    except ValidationError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    set_up_logging("WARNING")
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        Demonstration(_plan(settings), LastingOutput(sys.stdout.buffer), stopping).run()
    except MrProberError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    return 0


def _plan(settings: DemoSettings) -> Plan:
    folders = Folders(
        project=_PROJECT,
        demo=settings.demo_dir.resolve(),
        configs=settings.demo_configs.resolve(),
    )
    ports = Ports(
        api=settings.api_port,
        solomon=settings.solomon_stand_in_port,
        tcp_target=settings.demo_tcp_port,
        http_target=settings.demo_http_port,
        dns_target=settings.demo_dns_port,
    )
    environment = common_environment(
        folders,
        ports,
        path=os.environ.get("PATH", os.defpath),
        home=os.environ.get("HOME", "/"),
    )
    return Plan(folders, ports, environment)


if __name__ == "__main__":
    sys.exit(main())
