"""What a person or a program reads."""

import io
import json

import pytest

from common.contracts.files import FileUpload
from tools.console import console_of
from tools.synchronize.apply import Applied
from tools.synchronize.plan import ABSENT, Action, Change, FieldChange, FileChange, Kind, Plan
from tools.synchronize.report import plan_as_json, print_applied, print_plan

OLD = FileUpload.of("probe.py", b"one\n").reference()
NEW = FileUpload.of("probe.py", b"two", executable=True).reference()
PLAN = Plan(
    changes=(
        Change(Action.CREATE, Kind.CLUSTER, ("demo",), (FieldChange("recipe", ABSENT, "vms"),)),
        Change(
            Action.CHANGE, Kind.PROBER, ("ping",),
            (FieldChange("defaults.mode", "run", None), FieldChange("defaults.variables.x", [1], ABSENT)),
        ),
        Change(
            Action.CHANGE, Kind.PROBER_REVISION, ("ping",),
            files=(
                FileChange("[bold]new.py", None, NEW),
                FileChange("probe.py", OLD, NEW, ("--- a/probe.py", "+++ b/probe.py", "@@ -1 +1 @@", "-one", "+two")),
                FileChange("old.bin", OLD, None),
                FileChange("picture.png", OLD, NEW),
            ),
        ),
        Change(Action.DELETE, Kind.CONFIG, ("ping", "all")),
    ),
    postponed=("cluster mesh is still being deleted; run again when it is gone",),
)  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(value: Plan | Applied, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    console = console_of(stream, width=20)
    if isinstance(value, Plan):
        print_plan(console, value)
    else:
        print_applied(console, value)
    return stream.getvalue()


def test_a_plan_is_plain_text_when_piped() -> None:
    assert (
        printed(PLAN)
        == """\
+ cluster demo
    recipe: "vms"
~ prober ping
    defaults.mode: "run" → null
    defaults.variables.x: [1] → (none)
~ prober revision ping
    + [bold]new.py, 3 bytes, executable
    ~ probe.py, mode 0644 → 0755
        @@ -1 +1 @@
        -one
        +two
    - old.bin
    ~ picture.png, mode 0644 → 0755, 4 → 3 bytes
- config ping/all
… later: cluster mesh is still being deleted; run again when it is gone
Plan: 1 to create, 2 to change, 1 to delete.
"""
    )


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m+" in printed(PLAN, Terminal())


def test_nothing_to_do_is_one_line() -> None:
    assert printed(Plan()) == "Nothing to do.\n"
    assert printed(Plan(postponed=("x",))) == "… later: x\nNothing to do now.\n"


def test_a_conflict_says_that_nothing_will_happen() -> None:
    text = printed(Plan(changes=PLAN.changes[:1], refusals=("recipe vms exists already",)))
    assert "! recipe vms exists already\n" in text
    assert text.endswith("Nothing can be applied: 1 in conflict with what is there.\n")


def test_control_characters_of_others_reach_no_terminal() -> None:
    change = Change(
        Action.CHANGE, Kind.PROBER_REVISION, ("p",),
        files=(FileChange("a", OLD, NEW, ("---", "+++", "+\x1b]0;evil\x07\x1b[2J\rx")),),
    )  # fmt: skip
    text = printed(Plan(changes=(change,)))
    assert not any(letter in text for letter in "\x1b\x07\r")


def test_what_was_not_done_is_one_line_each() -> None:
    create, change, _, delete = PLAN.changes
    applied = Applied(
        done=[create],
        failed=[(change, "not permitted"), (delete, "not today")],
        postponed=["recipe vms is still in use"],
        stopped="the API went away",
        untried=2,
    )
    assert (
        printed(applied)
        == """\
! prober ping: not changed: not permitted
! config ping/all: not deleted: not today
… next run: recipe vms is still in use
! stopped: the API went away
Applied: 1 created, 0 changed, 0 deleted, 5 left for the next run.
"""
    )


def test_programs_get_json() -> None:
    plan = json.loads(plan_as_json(PLAN))
    assert plan["summary"] == {"create": 1, "change": 2, "delete": 1}
    assert plan["postponed"] == list(PLAN.postponed)
    assert plan["refusals"] == []
    assert plan["changes"][0] == {
        "action": "create",
        "kind": "cluster",
        "name": "demo",
        "etag": "",
        "fields": [{"field": "recipe", "after": "vms"}],
        "files": [],
    }
    assert plan["changes"][1]["fields"] == [
        {"field": "defaults.mode", "before": "run", "after": None},
        {"field": "defaults.variables.x", "before": [1]},
    ]
    revision = plan["changes"][2]["files"]
    assert [(file["path"], "before" in file, "after" in file) for file in revision] == [
        ("[bold]new.py", False, True),
        ("probe.py", True, True),
        ("old.bin", True, False),
        ("picture.png", True, True),
    ]
    assert revision[1]["diff"].splitlines()[-2:] == ["-one", "+two"]
