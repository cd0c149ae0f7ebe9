"""`./build_proto_specs.sh`: what it makes, what it leaves alone, and what it says where it cannot work."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from common import processes
from tests.integration.needs import need

ROOT = Path(__file__).parents[4]
SERVICE = "yandex/cloud/priv/compute/admin/v1/node_service"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "VIRTUAL_ENV": sys.prefix}


def build(
    *arguments: str | Path, script: Path = ROOT / "build_proto_specs.sh", **environment: str
) -> tuple[int, str, str]:
    """Exit code, output and errors of the script."""
    process = processes.start(
        [str(script), *map(str, arguments)],
        environment=ENVIRONMENT | environment, cwd=Path("/"),
        stdout=processes.PIPE, stderr=processes.PIPE,
    )  # fmt: skip
    out, errors = process.communicate(timeout=100)
    return process.returncode, out.decode(), errors.decode()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_makes_both_folders_says_so_and_changes_nothing_the_second_time(tmp_path: Path) -> None:
    status, out, errors = build("--into", tmp_path)
    assert (status, errors) == (0, "")
    assert "googleapis/: made, " in out
    assert "yandex/: made, Python of 2 specs from proto_specs (grpcio-tools " in out
    made = tree(tmp_path)
    assert f"{SERVICE}_pb2.py" in made
    assert f"{SERVICE}_pb2_grpc.py" in made
    assert "googleapis/google/api/annotations.proto" in made

    _, out, _ = build("--into", tmp_path)
    assert out.count(": unchanged, ") == 2
    assert tree(tmp_path) == made
    assert {path.name for path in tmp_path.iterdir()} == {"googleapis", "yandex"}


def test_googleapis_holds_specs_and_no_python_hides_the_installed_package(tmp_path: Path) -> None:
    build("--into", tmp_path)
    assert {path.suffix for path in (tmp_path / "googleapis").rglob("*") if path.is_file()} == {
        ".proto"
    }
    assert not (tmp_path / "google").exists()
    # In a process of its own: what has been registered stays.
    program = (
        "import yandex.cloud.priv.compute.admin.v1.node_service_pb2_grpc, google.api.annotations_pb2 as api, google.api\n"
        "from google.protobuf import descriptor_pool\n"
        "import sys\n"
        "copies = {module for module in sys.modules if module.endswith('annotations_pb2')}\n"
        "pool = descriptor_pool.Default().FindFileByName('google/api/annotations.proto')\n"
        "assert copies == {'google.api.annotations_pb2'}, copies\n"
        "assert pool.serialized_pb == api.DESCRIPTOR.serialized_pb\n"
        "print(api.__file__)\n"
    )
    process = processes.start(
        [sys.executable, "-c", program],
        environment={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path,
        stdout=processes.PIPE, stderr=processes.PIPE,
    )  # fmt: skip
    out, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors.decode()
    assert "site-packages" in out.decode()


def test_a_checkout_is_compiled_whole_and_gets_our_service_where_it_lacks_it(
    tmp_path: Path,
) -> None:
    checkout, into = tmp_path / "specs", tmp_path / "into"
    spec = checkout / "yandex/cloud/vpc/v1/cable.proto"
    spec.parent.mkdir(parents=True)
    spec.write_text(
        'syntax = "proto3"; package yandex.cloud.vpc.v1; import "google/rpc/status.proto";'
        " message Cable { google.rpc.Status status = 1; }"
    )
    status, out, errors = build("--into", into, checkout)
    assert status == 0, errors
    assert f"Python of 1 specs from {checkout} and 2 of proto_specs, which it lacks" in out
    assert (into / "yandex/cloud/vpc/v1/cable_pb2.py").is_file()
    assert (into / f"{SERVICE}_pb2.py").is_file()

    # What the checkout has is not mixed with ours.
    shutil.copytree(ROOT / "proto_specs/yandex", checkout / "yandex", dirs_exist_ok=True)
    (checkout / f"{SERVICE}.proto").write_text(
        (checkout / f"{SERVICE}.proto").read_text().replace("total_size", "how_many")
    )
    _, out, _ = build("--into", into, checkout)
    assert f"yandex/: replaced, Python of 3 specs from {checkout} (" in out
    assert b"how_many" in (into / f"{SERVICE}_pb2.py").read_bytes()


def test_a_mistake_in_a_spec_is_shown_and_changes_nothing(tmp_path: Path) -> None:
    into, checkout = tmp_path / "into", tmp_path / "specs"
    build("--into", into)
    before = tree(into)
    (checkout / "yandex").mkdir(parents=True)
    (checkout / "yandex/bad.proto").write_text('syntax = "proto3"; message { }')
    status, out, errors = build("--into", into, checkout)
    assert (status, out) == (1, "")
    assert "yandex/bad.proto:1:" in errors
    assert errors.endswith("the specs do not compile: nothing was changed\n")
    assert "Traceback" not in errors
    assert tree(into) == before
    assert {path.name for path in into.iterdir()} == {"googleapis", "yandex"}


def test_what_is_no_checkout_is_named(tmp_path: Path) -> None:
    status, _, errors = build("--into", tmp_path / "into", tmp_path)
    assert status == 1
    assert errors == (
        f"{tmp_path} has no folder yandex/:"
        " name the folder of a checkout in which yandex/cloud/ is\n"
    )
    assert not (tmp_path / "into").exists()


def test_yandexcloud_beside_it_is_refused(tmp_path: Path) -> None:
    installed = tmp_path / "site/yandexcloud-0.1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: yandexcloud\nVersion: 0.1\n")
    status, _, errors = build("--into", tmp_path / "into", PYTHONPATH=str(tmp_path / "site"))
    assert status == 1
    assert errors.startswith("yandexcloud is installed (0.1), whose package yandex would hide ours")


@pytest.mark.parametrize("activated", [True, False])
def test_without_a_compiler_it_says_how_to_get_one(tmp_path: Path, *, activated: bool) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copy(ROOT / "build_proto_specs.sh", clone)
    shutil.copytree(ROOT / "proto_specs", clone / "proto_specs")
    empty = tmp_path / "empty"
    (empty / "bin").mkdir(parents=True)
    (empty / "bin/python").write_text("#!/bin/sh\nexit 1\n")
    (empty / "bin/python").chmod(0o755)
    script = clone / "build_proto_specs.sh"
    status, out, errors = build(script=script, VIRTUAL_ENV=str(empty) if activated else "")
    assert (status, out) == (1, "")
    wanted = "pip install -Ur requirements.txt" if activated else "make protos"
    assert errors.startswith("grpcio-tools is missing: run ")
    assert wanted in errors
    status, out, _ = build("-h", script=script, VIRTUAL_ENV=str(empty))
    assert (status, out) == (0, "usage: ./build_proto_specs.sh [-h] [--into DIR] [CHECKOUT]\n")


def test_a_clone_with_the_environment_of_make_needs_no_activated_one(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    (clone / ".venv/bin").mkdir(parents=True)
    python = clone / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    shutil.copy(ROOT / "build_proto_specs.sh", clone)
    shutil.copytree(ROOT / "proto_specs", clone / "proto_specs")
    status, out, errors = build(script=clone / "build_proto_specs.sh", VIRTUAL_ENV="")
    assert status == 0, errors
    assert "yandex/: made" in out
    assert (clone / f"{SERVICE}_pb2.py").is_file()


def test_both_folders_are_ignored() -> None:
    git = shutil.which("git")
    need((ROOT / ".git").exists() and git, "a clone of the repository, and git")
    assert git
    process = processes.start(
        [git, "check-ignore", "googleapis/google/api/http.proto", f"{SERVICE}_pb2.py"],
        environment={"HOME": os.devnull}, cwd=ROOT, stdout=processes.PIPE,
    )  # fmt: skip
    out, _ = process.communicate(timeout=30)
    assert out.decode().split() == ["googleapis/google/api/http.proto", f"{SERVICE}_pb2.py"]
    arc = (ROOT / ".arcignore").read_text().splitlines()
    assert {"/googleapis/", "/yandex/"} <= set(arc)
