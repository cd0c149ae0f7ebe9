"""A plan as Markdown: what CI puts under a change of the repository. Pure."""

import re
from collections.abc import Iterator

from tools.console import visible
from tools.synchronize.plan import Action, Change, Plan
from tools.synchronize.report import field_text, file_sign, file_text, notes_of, summary_of

# Comments of forges take about as much; who wants more asks for --json.
MAX_LENGTH = 60_000
_WORDS = {Action.CREATE: "create", Action.CHANGE: "change", Action.DELETE: "**delete**"}


def plan_as_markdown(plan: Plan) -> str:
    """A line that counts, what stands in the way, a list of the objects, and the details to unfold."""
    parts = [f"**{summary_of(plan)}**\n"]
    parts += [f"- {sign} {_inline(text)}\n" for sign, text in notes_of(plan)]
    parts += [
        f"- {_WORDS[change.action]} {_inline(change.title)}\n"
        for change in plan.changes
        if not (change.fields or change.files)
    ]
    for change in plan.changes:
        if change.fields or change.files:
            parts.append(_details(change))
    return _cut(parts)


def _details(change: Change) -> str:
    lines = [visible(line) for line in _lines(change)]
    fence = "`" * max(3, *(len(run) + 1 for line in lines for run in re.findall("`+", line)), 3)
    body = "\n".join(lines)
    title = f"{_WORDS[change.action].replace('*', '')} {change.title}"
    return f"<details><summary>{_escaped(title)}</summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>\n"


def _lines(change: Change) -> Iterator[str]:
    sign = {Action.CREATE: "+", Action.CHANGE: "!", Action.DELETE: "-"}[change.action]
    for field in change.fields:
        yield f"{sign} {field_text(change.action, field)}"
    for file in change.files:
        yield f"{file_sign(file).replace('~', '!')} {file_text(file)}"
        yield from file.diff[2:]


def _cut(parts: list[str]) -> str:
    text = ""
    for number, part in enumerate(parts):
        if len(text) + len(part) > MAX_LENGTH:
            return f"{text}\n… and {len(parts) - number} more, too long for here.\n"
        text += part
    return text


def _inline(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", visible(text))


def _escaped(text: str) -> str:
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
