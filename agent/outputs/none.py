"""`output: none`: whatever the prober prints is for people. Pure."""

from collections.abc import Iterable

from agent.outputs.printed import Bounds, Printed


def no_samples(lines: Iterable[str], bounds: Bounds) -> Printed:
    """Nothing."""
    del lines, bounds
    return Printed()
