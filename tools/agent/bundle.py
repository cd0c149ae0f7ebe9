"""Act: one archive for a ticket: what agent and machine say, without secrets."""

import io
import json
import tarfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tools.agent.doctor import Check
from tools.agent.errors import BundleError


def written_bundle(
    path: Path, parts: Mapping[str, BaseModel | Iterable[BaseModel]], checks: Iterable[Check]
) -> int:
    """Write `<name>.json` (`.jsonl` for several) of each part and `doctor.txt`; its size in bytes. BundleError.

    Every part comes from what the agent itself has freed of secrets; no file of its folder is copied.
    The archive is readable for its author only.
    """
    folder = path.name.removesuffix(".gz").removesuffix(".tgz").removesuffix(".tar")
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.touch(mode=0o600, exist_ok=True)
        with tarfile.open(draft, "w:gz") as archive:
            for name, content in contents_of(parts, checks).items():
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size, member.mtime, member.mode = len(content), int(time.time()), 0o600
                archive.addfile(member, io.BytesIO(content))
        draft.replace(path)
        return path.stat().st_size
    except OSError as error:
        raise BundleError(path, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def contents_of(
    parts: Mapping[str, BaseModel | Iterable[BaseModel]], checks: Iterable[Check]
) -> dict[str, bytes]:
    """The files of a bundle by name. Pure."""
    files: dict[str, bytes] = {}
    for name, part in parts.items():
        if isinstance(part, BaseModel):
            files[f"{name}.json"] = _json(part.model_dump(mode="json"), indent=1)
        else:
            files[f"{name}.jsonl"] = b"".join(_json(one.model_dump(mode="json")) for one in part)
    lines = [
        f"{check.health:3} {check.name}: {check.text} {check.advice}".rstrip() for check in checks
    ]
    files["doctor.txt"] = "".join(f"{line}\n" for line in lines).encode()
    return files


def _json(value: Any, *, indent: int | None = None) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=indent) + "\n").encode()
