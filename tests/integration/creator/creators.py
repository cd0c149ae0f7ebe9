"""Creators as processes of their own."""

from sys import executable

from common.processes import PIPE, Process, start
from creator.main import ROOT
from tests.integration.creator.installation import Installation


class Creators:
    """Starts Creators and ends those that are left."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._started: list[Process] = []

    def start(self, *options: str, **environment: str) -> Process:
        """One more."""
        given = self._installation.environment() | environment
        process = start(
            [executable, str(ROOT / "creator/main.py"), *options],
            environment={name: value for name, value in given.items() if value},
            cwd=self._installation.data_folder.parent,
            stdout=PIPE,
            stderr=PIPE,
        )
        self._started.append(process)
        return process

    def ran(self, *options: str, **environment: str) -> tuple[int, str, str]:
        """One that ends by itself: exit code, stdout, stderr. An empty value takes a variable away."""
        process = self.start(*options, **environment)
        said, complained = process.communicate(timeout=60)
        return process.returncode, said.decode(), complained.decode()

    def end(self) -> None:
        """None stays."""
        for process in self._started:
            process.kill()
            process.communicate()
