"""What a person, or with --json a program, reads about a plan and about what came of it."""

import json
from collections.abc import Iterator

from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from tools.console import visible
from tools.synchronize.apply import Applied
from tools.synchronize.plan import Absent, Action, Change, FieldChange, FileChange, Plan, Value

_SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.DELETE: "-"}
_STYLES = {"+": "green", "~": "yellow", "-": "red", "@": "cyan"}


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
    return f"Plan: {counts}."


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
    """The plan for programs; `before` and `after` are left out where there is no value."""
    return json.dumps(
        {
            "changes": [_change_value(change) for change in plan.changes],
            "postponed": list(plan.postponed),
            "refusals": list(plan.refusals),
            "summary": {action.value: plan.count(action) for action in Action},
        },
        ensure_ascii=False,
        indent=2,
    )


def _print_notes(console: Console, plan: Plan) -> None:
    for text in plan.refusals:
        console.print(_signed("!", text))
    for text in plan.postponed:
        console.print(_signed("…", f"later: {text}"))


def _signed(sign: str, text: str, *, style: str = "") -> Text:
    return Text.assemble((sign, _STYLES.get(sign, "red bold")), " ", (visible(text), style))


def _field_line(action: Action, change: FieldChange) -> Text:
    if action is Action.CREATE:
        return Text(visible(f"    {change.field}: {_shown(change.after)}"))
    return Text(visible(f"    {change.field}: {_shown(change.before)} → {_shown(change.after)}"))


def _file_lines(change: FileChange) -> Iterator[Text]:
    yield Text("    ").append_text(_signed(_file_sign(change), _file_text(change)))
    for line in change.diff[2:]:  # the path is said already
        yield Text(visible(f"        {line}"), style=_STYLES.get(line[:1], ""))


def _file_sign(change: FileChange) -> str:
    if change.before is None:
        return "+"
    return "~" if change.after else "-"


def _file_text(change: FileChange) -> str:
    before, after = change.before, change.after
    parts = [change.path]
    if before and after and before.mode != after.mode:
        parts.append(f"mode {before.mode} → {after.mode}")
    if before and after and before.sha256 != after.sha256 and not change.diff:
        parts.append(f"{before.size} → {after.size} bytes")
    if after and not before:
        parts.append(f"{after.size} bytes{', executable' if after.mode == '0755' else ''}")
    return ", ".join(parts)


def _shown(value: Value) -> str:
    return "(none)" if isinstance(value, Absent) else json.dumps(value, ensure_ascii=False)


def _change_value(change: Change) -> JsonValue:
    return {
        "action": change.action.value,
        "kind": change.kind.value,
        "name": "/".join(change.name),
        "etag": change.etag,
        "fields": [_field_value(field) for field in change.fields],
        "files": [_file_value(file) for file in change.files],
    }


def _field_value(change: FieldChange) -> JsonValue:
    value: dict[str, JsonValue] = {"field": change.field}
    if not isinstance(change.before, Absent):
        value["before"] = change.before
    if not isinstance(change.after, Absent):
        value["after"] = change.after
    return value


def _file_value(change: FileChange) -> JsonValue:
    value: dict[str, JsonValue] = {"path": change.path, "diff": "\n".join(change.diff)}
    if change.before:
        value["before"] = change.before.model_dump(mode="json")
    if change.after:
        value["after"] = change.after.model_dump(mode="json")
    return value
