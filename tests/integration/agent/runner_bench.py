"""A runner with a loop of its own, for tests of real programs; nothing of them is left when it is closed."""

import contextlib
import ctypes
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psutil

from agent.clocks import boot_ns
from agent.plan import RunKey, RunSpec
from agent.results import RunResult
from agent.running.kernel import adopt_orphans
from agent.running.launchers import Workplace
from agent.running.runner import Runner
from agent.running.users import Users
from agent.running.wiper import Wiper
from tests.changing_folders import paths_below

PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"


class Bench:
    """A runner with a loop of its own that stops as soon as a condition holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "files"
        self.temporary = folder / "temporary"
        self.folder.mkdir()
        self.temporary.mkdir()
        self.results: list[RunResult] = []
        self.ended: list[RunKey] = []
        self.selector = selectors.DefaultSelector()
        self.wiper = Wiper()
        # By so much the clock of this runner is before that of the launchers.
        self.ahead_ns = 0
        self.runner = Runner(
            self.selector,
            Workplace(self.temporary, PATH, Users(), self.wiper),
            on_result=self.results.append,
            on_end=self.ended.append,
            clock_ns=self.now_ns,
        )

    def now_ns(self) -> int:
        return boot_ns() + self.ahead_ns

    def spec(self, *arguments: str, **changed: object) -> RunSpec:
        values: dict[str, object] = {
            "key": RunKey(UUID(int=1), "{}"),
            "prober_slug": "tested",
            "labels": {},
            "arguments": arguments,
            "environment": {"MR_PROBER_HOST": "h1", "VAR_PORT": "80"},
            "folder": self.folder,
            "interval": timedelta(seconds=60),
            "time_limit": timedelta(seconds=10),
            "grace": timedelta(seconds=0.1),
            "output": "none",
        }
        return RunSpec(**(values | changed))  # type: ignore[arg-type]

    def shell(self, script: str, **changed: object) -> RunSpec:
        return self.spec("sh", "-c", script, **changed)

    def left_files(self) -> list[Path]:
        return paths_below(self.temporary, "*/*/*")

    def run(self, spec: RunSpec) -> RunResult:
        """The result of one run."""
        self.runner.start(spec, self.now_ns())
        self.turn_until(lambda: self.results)
        return self.results.pop()

    def warm_up(self, spec: RunSpec) -> None:
        """Run until a warm parent has forked such a run."""
        end = time.monotonic() + 60
        while not self.runner.warm.is_warm(spec):
            reason = self.runner.warm.reason(spec)
            assert not reason
            assert time.monotonic() < end, "no warm parent has come"
            self.run(spec)

    def turn_until(self, condition: Callable[[], object], *, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition never came true"
            for key, _ in self.selector.select(0.01):
                key.data(self.now_ns())
            self.runner.tick(self.now_ns())


@contextlib.contextmanager
def opened_bench(folder: Path) -> Iterator[Bench]:
    """A bench that must leave neither processes nor files behind."""
    before = set(psutil.Process().children(recursive=True))
    adopt_orphans()
    made = Bench(folder)
    yield made
    made.runner.end_all(made.now_ns())
    made.turn_until(lambda: not made.runner.in_progress)
    made.runner.close()
    made.turn_until(lambda: not made.runner.sweep())
    made.wiper.close(time_limit_seconds=10)
    made.selector.close()
    # No sub-reaper any more: other tests run in this process, too.
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)
    assert set(psutil.Process().children(recursive=True)) <= before
    assert not list(made.temporary.iterdir())
