"""Scenes of synchronize: a plan, a plan that is refused, what an apply says."""

from rich.console import Console

from common.contracts.files import FileReference
from tools.pictures.prompt import typed
from tools.synchronize.apply import Applied
from tools.synchronize.file_differences import unified_diff
from tools.synchronize.plan import ABSENT, Action, Change, FieldChange, FileChange, Kind, Plan
from tools.synchronize.report import print_applied, print_plan

_PATH = "tcp_connect.py"
_OLD = b'import os\nimport socket\n\nRETRIES = 0\nTARGET = os.environ["VAR_TARGET"]\n'
_NEW = _OLD.replace(b"RETRIES = 0", b"RETRIES = 1")
_CHANGES = (
    Change(
        Action.CHANGE, Kind.VARIABLE, ("mesh-a", "hosts"), (FieldChange("value", 3, 4),), etag="-"
    ),
    Change(
        Action.CHANGE,
        Kind.VARIABLE,
        ("mesh-a", "api_token"),
        (FieldChange("value", "", "", is_hidden=True),),
    ),
    Change(
        Action.CHANGE,
        Kind.PROBER_REVISION,
        ("tcp-connect",),
        files=(
            FileChange(
                _PATH,
                FileReference(path=_PATH, mode="0644", sha256="0" * 64, size=len(_OLD)),
                FileReference(path=_PATH, mode="0644", sha256="1" * 64, size=len(_NEW)),
                unified_diff(_PATH, _OLD, _NEW),
            ),
        ),
    ),
    Change(
        Action.CREATE,
        Kind.CONFIG,
        ("tcp-connect", "edge"),
        (
            FieldChange("clusters", ABSENT, ["edge-*"]),
            FieldChange("settings.interval_seconds", ABSENT, 5.0),
        ),
    ),
    Change(
        Action.CHANGE,
        Kind.CONFIG,
        ("tcp-connect", "targets"),
        (FieldChange("settings.interval_seconds", 5.0, 10.0),),
    ),
    Change(Action.DELETE, Kind.PROBER, ("old-ping",)),
)


def plan(console: Console) -> None:
    """What would change."""
    typed(console, "yc-mr-prober-synchronize")
    print_plan(console, Plan(_CHANGES))


def refused(console: Console) -> None:
    """A plan that does too much, and one that meets the work of others."""
    typed(console, "yc-mr-prober-synchronize --environment prod")
    deleted = tuple(
        Change(Action.DELETE, Kind.CLUSTER, (f"mesh-{letter}",)) for letter in "abcdefgh"
    )
    print_plan(
        console,
        Plan(
            deleted,
            guards=(
                "8 of 20 clusters would be deleted, more than 30 %: if that is meant, use --force",
            ),
            protected=("mesh-a",),
        ),
    )


def applied(console: Console) -> None:
    """Somebody was faster with one object; the rest is done."""
    typed(console, "yc-mr-prober-synchronize apply")
    print_plan(console, Plan(_CHANGES[2:]))
    result = Applied(done=[*_CHANGES[2:4], _CHANGES[5]])
    result.failed = [(_CHANGES[4], "changed meanwhile: plan again")]
    print_applied(console, result)
