"""Rules of the tree that no tool checks: pins, names of modules, what the docs promise."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("agent", "api", "creator", "demo", "solomon_stand_in")


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line.split(";")[0].strip() for line in lines if line and not line.startswith("#")]
    return dict(pin.split("==") for pin in pins)


def _group(name: str) -> set[str]:
    groups: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
        "dependency-groups"
    ]
    packages: set[str] = set()
    for entry in groups[name]:
        if isinstance(entry, dict):
            packages |= _group(entry["include-group"])
        else:
            packages.add(
                re.split(r"[\[<>=~! ]", entry)[0].lower().replace(".", "-").replace("_", "-")
            )
    return packages


@pytest.mark.parametrize(
    ("group", "requirements"),
    [("services", "requirements.txt"), ("tests", "requirements.tests.txt")],
)
def test_every_dependency_of_a_group_is_pinned(group: str, requirements: str) -> None:
    assert _group(group) <= set(_pins(requirements))


@pytest.mark.parametrize("part", ["common", "database", "api", "creator", "agent"])
def test_grpc_is_for_meeseeks_alone(part: str) -> None:
    assert not _group(part) & {"grpcio", "grpcio-tools", "googleapis-common-protos", "protobuf"}


def test_nothing_brings_another_package_called_yandex() -> None:
    assert "yandexcloud" not in _pins("requirements.tests.txt")


def test_tests_run_with_the_versions_of_production() -> None:
    tests = _pins("requirements.tests.txt")
    assert {name: tests.get(name) for name in _pins("requirements.txt")} == _pins(
        "requirements.txt"
    )


@pytest.mark.parametrize("service", SERVICES)
def test_no_module_of_a_service_hides_one_that_it_imports(service: str) -> None:
    # `python api/main.py` puts api/ first on the path: api/types.py would hide the standard one.
    own = {path.stem for path in (ROOT / service).glob("*.py")} | {
        path.name for path in (ROOT / service).iterdir() if path.is_dir()
    }
    taken = set(sys.stdlib_module_names) | {
        name.replace("-", "_") for name in _pins("requirements.txt")
    }
    assert not own & taken


@pytest.mark.parametrize(
    "promised",
    [
        "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "settings.py", "alembic.ini", ".arcignore",
        "requirements.txt", "requirements.tests.txt", "api/main.py", "api/README.md", "creator/main.py",
        "creator/README.md", "agent/main.py", "agent/README.md", "tools/README.md", "tools/synchronize/main.py",
        "database/models.py", "database/README.md", "configs/README.md", ".ci/run", "build_proto_specs.sh", "proto_specs/README.md", "tools/meeseeks/main.py", "docs/operators.md",
        "api/Dockerfile", "creator/Dockerfile", "agent/Dockerfile", "docker-compose.yml", "README.docker-compose.md",
        "build_docker_image.sh", "build_docker_images.sh",
    ],
)  # fmt: skip
def test_what_the_docs_name_exists(promised: str) -> None:
    assert (ROOT / promised).is_file()


def test_links_between_the_docs_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
