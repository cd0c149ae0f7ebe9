"""What real programs print, good and bad, through pipes: the good lines count whatever stands between them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from agent.plan import RunKey, RunSpec
from agent.results import RunResult
from agent.running.wiper import Wiper
from common.contracts.states import Outcome
from tests.integration.agent.one_run import results_of


@pytest.fixture
def wiper() -> Iterator[Wiper]:
    made = Wiper()
    yield made
    made.close(time_limit_seconds=10)


def printed_by(folder: Path, wiper: Wiper, program: str, output: str = "prometheus") -> RunResult:
    spec = RunSpec(
        key=RunKey(UUID(int=1), "{}"),
        prober_slug="printing",
        labels={"target": "a"},
        arguments=("python3", "-c", f"import os, sys, time\nsay = sys.stdout.write\n{program}"),
        environment={},
        folder=folder,
        interval=timedelta(seconds=60),
        time_limit=timedelta(seconds=5),
        grace=timedelta(seconds=0.1),
        output=output,
    )
    (result,) = results_of(spec, folder / "temporary", wiper)
    return result


@pytest.mark.parametrize(
    ("bad", "count"),
    [
        ("say('x' * 10_000_000 + '\\n')", 1),
        ("say('nan NaN\\n')", 1),
        ("say('a\\0b 1\\n')", 1),
        ("sys.stdout.flush(); os.write(1, b'\\xff\\xfe 1\\n')", 1),
        ("say('rtt{target=\"b\"} 1\\n')", 1),
        ("say('mr_prober_runs 1\\n' * 2)", 2),
    ],
)
@pytest.mark.parametrize("output", ["prometheus", "nagios"])
def test_bad_lines_are_counted_and_drop_no_good_one(
    tmp_path: Path, wiper: Wiper, bad: str, count: int, output: str
) -> None:
    first, last = {
        "prometheus": ("first 1\\n", "last 2\\n"),
        "nagios": ("OK\\ntext | first=1\\n", "last=2\\n"),
    }[output]
    result = printed_by(tmp_path, wiper, f"say('{first}')\n{bad}\nsay('{last}')", output)
    assert result.verdict.outcome is Outcome.SUCCESS
    assert [sample.value for sample in result.printed.samples][
        :: len(result.printed.samples) - 1
    ] == [1, 2]
    if output == "prometheus":
        assert result.printed.bad_lines == count
        assert result.printed.first_problem


def test_a_program_that_is_killed_in_the_middle_of_a_line_leaves_no_wrong_number(
    tmp_path: Path, wiper: Wiper
) -> None:
    result = printed_by(
        tmp_path, wiper, "say('whole 1\\nhalf 12'); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )
    assert result.verdict.outcome is Outcome.BROKEN
    assert [sample.name for sample in result.printed.samples] == ["whole"]
    assert result.printed.bad_lines == 1
