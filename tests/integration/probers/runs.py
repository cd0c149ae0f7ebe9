"""Types that the tests of probers share: how a run ended, and the fixtures' shapes."""

import socket
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finished:
    """How a run ended."""

    code: int
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """The one line that says why it failed."""
        [line] = self.errors.splitlines()
        return line

    @property
    def metrics(self) -> dict[str, float]:
        """The printed samples."""
        lines = [line.split() for line in self.output.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}


RunProber = Callable[..., Finished]
Address = tuple[str, int]
Conversation = Callable[[socket.socket], None]
ServeTcp = Callable[[Conversation], Address]
ServeUdp = Callable[[Callable[[bytes], list[bytes]]], Address]
InChild = Callable[[], None]
