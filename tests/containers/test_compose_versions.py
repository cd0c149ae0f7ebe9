"""Both versions of docker-compose read the files, and understand the same. Version 2 starts nothing here: it only says what it would start."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.containers.daemon import PATH, ROOT
from tests.integration.needs import need

COMPOSE_1 = Path("/usr/bin/docker-compose")
COMPOSE_2 = ROOT / ".venv/compose2/docker-compose"
Given = Any  # a parsed file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files, and secrets for them."""
    for name in ("", ".two", ".prometheus"):
        (tmp_path / f"docker-compose{name}.yml").symlink_to(ROOT / f"docker-compose{name}.yml")
    (tmp_path / "containers").mkdir()
    script = tmp_path / "containers" / "make_secrets.sh"
    script.write_bytes((ROOT / "containers/make_secrets.sh").read_bytes())
    subprocess.run(["sh", str(script)], check=True)
    return tmp_path


@pytest.mark.parametrize("added", [(), ("prometheus", "two")])
def test_versions_1_29_and_2_understand_the_same(folder: Path, added: tuple[str, ...]) -> None:
    need(COMPOSE_1.exists(), "docker-compose 1.29 of Debian")
    need(COMPOSE_2.exists(), "Docker Compose 2: make .venv/.compose2")
    files = ["docker-compose.yml", *(f"docker-compose.{name}.yml" for name in added)]
    options = [word for file in files for word in ("-f", file)]
    first = YAML(typ="safe").load(_said(folder, COMPOSE_1, *options, "config"))
    second = json.loads(_said(folder, COMPOSE_2, *options, "config", "--format", "json"))
    assert set(first["services"]) == set(second["services"])
    for service, meant in first["services"].items():
        assert _essence(meant) == _essence(second["services"][service]), service
    assert first["networks"]["default"]["enable_ipv6"] is True
    assert second["networks"]["default"]["enable_ipv6"] is True
    assert first["networks"]["default"]["ipam"] == second["networks"]["default"]["ipam"]


def _said(folder: Path, program: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [str(program), *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={"PATH": PATH, "HOME": str(folder), "LANG": "C.UTF-8"}, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "warn" not in ended.stderr.lower(), ended.stderr
    return ended.stdout


def _essence(service: Given) -> dict[str, Given]:
    """What of a service is written in another form by each version, in one form."""
    networks = service.get("networks") or {}
    return {
        **{name: service.get(name) for name in ("image", "command", "restart", "user", "network_mode", "cap_add", "cap_drop")},
        "environment": {name: str(value) for name, value in service.get("environment", {}).items()},
        "waits for": {name: on["condition"] for name, on in service.get("depends_on", {}).items()},
        "volumes": sorted(map(_volume, service.get("volumes", []))),
        "ports": sorted(map(_port, service.get("ports", []))),
        "addresses": {name: {key: value for key, value in (given or {}).items() if value} for name, given in networks.items() if given},
        "health": {"test": ["NONE"]} if service.get("healthcheck") == {"disable": True} else service.get("healthcheck"),
    }  # fmt: skip


def _volume(given: Given) -> tuple[str, str, bool]:
    if isinstance(given, str):
        source, target, *mode = given.split(":")
        return Path(source).name, target, mode == ["ro"]
    return Path(given["source"]).name, given["target"], given.get("read_only", False)


def _port(given: Given) -> str:
    if isinstance(given, str):
        return given.removesuffix("/tcp")
    return f"{given['host_ip']}:{given['published']}:{given['target']}"
