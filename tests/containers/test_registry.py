"""`-p` pushes to a real registry, on loopback of the daemon's network."""

import shutil
import subprocess

import pytest
import requests

from common.version import VERSION
from tests.containers.daemon import PATH, ROOT, Daemon, wait_until
from tests.integration.needs import need

pytestmark = pytest.mark.timeout(1200)
_CONFIGURATION = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:5000"}}
"""


def test_pushes_the_named_image_by_version_and_commit(
    daemon: Daemon, images: dict[str, str], build_arguments: list[str]
) -> None:
    program = shutil.which("docker-registry", path=PATH)
    need(program, "docker-registry of Debian")
    configuration = daemon.folder / "registry.yml"
    configuration.write_text(_CONFIGURATION.format(folder=daemon.folder / "registry"))
    # We are in the daemon's network, and so is what we start.
    registry = subprocess.Popen(
        [str(program), "serve", str(configuration)], env=daemon.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until("the registry", lambda: _get("/v2/") is not None)
        daemon.run(
            "./build_docker_images.sh", "-p", "tools", "--", *build_arguments,
            more={"MR_PROBER_REGISTRY": "127.0.0.1:5000/team"}, seconds=300,
        )  # fmt: skip
        answer = _get("/v2/team/mr-prober-tools/tags/list")
        assert answer is not None
        commit, changes = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain")
        tags = {f"{VERSION}-{commit}-dirty"} if changes else {VERSION, f"{VERSION}-{commit}"}
        assert set(answer.json()["tags"]) == tags
        assert _get("/v2/_catalog").json()["repositories"] == ["team/mr-prober-tools"]  # type: ignore[union-attr]
    finally:
        registry.kill()
        registry.wait()


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def _get(path: str) -> requests.Response | None:
    try:
        answer = requests.get(f"http://127.0.0.1:5000{path}", timeout=10)
    except requests.ConnectionError:
        return None
    return answer if answer.ok else None
