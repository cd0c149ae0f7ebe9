"""JSON schemas: current in the repository, and of one mind with what synchronize reads."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from tools.synchronize.schemas import FOLDER, schema_texts, write_schemas

ROOT = Path(__file__).resolve().parents[4]
CONFIGS = ROOT / "configs"
TESTDATA = Path(__file__).with_name("testdata")
FILES = sorted(path for path in CONFIGS.rglob("*.yaml"))
_MODELINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")
# What a schema cannot say, or YAML itself forbids before it is asked.
BEYOND = {
    "date", "foreign-tag", "infinity", "key-twice", "number-as-key", "self-reference", "syntax", "tabulator",
    "two-documents", "empty", "missing-recipe",
}  # fmt: skip


def schema(name: str) -> Any:
    return jsonschema_rs.validator_for(json.loads(schema_texts()[f"{name}.schema.json"]))


def test_the_schemas_of_the_example_are_current() -> None:
    found = {path.name: path.read_text() for path in (CONFIGS / FOLDER).iterdir()}
    assert found == schema_texts(), "make them anew: yc-mr-prober-synchronize schemas"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_each_file_of_the_example_names_its_schema_and_keeps_to_it(path: Path) -> None:
    found = _MODELINE.match(path.read_text())
    assert found, "its first line: # yaml-language-server: $schema=…"
    named = (path.parent / found[1]).resolve()
    assert named.parent == CONFIGS / FOLDER
    jsonschema_rs.validator_for(json.loads(named.read_text())).validate(
        YAML(typ="safe").load(path.read_text())
    )


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (folder.name.removesuffix("s"), path)
        for folder in TESTDATA.iterdir()
        for path in folder.iterdir()
        if path.stem not in BEYOND
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_what_synchronize_refuses_an_editor_underlines(kind: str, path: Path) -> None:
    assert not schema(kind).is_valid(YAML(typ="safe").load(path.read_text()))


def test_writes_only_what_is_not_there(tmp_path: Path) -> None:
    assert len(write_schemas(tmp_path)) == 5
    assert write_schemas(tmp_path) == []
    (tmp_path / FOLDER / "recipe.schema.json").write_text("old")
    assert [path.name for path in write_schemas(tmp_path)] == ["recipe.schema.json"]
