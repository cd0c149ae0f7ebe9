"""What a person, or with --json a program, reads about a round."""

import json
import logging

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.console import visible
from tools.meeseeks.nodes import ComputeNode
from tools.meeseeks.plan import Plan
from tools.meeseeks.rounds import Outcome, Round

log = logging.getLogger(__name__)

_STYLES = {"+": "green", "-": "red", "~": "yellow"}
_WORDS = {
    Outcome.UNCHANGED: "Nothing to do.",
    Outcome.APPLIED: "Applied.",
    Outcome.REFUSED: "Refused: nothing was changed.",
}
_LOGGED_NODES = 50


def print_round(console: Console, done: Round) -> None:
    """The difference as a table, what is strange about it, and one line that counts."""
    if done.plan:
        _print_plan(console, done.plan)
    if done.outcome in _WORDS:
        console.print(_WORDS[done.outcome])
    if done.error:
        console.print(Text(visible(done.error), style="red"))


def round_as_json(done: Round, *, indent: int | None = 2) -> str:
    """The round for programs."""
    value: dict[str, JsonValue] = {"outcome": done.outcome.value, "error": done.error}
    if plan := done.plan:
        value |= {
            "added": [dict(node.model_dump()) for node in plan.difference.added],
            "removed": [dict(node.model_dump()) for node in plan.difference.removed],
            "changed": [
                {"before": dict(one.before.model_dump()), "after": dict(one.after.model_dump())}
                for one in plan.difference.changed
            ],
            "reordered": plan.difference.is_reordered,
            "refusals": list(plan.refusals),
            "notes": list(plan.notes),
            "summary": {
                "listed": plan.listed,
                "wanted": len(plan.wanted),
                "known": plan.known,
                "added": len(plan.difference.added),
                "removed": len(plan.difference.removed),
                "changed": len(plan.difference.changed),
            },
        }
    return json.dumps(value, ensure_ascii=False, indent=indent)


def log_round(done: Round) -> None:
    """One line for the round, and one for each node that differs, up to a bound."""
    level = (
        logging.INFO if not done.error and done.outcome is not Outcome.REFUSED else logging.ERROR
    )
    if done.error:
        text = visible(done.error).replace("\n", " ")
        log.log(level, "round outcome=%s seconds=%.3f: %s", done.outcome.value, done.seconds, text)
    if not (plan := done.plan):
        return
    for sentence in (*plan.refusals, *plan.notes):
        log.warning("doubt: %s", visible(sentence))
    rows = [(sign, node) for sign, node, _ in _rows(plan)]
    for sign, node in rows[:_LOGGED_NODES]:
        word = {"+": "added", "-": "removed", "~": "changed"}[sign]
        log.info("node kind=%s name=%s zone=%s id=%s", word, *_visible_of(node))
    if not done.error:
        counts = " ".join(f"{kind}={count}" for kind, count in _counts(plan).items())
        log.log(
            level, "round outcome=%s listed=%d wanted=%d %s seconds=%.3f",
            done.outcome.value, plan.listed, len(plan.wanted), counts, done.seconds,
        )  # fmt: skip


def _print_plan(console: Console, plan: Plan) -> None:
    rows = _rows(plan)
    if rows:
        console.print(_table(rows), soft_wrap=True)
    if plan.difference.is_reordered:
        console.print(Text("~ the same nodes in another order", style="yellow"))
    for sentence in plan.refusals:
        console.print(Text.assemble(("! ", "red bold"), visible(sentence)))
    for sentence in plan.notes:
        console.print(Text.assemble(("… ", "yellow"), visible(sentence)))
    counts = _counts(plan)
    console.print(
        f"Nodes: {plan.listed} listed, {len(plan.wanted)} wanted, {plan.known} known:"
        f" {counts['added']} to add, {counts['removed']} to remove, {counts['changed']} to change."
    )
    if plan.refusals and _is_forceable(plan):
        console.print("If this is how it shall be: --force applies it.")


def _is_forceable(plan: Plan) -> bool:
    return any("--adopt" not in sentence for sentence in plan.refusals)


def _rows(plan: Plan) -> list[tuple[str, ComputeNode, ComputeNode | None]]:
    """Sign, node, and what it was before if it is another now; in the order of the variable."""
    rows: list[tuple[str, ComputeNode, ComputeNode | None]] = [
        *(("+", node, None) for node in plan.difference.added),
        *(("-", node, None) for node in plan.difference.removed),
        *(("~", one.after, one.before) for one in plan.difference.changed),
    ]
    return sorted(rows, key=lambda row: (row[1].zone, row[1].name, row[0]))


def _table(rows: list[tuple[str, ComputeNode, ComputeNode | None]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "node", "zone", "address", "id"):
        table.add_column(title, no_wrap=True)
    for sign, node, before in rows:
        cells = [
            _cell(getattr(before or node, field), getattr(node, field))
            for field in ("name", "zone", "address", "id")
        ]
        table.add_row(sign, *cells, style=_STYLES[sign])
    return table


def _cell(before: str, after: str) -> str:
    return visible(after if before == after else f"{before or '(none)'} → {after or '(none)'}")


def _counts(plan: Plan) -> dict[str, int]:
    return {
        "added": len(plan.difference.added),
        "removed": len(plan.difference.removed),
        "changed": len(plan.difference.changed),
    }


def _visible_of(node: ComputeNode) -> tuple[str, str, str]:
    return visible(node.name), visible(node.zone), visible(node.id)
