"""Whole folders as tar archives, and single files of revisions, over HTTP."""

import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

Upload = Callable[..., dict[str, Any]]
AS_TAR = {"Content-Type": "application/x-tar"}


def archive(**files: bytes) -> bytes:
    """By name, in which `__` stands for a slash; what begins with #! is executable."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as written:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name.replace('__', '/')}")
            info.size, info.mode = len(content), 0o755 if content.startswith(b"#!") else 0o644
            written.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["recipes", "probers"])
def test_a_folder_is_the_same_revision_as_tar_and_as_json(
    api: TestClient, described: Any, file_upload: Upload, kind: str
) -> None:
    slug = described.recipe()["slug"] if kind == "recipes" else described.prober()["slug"]
    address = f"/api/v1/{kind}/{slug}/revisions"
    content = archive(main=b'variable "a" {}', bin__run=b"#!/bin/sh\n")
    made = api.post(address, content=content, headers=AS_TAR)
    assert (made.status_code, made.json()["number"]) == (201, 2)
    files = [
        file_upload("main", b'variable "a" {}'),
        file_upload("bin/run", b"#!/bin/sh\n", executable=True),
    ]
    same = api.post(address, json={"files": files})
    assert (same.status_code, same.json()["number"]) == (200, 2)
    read = api.get(f"{address}/2/files/bin/run")
    assert read.content == b"#!/bin/sh\n"
    assert read.headers["content-type"] == "application/octet-stream"
    for wrong in (
        "2/files/bin",
        "2/files/other",
        "1/files/bin/run",
        "9/files/main",
        "2/files/../2",
    ):
        assert api.get(f"{address}/{wrong}").status_code == 404, wrong


def test_a_recipe_as_tar_is_read_for_its_variables(api: TestClient, described: Any) -> None:
    described.recipe()
    content = archive(**{"main.tf": b'variable "a" {\n  type = string\n}'})
    made = api.post("/api/v1/recipes/local/revisions", content=content, headers=AS_TAR)
    assert [one["name"] for one in made.json()["declared_variables"]] == ["a"]


def test_a_member_that_is_no_file_is_named_and_changes_nothing(
    api: TestClient, described: Any
) -> None:
    described.recipe()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as written:
        link = tarfile.TarInfo("passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        written.addfile(link)
    address = "/api/v1/recipes/local/revisions"
    answer = api.post(address, content=stream.getvalue(), headers=AS_TAR)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], error["given"]) == ("files", "passwords")
    assert len(api.get(address).json()["items"]) == 1


def test_json_is_read_as_everywhere_else(api: TestClient, described: Any) -> None:
    described.recipe()
    address = "/api/v1/recipes/local/revisions"
    json_header = {"Content-Type": "application/json"}
    for content, headers, field in (
        (b"{", json_header, "body"),
        (b"[" * 100_000, json_header, "body"),
        (b"", json_header, "body"),
        (b"{}", json_header, "files"),
        (b'{"files": [{"path": "../x", "content": ""}]}', json_header, "files.0.path"),
        (b'{"files": [], "more": 1}', json_header, "more"),
        (b"files=1", {"Content-Type": "text/plain"}, "Content-Type"),
        (b"nonsense", AS_TAR, "body"),
    ):
        answer = api.post(address, content=content, headers=headers)
        assert answer.status_code == 422, content[:20]
        assert answer.json()["errors"][0]["field"] == field, answer.text
