"""Secrets on their way to a prober: into its environment only, kept on disk for the agent's user only."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.configuration import Configuration, Surroundings
from agent.plan import PlannedProber
from agent.store import Store
from common.agent_api_client import AgentApiClient
from common.agent_transport import AgentTransport
from tests.integration.agent.stand_ins import StubApi, document, prober

SCRIPT = b"#!/bin/sh\nexit 0\n"
SECRET = "correct-horse-battery"


def _configuration(api: StubApi, folder: Path, *, url: str = "") -> Configuration:
    client = AgentApiClient(AgentTransport(url or api.url, api.token), "demo")
    store = Store(folder)
    return Configuration(client, store, Surroundings("demo", "h1", clock_ns=lambda: 5))


def _describe(
    api: StubApi, *, version: int = 1, revision: int = 1, command: str = "./check.sh", **more: Any
) -> None:
    variables = {"password": "${cluster.variables.password}", **more}
    one = prober(1, {"check.sh": SCRIPT}, [command], variables=variables)
    other = prober(2, {"check.sh": SCRIPT}, ["./check.sh"])
    reference = {"password": {"secret": "password", "version": version}}
    api.document = document(one, other, revision=revision, variables=reference)
    api.serve_files(SCRIPT)


def _probers(configured: Configuration) -> tuple[PlannedProber, PlannedProber]:
    plan = configured.poll().plan
    assert plan
    one, other = plan.probers
    assert not other.problem
    return one, other


def test_a_secret_goes_into_the_environment_and_nowhere_else(
    stub_api: StubApi, agent_folder: Path
) -> None:
    _describe(stub_api)
    stub_api.secrets = {"password": {"version": 1, "value": SECRET}}
    one, _ = _probers(_configuration(stub_api, agent_folder))
    (spec,) = one.specs
    assert spec.environment["VAR_PASSWORD"] == SECRET
    assert SECRET not in repr(spec)
    holding = [path for path in agent_folder.rglob("*") if _holds(path)]
    assert [path.name for path in holding] == ["secrets.json"]
    assert holding[0].stat().st_mode & 0o077 == 0


def test_secrets_are_asked_for_once_per_version(stub_api: StubApi, agent_folder: Path) -> None:
    _describe(stub_api)
    stub_api.secrets = {"password": {"version": 1, "value": SECRET}}
    configured = _configuration(stub_api, agent_folder)
    _probers(configured)
    _probers(configured)
    assert stub_api.statuses("secrets") == [200]
    _describe(stub_api, version=2, revision=2)
    stub_api.secrets = {"password": {"version": 2, "value": "another-value"}}
    one, _ = _probers(configured)
    assert one.specs[0].environment["VAR_PASSWORD"] == "another-value"
    assert stub_api.statuses("secrets") == [200, 200]


def test_secrets_on_disk_serve_while_the_api_is_away(stub_api: StubApi, agent_folder: Path) -> None:
    _describe(stub_api)
    stub_api.secrets = {"password": {"version": 1, "value": SECRET}}
    _probers(_configuration(stub_api, agent_folder))
    later = _configuration(stub_api, agent_folder, url="http://127.0.0.1:1").start_from_disk()
    assert later.plan
    assert later.plan.probers[0].specs[0].environment["VAR_PASSWORD"] == SECRET


def test_without_its_secret_a_prober_is_broken_and_says_why(
    stub_api: StubApi, agent_folder: Path
) -> None:
    _describe(stub_api)
    configured = _configuration(stub_api, agent_folder)
    one, _ = _probers(configured)
    assert one.specs == ()
    assert "its secret password cannot be had: refused, 404" in one.problem
    stub_api.secrets = {"password": {"version": 1, "value": SECRET}}
    one, _ = _probers(configured)
    assert one.problem == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"command": "${cluster.variables.password}"},
        {"command": "${password}"},
        {"dsn": "user:${cluster.variables.password}@host"},
    ],
)
def test_a_secret_never_becomes_part_of_a_text(
    stub_api: StubApi, agent_folder: Path, changed: dict[str, Any]
) -> None:
    _describe(stub_api, **changed)
    stub_api.secrets = {"password": {"version": 1, "value": SECRET}}
    one, _ = _probers(_configuration(stub_api, agent_folder))
    assert "secret password can only be the whole value" in one.problem
    assert SECRET not in one.problem


def test_secrets_within_lists_and_maps_are_filled_in(stub_api: StubApi, agent_folder: Path) -> None:
    _describe(stub_api, account={"user": "probe", "keys": ["${cluster.variables.password}"]})
    stub_api.secrets = {"password": {"version": 1, "value": SECRET}}
    one, _ = _probers(_configuration(stub_api, agent_folder))
    account = json.loads(one.specs[0].environment["VAR_ACCOUNT"])
    assert account == {"user": "probe", "keys": [SECRET]}


def test_a_secret_that_nothing_names_any_more_is_forgotten(
    stub_api: StubApi, agent_folder: Path
) -> None:
    _describe(stub_api)
    stub_api.secrets = {"password": {"version": 1, "value": SECRET}}
    configured = _configuration(stub_api, agent_folder)
    _probers(configured)
    stub_api.document = document(revision=2)
    configured.poll()
    assert not [path for path in agent_folder.rglob("*") if _holds(path)]


def _holds(path: Path) -> bool:
    return path.is_file() and SECRET.encode() in path.read_bytes()
