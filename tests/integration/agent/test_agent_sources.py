"""Where the agent's process gets its configuration without an API, and what its machine's owner forbids."""

import os
import pwd
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from common import processes
from common.agent_tokens import agent_token
from tests.integration.agent.stand_ins import CLUSTER_ID, document, prober, sha256, wait_until
from tests.integration.agent.test_agent_publication import publish

ROOT = Path(__file__).parents[3]
CLOSED = "http://127.0.0.1:1"
TOKEN = agent_token(b"k" * 32, UUID(CLUSTER_ID), version=3)

Start = Callable[..., processes.Process]


@pytest.fixture
def start_agent(agent_folder: Path) -> Iterator[Start]:
    started: list[processes.Process] = []

    def start(*arguments: str, **environment: str) -> processes.Process:
        with (agent_folder.parent / "agent.log").open("ab") as log:
            agent = processes.start(
                [sys.executable, "agent/main.py", *arguments],
                environment={
                    "PYTHONPATH": str(ROOT),
                    "MR_PROBER_API_URL": CLOSED,
                    "MR_PROBER_HOST": "h1",
                    "MR_PROBER_AGENT_DIR": str(agent_folder),
                    "MR_PROBER_AGENT_USER": pwd.getpwuid(os.geteuid()).pw_name,
                    **environment,
                },
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        started.append(agent)
        return agent

    yield start
    for agent in started:
        if agent.poll() is None:
            agent.terminate()
            agent.wait(30)


def writing(witness: Path, word: str) -> bytes:
    return f"#!/bin/sh\necho {word} >> {witness}\n".encode()


def words(witness: Path) -> set[str]:
    return set(witness.read_text().split()) if witness.exists() else set()


def test_runs_a_local_document_without_api_token_or_cluster_and_follows_its_changes(
    start_agent: Start, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    script = writing(witness, "one")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / sha256(script)).write_bytes(script)
    file = tmp_path / "local.json"
    file.write_bytes(
        document(prober(1, {"a.sh": script}, ["./a.sh"], interval_seconds=0.2), revision=9)
    )
    start_agent("--document", str(file))
    wait_until(lambda: words(witness) == {"one"})
    other = prober(1, {}, ["sh", "-c", f"echo two >> {witness}"], interval_seconds=0.2)
    file.write_bytes(document(other, revision=1))
    wait_until(lambda: "two" in words(witness))


def test_a_local_document_with_a_mistake_does_not_start(start_agent: Start, tmp_path: Path) -> None:
    file = tmp_path / "local.json"
    file.write_bytes(b'{"format": 1}')
    assert start_agent("--document", str(file)).wait(20) == 1
    said = (tmp_path / "agent.log").read_text()
    assert "revision" in said
    assert len(said.splitlines()) == 1


def test_starts_from_object_storage_and_after_that_from_disk_alone(
    start_agent: Start, tmp_path: Path
) -> None:
    witness, published = tmp_path / "witness", tmp_path / "published"
    script = writing(witness, "run")
    content = document(prober(1, {"a.sh": script}, ["./a.sh"], interval_seconds=0.2))
    publish(published, content, token=TOKEN, files=(script,))
    settings = {"MR_PROBER_CLUSTER": "demo", "MR_PROBER_AGENT_TOKEN": TOKEN}
    first = start_agent(**settings, MR_PROBER_FALLBACK_URL=published.as_uri())
    wait_until(lambda: words(witness))
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    shutil.rmtree(published)
    witness.unlink()
    start_agent(**settings)
    wait_until(lambda: words(witness))


def test_sighup_reads_what_has_been_published_meanwhile(start_agent: Start, tmp_path: Path) -> None:
    witness, published = tmp_path / "witness", tmp_path / "published"
    settings = {"MR_PROBER_CLUSTER": "demo", "MR_PROBER_AGENT_TOKEN": TOKEN}
    agent = start_agent(**settings, MR_PROBER_FALLBACK_URL=published.as_uri())
    log = tmp_path / "agent.log"
    wait_until(lambda: log.exists() and "object storage does not help" in log.read_text())
    quick = prober(1, {}, ["sh", "-c", f"echo run >> {witness}"], interval_seconds=0.2)
    publish(published, document(quick), token=TOKEN, files=())
    os.kill(agent.pid, signal.SIGHUP)
    wait_until(lambda: words(witness))
    assert "as SIGHUP asks" in log.read_text()


def test_what_the_owner_forbids_is_never_started(start_agent: Start, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    command = ["sh", "-c", f"echo $MR_PROBER_PROBER >> {witness}"]
    file = tmp_path / "local.json"
    file.write_bytes(
        document(*(prober(number, {}, command, interval_seconds=0.1) for number in (1, 2)))
    )
    rules = tmp_path / "rules.toml"
    rules.write_text('probers = ["*-1"]\n')
    start_agent("--document", str(file), MR_PROBER_AGENT_RULES=str(rules))
    wait_until(lambda: witness.exists() and len(witness.read_text().split()) > 5)
    assert words(witness) == {"prober-2"}


def test_a_mistake_in_the_owners_file_stops_the_start_with_the_line(
    start_agent: Start, tmp_path: Path
) -> None:
    file = tmp_path / "local.json"
    file.write_bytes(document())
    rules = tmp_path / "rules.toml"
    rules.write_text('# mine\nprobers = ["a"\n')
    agent = start_agent("--document", str(file), MR_PROBER_AGENT_RULES=str(rules))
    assert agent.wait(20) == 1
    said = (tmp_path / "agent.log").read_text()
    assert f"{rules} (MR_PROBER_AGENT_RULES)" in said
    assert "line 2" in said
    assert "Traceback" not in said


def test_a_wrong_address_of_object_storage_is_named_but_not_shown(
    start_agent: Start, tmp_path: Path
) -> None:
    settings = {"MR_PROBER_CLUSTER": "demo", "MR_PROBER_AGENT_TOKEN": TOKEN}
    agent = start_agent(**settings, MR_PROBER_FALLBACK_URL="http://s3/secret-folder")
    assert agent.wait(20) == 1
    said = (tmp_path / "agent.log").read_text()
    assert "MR_PROBER_FALLBACK_URL" in said
    assert "secret-folder" not in said
