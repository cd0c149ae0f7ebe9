"""The installed commands: a Ctrl-C while modules are still being loaded ends them without a traceback."""

import signal


def agent() -> None:
    """`yc-mr-prober-agent`."""
    _end_quietly()
    from tools.agent.main import main  # noqa: PLC0415 - loading takes the longest

    main()


def meeseeks() -> None:
    """`yc-mr-prober-meeseeks`."""
    _end_quietly()
    from tools.meeseeks.main import main  # noqa: PLC0415

    main()


def synchronize() -> None:
    """`yc-mr-prober-synchronize`."""
    _end_quietly()
    from tools.synchronize.main import main  # noqa: PLC0415

    main()


def _end_quietly() -> None:
    """Until `command_line.main` takes over; who ignores the signal (a job in the background) goes on ignoring it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
