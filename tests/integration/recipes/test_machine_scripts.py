"""What machines of clouds run at boot: each program as it is in the recipes, with a secret store and a Docker of the test."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.processes import PIPE, start

RECIPES = Path(__file__).parents[3] / "configs/recipes"
CLOUDS = ("aws-instances", "yandex-instance-group", "yandex-meeseeks")
DOCKER = """#!/bin/sh
echo "$*" >>"$0.said"
exit "$(cat "$0.$1" 2>/dev/null || echo 0)"
"""


def test_shell_scripts_are_clean() -> None:
    scripts = sorted(str(path) for path in RECIPES.rglob("*.sh"))
    assert len(scripts) >= 2 * len(CLOUDS)
    said, code = _run([str(Path(sys.executable).with_name("shellcheck")), *scripts], {})
    assert code == 0, said


def test_what_recipes_share_is_the_same_everywhere() -> None:
    first, *others = [_files(cloud) for cloud in CLOUDS]
    shared = {name for name in first if not name.startswith("read-secret")}
    assert shared >= {"guard-metadata.sh", "keep-secret.sh", "mr-prober-guard.service"}
    for other in others:
        assert {name: other[name] for name in shared} == {name: first[name] for name in shared}
    assert others[0] == others[1]


def _files(cloud: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in (RECIPES / cloud / "machine").iterdir()}


def _run(command: list[str], environment: dict[str, str]) -> tuple[str, int]:
    program = start(
        command,
        environment={"PATH": "/usr/bin:/bin", **environment},
        cwd=Path("/"),
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complained = program.communicate(timeout=60)
    return (said + complained).decode(), program.returncode


class Machine:
    """Its programs, its folder of secrets, its Docker."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "programs"
        self.secrets = folder / "secrets"
        self.programs.mkdir()
        shutil.copy(RECIPES / "aws-instances/machine/keep-secret.sh", self.programs / "keep-secret")
        self._docker = self.programs / "docker"
        self._docker.write_text(DOCKER)
        self.store("")
        for program in ("keep-secret", "docker", "read-secret"):
            (self.programs / program).chmod(0o755)

    def store(self, text: str, *, code: int = 0) -> None:
        """What `read-secret` prints, and how it ends."""
        (self.programs / "stored").write_text(text)
        stored = self.programs / "stored"
        (self.programs / "read-secret").write_text(f"#!/bin/sh\ncat {stored}\nexit {code}\n")

    def docker_says(self, command: str, code: int) -> None:
        """How it ends from now on."""
        self._docker.with_name(f"docker.{command}").write_text(str(code))

    def keep(self) -> int:
        """Run the program; its exit status."""
        environment = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "MR_PROBER_PROGRAMS": str(self.programs),
            "MR_PROBER_SECRETS": str(self.secrets),
        }
        return _run([str(self.programs / "keep-secret")], environment)[1]

    def restarts(self) -> int:
        """How often the agent was started anew."""
        said = self._docker.with_name("docker.said")
        return said.read_text().count("restart mr-prober-agent") if said.exists() else 0

    def kept(self) -> list[str]:
        """What the agent is given."""
        return [(self.secrets / name).read_text() for name in ("agent.token", "fallback-url")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_secret_is_in_files_for_its_owner_alone(machine: Machine) -> None:
    machine.store("1.token\nhttps://storage.example/x\n")
    machine.docker_says("container", 1)  # the agent does not run yet
    assert machine.keep() == 0
    assert machine.kept() == ["1.token\n", "https://storage.example/x\n"]
    modes = {path.stat().st_mode & 0o777 for path in machine.secrets.iterdir()}
    assert modes == {0o600}
    assert machine.secrets.stat().st_mode & 0o777 == 0o700
    assert machine.restarts() == 0


def test_the_agent_starts_anew_only_with_another_secret(machine: Machine) -> None:
    machine.store("1.token\n\n")
    assert [machine.keep(), machine.keep()] == [0, 0]
    assert machine.restarts() == 1
    machine.store("2.token\n\n")
    machine.docker_says("restart", 1)
    assert machine.keep() != 0
    machine.docker_says("restart", 0)
    # What failed is tried again, though the file is right already.
    assert machine.keep() == 0
    assert machine.restarts() == 3
    assert machine.kept() == ["2.token\n", "\n"]


@pytest.mark.parametrize(("text", "code"), [("", 0), ("\nhttps://x\n", 0), ("2.token\n", 1)])
def test_without_an_answer_the_last_secret_stays(machine: Machine, text: str, code: int) -> None:
    machine.store("1.token\n\n")
    machine.keep()
    machine.store(text, code=code)
    assert machine.keep() != 0
    assert machine.kept() == ["1.token\n", "\n"]
    assert machine.restarts() == 1


class Cloud(BaseHTTPRequestHandler):
    """Metadata service and Lockbox at one address."""

    entries: list[dict[str, str]] = []
    iam_token = "t1.of-the-machine"

    def do_GET(self) -> None:
        token = "/computeMetadata/v1/instance/service-accounts/default/token"
        if self.path == token and self.headers["Metadata-Flavor"] == "Google":
            self._answer({"access_token": self.iam_token, "expires_in": 1, "token_type": "Bearer"})
        elif self.path == "/lockbox/v1/secrets/e6q1/payload":
            if self.headers["Authorization"] == f"Bearer {self.iam_token}":
                self._answer({"versionId": "1", "entries": self.entries})
            else:
                self.send_error(403)
        else:
            self.send_error(404)

    def _answer(self, body: dict[str, object]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture
def cloud() -> Iterator[str]:
    Cloud.entries = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def _read_secret(cloud: str, folder: Path, secret_id: str) -> tuple[str, int]:
    (folder / "store").write_text(f"{secret_id}\n")
    environment = {
        "MR_PROBER_METADATA_URL": cloud,
        "MR_PROBER_LOCKBOX_URL": cloud,
        "MR_PROBER_STORE": str(folder / "store"),
        "http_proxy": "http://127.0.0.1:1",
    }
    program = RECIPES / "yandex-meeseeks/machine/read-secret.py"
    return _run([sys.executable, str(program)], {"PATH": os.defpath, **environment})


def test_lockbox_gives_the_secret_to_the_machine(cloud: str, tmp_path: Path) -> None:
    Cloud.entries = [{"key": "agent-token", "textValue": "1.token"}]
    assert _read_secret(cloud, tmp_path, "e6q1") == ("1.token\n\n", 0)
    Cloud.entries.append({"key": "fallback-url", "textValue": "https://x"})
    assert _read_secret(cloud, tmp_path, "e6q1") == ("1.token\nhttps://x\n", 0)


def test_says_why_the_secret_cannot_be_read_and_never_what_it_is(
    cloud: str, tmp_path: Path
) -> None:
    Cloud.entries = [{"key": "other", "textValue": "planted"}]
    for secret_id, words in (("e6q1", "KeyError"), ("e6q2", "404"), ("", "404")):
        said, code = _read_secret(cloud, tmp_path, secret_id)
        assert code == 1
        assert words in said
        assert "planted" not in said
        assert Cloud.iam_token not in said
