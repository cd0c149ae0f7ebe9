"""A terminal that goes away must not stop the demo before it has taken everything down."""

import os
import pty

from rich.console import Console

from demo.terminal import LastingOutput


def test_goes_on_when_nobody_reads_any_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with LastingOutput(os.fdopen(writing, "wb", buffering=0)) as output:
        console = Console(file=output)
        for _ in range(3):
            console.print("Taking everything down")
        with console.status("destroying clusters"):
            output.flush()
        assert output.is_gone


def test_says_what_it_is_told() -> None:
    reading, writing = os.pipe()
    with LastingOutput(os.fdopen(writing, "wb")) as output:
        Console(file=output).print("Page: …")
        assert not output.is_gone
    with os.fdopen(reading) as said:
        assert said.read() == "Page: …\n"


def test_notices_a_closed_terminal_without_writing_to_it() -> None:
    window, terminal = pty.openpty()
    with LastingOutput(os.fdopen(terminal, "wb", buffering=0)) as output:
        assert not output.is_gone
        os.close(window)
        assert output.is_gone
