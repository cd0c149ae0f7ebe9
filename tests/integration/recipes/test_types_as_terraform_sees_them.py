"""Our judgement of (type, value) beside terraform's: one plan over all pairs."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from common import processes
from common.contracts.variable_types import misfits

NODE = "object({ name = string, cpu = optional(number, 2), labels = optional(map(string)) })"
COMMENTED = """object({
  # a comment
  a = string // another
  b = optional(list(string), ["x)", "}"]) /* and
 one */
})"""
TABLE: list[tuple[list[str], list[Any]]] = [
    (["string", "number", "bool", "any", ""], [
        None, True, 0, 1, 1.5, -3, 10**20, "", "text", "3", "-1.5e3", "+.5", "0x10", "1_000", " 1", "5.", ".", "1e", "1p4",
        "true", "TRUE", "False", "1", "0", "yes", [], ["a"], {}, {"a": 1},
    ]),
    (["list(string)", "set(number)", "list(bool)", "list(any)", "list", "map"], [
        [], ["a"], [1, 2], ["1", 2], [1, None], [True, "false"], {}, {"a": 1}, "a", 1, [[1]], [{"a": 1}],
    ]),
    (["map(number)", "map(list(string))", "map(any)"], [
        {}, {"a": 1}, {"a": "1", "b": 2}, {"a": "x"}, {"a": None}, {"a": ["x"]}, {"a": {"b": 1}}, [], [1], "a", {"a b": "c d"},
    ]),
    (["tuple([string, number])"], [["a", 1], ["a"], ["a", 1, 2], [1, "1"], [{}, 1], [None, None], {}, "a"]),
    (["tuple([])"], [[], [1]]),
    ([f"list({NODE})"], [
        [], [{"name": "a"}], [{"name": 1, "cpu": "4"}], [{}], [{"name": "a", "cpu": "x"}], [{"name": "a", "more": [1]}],
        [{"name": None}], [{"name": "a", "cpu": None, "labels": {"x": True}}], [{"name": "a", "labels": ["x"]}],
        {"a": {"name": "x"}}, [None], ["a"],
    ]),
    (["object({})"], [{}, {"a": 1}, [], "a"]),
    (["object({ a = any, b : object({ c = set(string) }) })"], [
        {"a": [1], "b": {"c": []}}, {"a": 1, "b": {"c": {}}}, {"a": 1}, {"a": 1, "b": None}, {"b": {"c": ["x", 1]}, "a": None},
    ]),
    ([COMMENTED], [{"a": "x"}, {"a": "x", "b": [1]}, {"a": "x", "b": "y"}, {"b": []}]),
]  # fmt: skip
# What terraform finds while it looks for one type for all items: only it may judge that.
NOT_JUDGED: list[tuple[str, Any]] = [
    ("list(any)", [1, {"a": 1}]),
    ("map(any)", {"a": 1, "b": [1]}),
]
PAIRS = [(kind, value) for kinds, values in TABLE for kind in kinds for value in values]
PAIRS += NOT_JUDGED


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> set[int]:
    """Numbers of the pairs that terraform refuses."""
    folder = tmp_path_factory.mktemp("types")
    declarations = [
        f'variable "v{number}" {{\n{f"  type = {kind}" if kind else ""}\n}}\n'
        for number, (kind, _) in enumerate(PAIRS)
    ]
    (folder / "main.tf").write_text("".join(declarations))
    values = {f"v{number}": value for number, (_, value) in enumerate(PAIRS)}
    (folder / "terraform.tfvars.json").write_text(json.dumps(values))
    _run(folder, "init", "-backend=false", "-no-color")
    said = _run(folder, "plan", "-json", "-input=false")
    errors = [
        message["diagnostic"]
        for message in map(json.loads, said.splitlines())
        if message["type"] == "diagnostic" and message["@level"] == "error"
    ]
    assert {error["summary"] for error in errors} == {"Invalid value for input variable"}
    return {int(_number_in(error["detail"])) for error in errors}


def test_we_judge_as_terraform_does(refused: set[int]) -> None:
    ours = {number for number, (kind, value) in enumerate(PAIRS) if misfits(value, kind)}
    assert [PAIRS[number] for number in sorted(ours - refused)] == []
    assert [PAIRS[number] for number in sorted(refused - ours)] == NOT_JUDGED


def _number_in(detail: str) -> str:
    found = re.search(r"var\.v([0-9]+) ", detail)
    assert found
    return found[1]


def _run(folder: Path, *arguments: str) -> bytes:
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    terraform = shutil.which("terraform", path=path) or shutil.which("terraform")
    assert terraform
    environment = {"PATH": path, "CHECKPOINT_DISABLE": "1", "HOME": str(folder)}
    with (folder / "output").open("w+b") as output:
        process = processes.start(
            [terraform, *arguments], environment=environment, cwd=folder, stdout=output
        )
        process.wait(60)
        output.seek(0)
        return output.read()
