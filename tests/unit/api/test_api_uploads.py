"""Folders as tar archives: what is in them, and what is refused with the member's name."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.services.errors import InvalidError
from api.uploads import files_in_tar
from common.contracts.files import MAX_FILE_BYTES, MAX_FILES


def member(name: str, **fields: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(found, field, value)
    return found


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as written:
        for info, content in members:
            info.size = len(content)
            written.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def refusal(content: bytes) -> tuple[str, object, str]:
    with pytest.raises(InvalidError) as caught:
        files_in_tar(content)
    (problem,) = caught.value.problems
    return problem.field, problem.given, problem.expected


GOOD = archive(
    (member(".", type=tarfile.DIRTYPE), b""),
    (member("./main.tf"), b"x"),
    (member("./scripts", type=tarfile.DIRTYPE), b""),
    (member("./scripts/run.sh", mode=0o750), b"y" * 1000),
    (member("empty"), b""),
)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_hold_files_with_their_modes(form: int) -> None:
    long = "folder/" * 12 + "name"
    content = archive(
        (member("./a"), b"1"), (member(long, mode=0o755), b"2" * 513), form=form
    )  # fmt: skip
    first, second = files_in_tar(content)
    assert (first.path, first.mode, first.content) == ("a", "0644", b"1")
    assert (second.path, second.mode, second.content) == (long, "0755", b"2" * 513)


def test_folders_are_passed_over() -> None:
    assert [file.path for file in files_in_tar(GOOD)] == ["main.tf", "scripts/run.sh", "empty"]


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "a\\b", "a\nb", "./../x", "\udcff"],
)
def test_paths_that_leave_the_folder_are_refused_by_name(name: str) -> None:
    field, given_name, _ = refusal(archive((member(name), b"")))
    assert field == "files"
    assert given_name == name.encode(errors="replace").decode()
    assert refusal(archive((member(f"{name}/d", type=tarfile.DIRTYPE), b"")))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"],
)
def test_only_regular_files_are_taken(kind: bytes) -> None:
    content = archive(
        (member("main.tf"), b"x"), (member("odd", type=kind, linkname="main.tf"), b"")
    )
    assert refusal(content)[:2] == ("files", "odd")


def test_sizes_and_numbers_are_bounded_before_anything_is_read() -> None:
    huge = member("huge")
    huge.size = MAX_FILE_BYTES + 1
    content = huge.tobuf() + b"\0" * 1024
    assert refusal(content)[1] == "huge"
    many = archive(*((member(f"f{number}"), b"") for number in range(MAX_FILES + 2)))
    assert "at most" in refusal(many)[2]
    folders = ((member(f"d{n}", type=tarfile.DIRTYPE), b"") for n in range(5 * MAX_FILES))
    assert "at most" in refusal(archive(*folders))[2]


@pytest.mark.parametrize(
    "content", [b"", b"no archive", GOOD[:700], GOOD[:2560], b"\x1f\x8b" + GOOD, b"\0" * 100]
)
def test_what_is_no_whole_archive_is_told(content: bytes) -> None:
    assert refusal(content)[0] == "body"


@given(at=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255), cut=st.integers(0, 3000))
def test_a_damaged_archive_is_read_or_refused_but_never_a_crash(
    at: int, value: int, cut: int
) -> None:
    damaged = bytearray(GOOD[: len(GOOD) - cut])
    if at < len(damaged):
        damaged[at] = value
    try:
        files = files_in_tar(bytes(damaged))
    except InvalidError:
        return
    assert len(files) == 3
