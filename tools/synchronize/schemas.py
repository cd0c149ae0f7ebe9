"""JSON schemas for editors: each file of the repository names its own in its first line. Pure, except for one function."""

import json
from pathlib import Path
from typing import Any

from common.atomic_files import write_atomically
from tools.synchronize.errors import ExportError
from tools.synchronize.file_models import FILES

FOLDER = "schemas"


def schema_texts() -> dict[str, str]:
    """The text of each schema, by the name of its file."""
    return {
        f"{name}.schema.json": json.dumps(_schema(name), indent=2, ensure_ascii=False) + "\n"
        for name in FILES
    }


def modeline(kind: str, *, depth: int) -> str:
    """The first line of a file that is so many folders below the repository's root."""
    return f"# yaml-language-server: $schema={'../' * depth}{FOLDER}/{kind}.schema.json\n"


def write_schemas(root: Path) -> list[Path]:
    """Write them into the repository; gives those that changed. ExportError."""
    folder = root / FOLDER
    changed = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in schema_texts().items():
            path = folder / name
            if not path.exists() or path.read_bytes() != text.encode():
                write_atomically(path, text.encode(), mode=0o644)
                changed.append(path)
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror}") from error
    return changed


def _schema(name: str) -> dict[str, Any]:
    schema = FILES[name].model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_with_closed_maps(schema)}


def _with_closed_maps(schema: Any) -> Any:
    """A map whose keys have a pattern takes no others."""
    if isinstance(schema, list):
        return [_with_closed_maps(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "patternProperties" in schema else {}
    return {**{name: _with_closed_maps(one) for name, one in schema.items()}, **closed}
