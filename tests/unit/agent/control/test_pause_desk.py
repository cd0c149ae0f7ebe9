"""Pauses on their way: one of each prober, a bound on all, and a full disk that silences nobody's wish."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.control.desk import Desk
from agent.control.messages import RefusedError
from agent.control.pause_desk import PauseDesk
from agent.pauses import PauseFile
from common.contracts.control import Pause, PauseWanted
from common.contracts.reports import MAX_PAUSES, AgentReport


class FakeWindow:
    """As much of the loop as pauses need."""

    def __init__(self) -> None:
        self.held: tuple[Pause, ...] = ()

    def pauses(self) -> tuple[Pause, ...]:
        return self.held

    def keep_pauses(self, pauses: Any) -> None:
        self.held = tuple(pauses)


def pause_desk(window: FakeWindow, folder: Path) -> PauseDesk:
    desk: Desk[Any] = Desk(lambda: desk.serve(window))
    return PauseDesk(desk, PauseFile(folder))


def wanted(prober: str | None = "tcp", **fields: Any) -> PauseWanted:
    return PauseWanted.model_validate({"prober": prober, "seconds": 60, "why": "moving", **fields})


def test_a_pause_is_kept_on_disk_and_told_to_the_loop(tmp_path: Path) -> None:
    window = FakeWindow()
    made = pause_desk(window, tmp_path).pause(wanted(), "root")
    assert window.held == (made,) == tuple(PauseFile(tmp_path).pauses())
    assert (made.who, made.why) == ("root", "moving")
    assert 59 < (made.until - datetime.now(UTC)).total_seconds() <= 60


def test_says_who_it_is_for_people_and_who_it_was_for_the_kernel(tmp_path: Path) -> None:
    desk = pause_desk(FakeWindow(), tmp_path)
    assert desk.pause(wanted(who="ann"), "root").who == "ann (root)"
    assert desk.pause(wanted(who="ann"), "ann").who == "ann"


@pytest.mark.parametrize(
    ("claimed", "user", "shown"),
    [
        ("x" * 100, "root", "x" * 93 + " (root)"),
        ("", "u" * 300, "u" * 100),
        ("Ann", "u" * 300, " (" + "u" * 98),
    ],
)
def test_no_name_is_too_long_for_a_report(
    tmp_path: Path, claimed: str, user: str, shown: str
) -> None:
    pause = pause_desk(FakeWindow(), tmp_path).pause(wanted(who=claimed), user)
    assert pause.who == shown
    report = {
        "instance": "00000000-0000-0000-0000-000000000001",
        "boot": 1,
        "host": "a",
        "version": "1",
        "clock": pause.since,
        "pauses": [pause.model_dump(exclude={"prober"})],
    }
    AgentReport.model_validate(report)


def test_on_a_full_disk_it_holds_until_the_next_restart(tmp_path: Path) -> None:
    window = FakeWindow()
    made = pause_desk(window, tmp_path / "is not there").pause(wanted(), "root")
    assert window.held == (made,)


def test_too_many_are_refused_but_one_may_be_renewed(tmp_path: Path) -> None:
    window = FakeWindow()
    desk = pause_desk(window, tmp_path)
    held = desk.pause(wanted(), "root")
    window.held = (
        held,
        *(held.model_copy(update={"prober": f"p-{n}"}) for n in range(MAX_PAUSES - 1)),
    )
    desk.pause(wanted(), "root")
    with pytest.raises(RefusedError, match="pause all probers") as refused:
        desk.pause(wanted("dns"), "root")
    assert refused.value.status == 409


def test_ends_one_of_a_prober_and_leaves_that_of_all(tmp_path: Path) -> None:
    desk = pause_desk(FakeWindow(), tmp_path)
    every = desk.pause(wanted(None), "root")
    desk.pause(wanted(), "root")
    assert desk.resume("tcp", "root") == (every,)
    with pytest.raises(RefusedError, match="no pause of its own"):
        desk.resume("tcp", "root")
