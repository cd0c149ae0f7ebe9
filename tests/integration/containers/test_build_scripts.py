"""`build_docker_image.sh` and `build_docker_images.sh`, with a `docker` that only writes down what it is asked for."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.needs import need

ROOT = Path(__file__).resolve().parents[3]
_FAKE = """#!/bin/sh
printf '%s\\n' "$*" >>"$(dirname "$0")/calls"
case "$*" in "$(cat "$(dirname "$0")/fails" 2>/dev/null || echo nothing)"*) exit 1 ;; esac
"""
ALL = ("agent", "api", "creator", "solomon_stand_in", "tools")


class Clone:
    """A clean clone as far as the scripts look at it, and a PATH with the fake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.bin = folder / "bin"
        for name in ("build_docker_image.sh", "build_docker_images.sh", "common/version.py"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.folder / name)
        for name in (*ALL, "containers/postgresql", "containers/s3"):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / "Dockerfile").touch()
        self.bin.mkdir()
        for name in ("git", "bash", "sed", "dirname", "cat", "mktemp", "rm", "sh"):
            program = shutil.which(name)
            need(program, name)
            (self.bin / name).symlink_to(str(program))
        (self.bin / "docker").write_text(_FAKE)
        (self.bin / "docker").chmod(0o755)
        for command in (
            "init -q",
            "add .",
            "-c user.name=a -c user.email=a@b.example commit -q -m a",
        ):
            self._git(*command.split())

    @property
    def commit(self) -> str:
        return self._git("rev-parse", "--short=12", "HEAD")

    @property
    def calls(self) -> list[str]:
        """What docker was asked for, without the question whether the daemon answers."""
        written = self.bin / "calls"
        lines = written.read_text().splitlines() if written.exists() else []
        return [line for line in lines if line != "version"]

    def run(self, script: str, *arguments: str, registry: str = "") -> tuple[int, str]:
        """Exit code and all that was said."""
        ended = subprocess.run(
            [f"./{script}", *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
            env={"PATH": str(self.bin), "HOME": str(self.folder)} | ({"MR_PROBER_REGISTRY": registry} if registry else {}),
        )  # fmt: skip
        return ended.returncode, ended.stdout

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True, timeout=60,
        ).stdout.strip()  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def _images(calls: list[str], verb: str) -> set[str]:
    return {
        word
        for call in calls
        if call.startswith(verb)
        for word in call.split()
        if "mr-prober-" in word
    }


@pytest.mark.parametrize("script", ["build_docker_image.sh", "build_docker_images.sh"])
def test_help_needs_no_docker(clone: Clone, script: str) -> None:
    (clone.bin / "docker").unlink()
    code, said = clone.run(script, "-h")
    assert code == 0
    assert said.startswith(f"usage: ./{script} [-h] [-p] ")
    assert "MR_PROBER_REGISTRY" in said


def test_one_image_is_tagged_by_version_and_commit(clone: Clone) -> None:
    code, said = clone.run("build_docker_image.sh", "solomon_stand_in")
    assert code == 0, said
    image = "--tag=mr-prober-solomon-stand-in"
    assert _images(clone.calls, "build --file solomon_stand_in/Dockerfile ") == {
        f"{image}:latest", f"{image}:0.1.0", f"{image}:0.1.0-{clone.commit}",
    }  # fmt: skip


def test_a_tree_with_changes_never_has_the_version_as_its_tag(clone: Clone) -> None:
    (clone.folder / "api" / "Dockerfile").write_text("FROM nothing\n")
    assert clone.run("build_docker_image.sh", "api")[0] == 0
    assert _images(clone.calls, "build ") == {
        "--tag=mr-prober-api:latest", f"--tag=mr-prober-api:0.1.0-{clone.commit}-dirty",
    }  # fmt: skip


def test_all_images_or_the_named_ones_are_built_and_arguments_reach_docker(clone: Clone) -> None:
    assert clone.run("build_docker_images.sh")[0] == 0
    assert {call.split()[2] for call in clone.calls} == {f"{name}/Dockerfile" for name in ALL}
    assert not any(call.startswith("push") for call in clone.calls)
    (clone.bin / "calls").unlink()
    code, said = clone.run(
        "build_docker_images.sh", "agent", "s3", "--", "--build-arg", "BASE_IMAGE=a"
    )
    assert code == 0, said
    assert {call.split()[2] for call in clone.calls} == {
        "agent/Dockerfile",
        "containers/s3/Dockerfile",
    }
    assert all("--build-arg BASE_IMAGE=a" in call for call in clone.calls)


def test_pushes_when_all_are_built_and_never_latest(clone: Clone) -> None:
    code, said = clone.run(
        "build_docker_images.sh", "-p", "agent", "api", registry="registry.example/team/"
    )
    assert code == 0, said
    verbs = [call.split()[0] for call in clone.calls]
    assert verbs[:2] == ["build", "build"]
    assert _images(clone.calls, "push ") == {
        f"registry.example/team/mr-prober-{name}:{tag}"
        for name in ("agent", "api") for tag in ("0.1.0", f"0.1.0-{clone.commit}")
    }  # fmt: skip


@pytest.mark.parametrize("script", ["build_docker_image.sh", "build_docker_images.sh"])
def test_a_push_without_a_registry_is_one_error_before_anything_is_built(
    clone: Clone, script: str
) -> None:
    code, said = clone.run(script, "-p", "agent")
    assert code == 1
    assert said == f"{script}: -p needs MR_PROBER_REGISTRY, the registry to push to\n"
    assert clone.calls == []


@pytest.mark.parametrize("script", ["build_docker_image.sh", "build_docker_images.sh"])
def test_says_what_is_missing(clone: Clone, script: str) -> None:
    (clone.bin / "fails").write_text("version")
    code, said = clone.run(script, "agent")
    assert code == 1
    assert (
        said == f"{script}: the Docker daemon does not answer: start it, or see `docker version`\n"
    )
    (clone.bin / "docker").unlink()
    assert clone.run(script, "agent") == (1, f"{script}: docker is not installed\n")


@pytest.mark.parametrize("script", ["build_docker_image.sh", "build_docker_images.sh"])
def test_an_unknown_image_is_wrong_usage(clone: Clone, script: str) -> None:
    code, said = clone.run(script, "agents")
    assert code == 64
    assert "there is no image agents: choose agent, api, " in said
    assert clone.calls == []


def test_what_fails_is_named_and_nothing_is_pushed(clone: Clone) -> None:
    (clone.bin / "fails").write_text("build --file api/")
    code, said = clone.run(
        "build_docker_images.sh", "-p", "agent", "api", registry="registry.example"
    )
    assert code == 1
    assert said.endswith("build_docker_images.sh: not built: api; nothing was pushed\n")
    assert _images(clone.calls, "push ") == set()
