"""Files of recipes and probers on their way in."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.contracts.files import (
    MAX_FILE_BYTES,
    FileReference,
    FileUpload,
    content_hash,
    path_conflicts,
)

REFERENCES = st.lists(
    st.builds(
        FileReference,
        path=st.sampled_from(["a", "b", "c/a", "c/b", "d/e/f", "z"]),
        mode=st.sampled_from(["0644", "0755"]),
        sha256=st.sampled_from(["0" * 64, "f" * 64]),
        size=st.just(1),
    ),
    unique_by=lambda file: file.path,
    max_size=5,
)


@pytest.mark.parametrize("path", ["main.tf", "lib/probe.py", ".hidden", "a b/ü", "..a", "x" * 255])
def test_paths_that_stay_inside_are_taken(path: str) -> None:
    assert FileUpload.of(path, b"").path == path


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "./a", ".", "..", "a\\b", "a\nb", "a\0b", "\x7f",
        "x" * 256, "/".join(["x" * 200] * 3), "\ud800",
    ],
)  # fmt: skip
def test_paths_that_could_lead_out_or_break_a_tool_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        FileUpload.of(path, b"")


@pytest.mark.parametrize("content", ["not base64", "!!!!", "aGk", "é", 5, None, "aG\0k="])
def test_content_that_is_no_base64_is_refused_whole(content: Any) -> None:
    with pytest.raises(ValidationError):
        FileUpload(path="a", content=content)


def test_base64_may_be_wrapped_into_lines() -> None:
    assert FileUpload.model_validate({"path": "a", "content": "aGVs\nbG8=\n"}).content == b"hello"


def test_the_bound_counts_the_content_itself() -> None:
    assert len(FileUpload.of("a", bytes(MAX_FILE_BYTES)).content) == MAX_FILE_BYTES
    with pytest.raises(ValidationError, match="at most"):
        FileUpload.of("a", bytes(MAX_FILE_BYTES + 1))


def test_modes_are_plain_or_executable() -> None:
    assert FileUpload.of("a", b"").mode == "0644"
    assert FileUpload.of("a", b"", executable=True).mode == "0755"
    with pytest.raises(ValidationError):
        FileUpload.model_validate({"path": "a", "content": "", "mode": "4755"})


@given(st.binary())
def test_content_survives_the_way_over_json(content: bytes) -> None:
    upload = FileUpload.of("a", content)
    wire = upload.model_dump(mode="json")
    assert wire["content"] == b64encode(content).decode()
    assert FileUpload.model_validate(wire) == upload
    assert upload.reference().size == len(content)


@given(REFERENCES, st.randoms())
def test_the_content_hash_does_not_depend_on_the_order(
    files: list[FileReference], random: Any
) -> None:
    shuffled = list(files)
    random.shuffle(shuffled)
    assert content_hash(shuffled) == content_hash(files)


@given(REFERENCES, REFERENCES)
def test_the_content_hash_tells_different_sets_apart(
    one: list[FileReference], other: list[FileReference]
) -> None:
    same = sorted(one, key=lambda file: file.path) == sorted(other, key=lambda file: file.path)
    assert (content_hash(one) == content_hash(other)) is same


@pytest.mark.parametrize(
    ("paths", "conflicts"),
    [
        ([], []),
        (["a", "b/c", "b/d"], []),
        (["a", "b", "a"], ["a"]),
        (["a", "a/b"], ["a"]),
        (["a/b/c/d", "a/b"], ["a/b"]),
    ],
)
def test_one_path_is_one_file_or_one_folder(paths: list[str], conflicts: list[str]) -> None:
    assert path_conflicts(paths) == conflicts
