"""The variables that a recipe declares, as a program of its own: a parser that hangs, grows or crashes takes nobody along.

`python api/hcl_variables.py FOLDER` reads the terraform files of one folder and prints a JSON list
of {name, type, has_default, nullable, sensitive}. It ends with 1 and prints nothing when it does not understand a file:
only terraform itself may judge a recipe. Nothing of ours is imported, so that it starts in isolated mode.
"""

import json
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
from lark import Token, Tree

_MEMORY_BYTES = 512 * 1024 * 1024
_CPU_SECONDS = 10
_OUTPUT_BYTES = 128 * 1024
_MENTIONS = re.compile(rb"\bvariable\b")

Node = Tree[Token] | Token
Variables = dict[str, dict[str, Any]]


def main(arguments: list[str]) -> int:
    """0 with the list on stdout, 1 if a file is not understood; everything else is a crash, and as good."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    variables = declared(Path(arguments[0]))
    text = json.dumps([{"name": name} | fields for name, fields in sorted(variables.items())])
    if len(text) > _OUTPUT_BYTES:
        return 1
    sys.stdout.write(text)
    return 0


def declared(folder: Path) -> Variables:
    """Name → fields; a value that the recipe itself gives in a `tfvars` file counts as a default."""
    variables: Variables = {}
    for path in sorted(folder.iterdir(), key=lambda path: (_is_override(path), path.name)):
        content = path.read_bytes()
        if path.name.endswith((".tf", ".tf.json")) and _MENTIONS.search(content):
            for name, fields in _declarations(path.name, content):
                variables.setdefault(name, _unsaid()).update(fields)
    for name in _given(folder):
        if name in variables:
            variables[name]["has_default"] = True
    return variables


def _unsaid() -> dict[str, Any]:
    return {"type": "", "has_default": False, "nullable": True, "sensitive": False}


def _is_override(path: Path) -> bool:
    stem = path.name.removesuffix(".json").removesuffix(".tf")
    return stem == "override" or stem.endswith("_override")


def _declarations(name: str, content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    if name.endswith(".json"):
        return _declarations_in_json(json.loads(content))
    return _declarations_in_hcl(content.decode())


def _declarations_in_hcl(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for block in _children(_body(hcl2.parses_to_tree(text)), "block"):
        labels = [_text_of(child) for child in block.children if _is_label(child)]
        if len(labels) == 2 and labels[0] == "variable":
            yield labels[1], _fields(block, text)


def _fields(block: Tree[Token], text: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for attribute in _children(_body(block), "attribute"):
        name, value = _text_of(attribute.children[0]), attribute.children[-1]
        source = text[value.meta.start_pos : value.meta.end_pos].strip()  # type: ignore[union-attr] # a rule, not a token
        if name == "type":
            fields["type"] = source
        elif name == "default":
            fields["has_default"] = True
        elif name in {"nullable", "sensitive"}:
            fields[name] = {"true": True, "false": False}[source]
    return fields


def _declarations_in_json(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for root in _listed(document):
        for block in _listed(root.get("variable", [])):
            for name, bodies in block.items():
                for body in _listed(bodies):
                    yield name, _fields_in_json(body)


def _fields_in_json(body: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: body[name] for name in ("type", "nullable", "sensitive") if name in body
    }
    if "default" in body:
        fields["has_default"] = True
    return fields


def _given(folder: Path) -> Iterator[str]:
    # terraform.tfvars.json is missing here: Creator writes its own.
    for path in [folder / "terraform.tfvars", *folder.glob("*.auto.tfvars")]:
        if path.exists():
            tree = hcl2.parses_to_tree(path.read_text())
            for attribute in _children(_body(tree), "attribute"):
                yield _text_of(attribute.children[0])
    for path in folder.glob("*.auto.tfvars.json"):
        yield from json.loads(path.read_bytes())


def _body(tree: Tree[Token]) -> Tree[Token]:
    return next(_children(tree, "body"))


def _children(tree: Tree[Token], rule: str) -> Iterator[Tree[Token]]:
    return (child for child in tree.children if isinstance(child, Tree) and child.data == rule)


def _is_label(node: Node) -> bool:
    return isinstance(node, Tree) and node.data in {"identifier", "string"}


def _text_of(node: Node) -> str:
    if isinstance(node, Token):
        return str(node)
    return "".join(_text_of(child) for child in node.children).strip().strip('"')


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Exception as error:  # noqa: BLE001 - whatever it is, only the parent knows what to do
        sys.stderr.write(f"{type(error).__name__}: {str(error)[:500]}\n")
        sys.exit(1)
