"""What a person, or with --json a program, reads about a plan and about what came of it."""

import json
from collections.abc import Iterator

from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from tools.console import visible
from tools.synchronize.apply import Applied
from tools.synchronize.plan import Absent, Action, Change, FieldChange, FileChange, Plan, Value
from tools.synchronize.plan_values import change_value, plan_value

_SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.DELETE: "-"}
_STYLES = {"+": "green", "~": "yellow", "-": "red", "@": "cyan"}
HIDDEN = "(hidden)"


def print_plan(console: Console, plan: Plan) -> None:
    """The plan, object by object, and one line that counts."""
    for change in plan.changes:
        for line in lines_of(change):
            console.print(line)
    _print_notes(console, plan)
    console.print(summary_of(plan))


def lines_of(change: Change) -> Iterator[Text]:
    """One object: its title, then its fields and files."""
    yield _signed(_SIGNS[change.action], change.title, style="bold")
    for field in change.fields:
        yield _field_line(change.action, field)
    for file in change.files:
        yield from _file_lines(file)


def summary_of(plan: Plan) -> str:
    """`Plan: 1 to create, 0 to change, 2 to delete.`"""
    if plan.refusals:
        return f"Nothing can be applied: {len(plan.refusals)} in conflict with what is there."
    if not plan.changes:
        return "Nothing to do." if not plan.postponed else "Nothing to do now."
    counts = ", ".join(f"{plan.count(action)} to {action}" for action in Action)
    held = " Nothing is applied before that is settled." if not plan.is_applicable else ""
    return f"Plan: {counts}.{held}"


def print_applied(console: Console, applied: Applied) -> None:
    """What was done and what was not, with the reason, one line each."""
    for change, reason in applied.failed:
        console.print(_signed("!", f"{change.title}: not {change.action}d: {reason}"))
    for text in applied.postponed:
        console.print(_signed("…", f"next run: {text}"))
    if applied.stopped:
        console.print(_signed("!", f"stopped: {applied.stopped}"))
    counts = ", ".join(
        f"{sum(change.action is action for change in applied.done)} {action}d" for action in Action
    )
    left = applied.left
    console.print(f"Applied: {counts}{f', {left} left for the next run' if left else ''}.")


def plan_as_json(plan: Plan) -> str:
    """The plan for programs."""
    return _as_json(plan_value(plan))


def applied_as_json(plan: Plan, applied: Applied | None) -> str:
    """The plan and what came of it (null: nothing was applied)."""
    value: dict[str, JsonValue] = {"plan": plan_value(plan), "applied": None}
    if applied:
        value["applied"] = {
            "done": [_named(change) for change in applied.done],
            "failed": [{**_named(change), "reason": why} for change, why in applied.failed],
            "postponed": list(applied.postponed),
            "stopped": applied.stopped,
            "untried": applied.untried,
            "is_outdated": applied.is_outdated,
        }
    return _as_json(value)


def notes_of(plan: Plan) -> Iterator[tuple[str, str]]:
    """What stands in the way and what waits: sign and text."""
    for text in (*plan.refusals, *plan.guards):
        yield "!", text
    for slug in plan.protected:
        yield (
            "!",
            f"cluster {slug} is protected: apply asks for its name, or takes it from --delete-protected {slug}",
        )
    for text in plan.postponed:
        yield "…", f"later: {text}"


def field_text(action: Action, change: FieldChange) -> str:
    """`settings.interval_seconds: 5.0 → 10.0`"""
    if change.is_hidden:
        return f"{change.field}: {HIDDEN}"
    if action is Action.CREATE:
        return f"{change.field}: {_shown(change.after)}"
    return f"{change.field}: {_shown(change.before)} → {_shown(change.after)}"


def file_sign(change: FileChange) -> str:
    """Whether the file comes, changes or goes."""
    if change.before is None:
        return "+"
    return "~" if change.after else "-"


def file_text(change: FileChange) -> str:
    """`probe.py, mode 0644 → 0755`"""
    before, after = change.before, change.after
    parts = [change.path]
    if before and after and before.mode != after.mode:
        parts.append(f"mode {before.mode} → {after.mode}")
    if before and after and before.sha256 != after.sha256 and not change.diff:
        parts.append(f"{before.size} → {after.size} bytes")
    if after and not before:
        parts.append(f"{after.size} bytes{', executable' if after.mode == '0755' else ''}")
    return ", ".join(parts)


def counted(number: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def _print_notes(console: Console, plan: Plan) -> None:
    for sign, text in notes_of(plan):
        console.print(_signed(sign, text))


def _signed(sign: str, text: str, *, style: str = "") -> Text:
    return Text.assemble((sign, _STYLES.get(sign, "red bold")), " ", (visible(text), style))


def _field_line(action: Action, change: FieldChange) -> Text:
    return Text(visible(f"    {field_text(action, change)}"))


def _file_lines(change: FileChange) -> Iterator[Text]:
    yield Text("    ").append_text(_signed(file_sign(change), file_text(change)))
    for line in change.diff[2:]:  # the path is said already
        yield Text(visible(f"        {line}"), style=_STYLES.get(line[:1], ""))


def _shown(value: Value) -> str:
    return "(none)" if isinstance(value, Absent) else json.dumps(value, ensure_ascii=False)


def _named(change: Change) -> dict[str, JsonValue]:
    whole = change_value(change)
    return {name: whole[name] for name in ("action", "kind", "name")}


def _as_json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
