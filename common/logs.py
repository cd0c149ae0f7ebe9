"""How every service logs: one line per event on stderr."""

import logging


def set_up_logging(level: str) -> None:
    """Log from this level up: time, level, module, text."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
