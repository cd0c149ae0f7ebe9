"""Synchronize against the real API: what its user does in a day, on both databases."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue
from sqlalchemy import update

from common import processes
from common.api_client import ANY_VERSION
from common.contracts.clusters import ClusterState, VariablePut
from common.contracts.files import FileUpload
from common.contracts.probers import ProberConfigPut
from common.contracts.recipes import RecipeCreate
from common.errors import ApiRefusedError
from database.models import ApiKey
from database.session import Database
from tests.integration.agent.stand_ins import wait_until
from tests.integration.tools.conftest import ROOT, RunningApi
from tools.synchronize.apply import apply
from tools.synchronize.current import read_current
from tools.synchronize.differences import differences
from tools.synchronize.files import read_repository
from tools.synchronize.main import run
from tools.synchronize.workers import Workers

Synchronize = Callable[..., int]
Output = pytest.CaptureFixture[str]


def planned(synchronize: Synchronize, capsys: Output) -> list[str]:
    capsys.readouterr()
    synchronize("plan", "--json")
    plan = json.loads(capsys.readouterr().out)
    return [f"{one['action']} {one['kind']} {one['name']}" for one in plan["changes"]]


@pytest.mark.parametrize("api", ["sqlite", "postgresql"], indirect=True)
def test_what_is_applied_is_no_change_any_more(api: RunningApi, synchronize: Synchronize) -> None:
    assert synchronize() == 2
    assert synchronize("apply") == 0
    assert synchronize("plan") == 0
    cluster = api.client().cluster("demo")
    assert cluster.managed_by == "synchronize"
    assert cluster.variables["list"] == ["a", {"b": None}]


def test_an_edited_file_changes_its_prober_and_nothing_else(
    api: RunningApi, configs: Path, synchronize: Synchronize, capsys: Output
) -> None:
    synchronize("apply")
    client = api.client()
    others = [client.recipe("vms"), client.prober("pong"), client.configs("ping")]
    (configs / "probers/ping/probe.py").write_text("print('two')\n")
    capsys.readouterr()
    assert synchronize("plan") == 2
    assert "-print('one')\n" in capsys.readouterr().out
    assert planned(synchronize, capsys) == ["change prober_revision ping"]
    assert synchronize("apply") == 0
    assert client.prober("ping").revision.number == 2
    assert others == [client.recipe("vms"), client.prober("pong"), client.configs("ping")]


def test_a_config_that_left_the_file_leaves_the_api(
    api: RunningApi, configs: Path, synchronize: Synchronize, capsys: Output
) -> None:
    synchronize("apply")
    prober = configs / "probers/ping/prober.yaml"
    prober.write_text("".join(prober.read_text().splitlines(keepends=True)[:-1]))
    assert planned(synchronize, capsys) == ["delete config ping/some"]
    assert synchronize("apply") == 0
    assert [config.slug for config in api.client().configs("ping")] == ["all"]


def test_a_hand_edit_is_taken_back_and_another_managers_variable_left_alone(
    api: RunningApi, synchronize: Synchronize, capsys: Output
) -> None:
    synchronize("apply")
    client = api.client()
    client.put_variable("demo", "hosts", VariablePut(value=9), etag="*")
    client.put_variable("demo", "compute_nodes", VariablePut(value=["n"], managed_by="meeseeks"))
    assert planned(synchronize, capsys) == ["change variable demo/hosts"]
    assert synchronize("apply") == 0
    assert client.variable("demo", "hosts").value == 3


@pytest.mark.parametrize("api", ["sqlite", "postgresql"], indirect=True)
def test_two_runs_never_overwrite_each_other(
    api: RunningApi, configs: Path, synchronize: Synchronize
) -> None:
    synchronize("apply")
    client = api.client()
    desired = read_repository(configs, "local")
    desired = replace(
        desired,
        clusters={"demo": desired.clusters["demo"].model_copy(update={"variables": {"hosts": 4}})},
    )
    plan = differences(desired, read_current(Workers(lambda: client), desired))
    other = client.variable("demo", "hosts")
    client.put_variable("demo", "hosts", VariablePut(value=5), etag=other.etag)
    applied = apply(plan, desired, Workers(lambda: client))
    assert applied.is_outdated
    assert [change.title for change, _ in applied.failed] == ["variable demo/hosts"]
    assert client.variable("demo", "hosts").value == 5


def test_every_field_can_be_changed_and_taken_back(
    configs: Path, synchronize: Synchronize, capsys: Output
) -> None:
    prober, cluster = (
        configs / "probers/ping/prober.yaml",
        configs / "environments/local/clusters/demo.yaml",
    )
    before = prober.read_text(), cluster.read_text()
    synchronize("apply")
    prober.write_text(
        "{command: [a, b], description: d, owner: o, runbook_url: 'https://r', defaults: {enabled: false},"
        " configs: {all: {clusters: [demo], order: 5, host_labels: {zone: a}, except_hosts: ['x*'],"
        " settings: {matrix: {target: null}}}}}"
    )
    cluster.write_text(
        "{recipe: vms, recipe_revision: 1, deploy_policy: plan_only, gates: {destroyed_count: 2, protected: [a.*]},"
        " variables: {on: 1, hosts: null}}"
    )
    (configs / "recipes/vms/recipe.yaml").write_text("description: new")
    assert planned(synchronize, capsys) == [
        "change variable demo/hosts", "change variable demo/on", "change recipe vms", "change prober ping",
        "change config ping/all", "change cluster demo", "delete variable demo/big", "delete variable demo/list",
        "delete variable demo/share", "delete variable demo/text", "delete config ping/some",
    ]  # fmt: skip
    assert synchronize("apply") == 0
    assert synchronize("plan") == 0
    prober.write_text(before[0])
    cluster.write_text(before[1])
    (configs / "recipes/vms/recipe.yaml").unlink()
    assert synchronize("apply") == 0
    assert synchronize("plan") == 0


def test_a_recipe_waits_for_the_end_of_its_cluster(
    api: RunningApi, configs: Path, synchronize: Synchronize, capsys: Output
) -> None:
    synchronize("apply")
    shutil.rmtree(configs / "recipes")
    shutil.rmtree(configs / "probers")
    (configs / "environments/local/clusters/demo.yaml").unlink()
    assert synchronize("apply") == 1
    assert "the files describe no probers at all, the API has 2" in capsys.readouterr().out
    assert len(api.client().probers()) == 2
    assert synchronize("apply", "--force") == 4
    assert "next run: recipe vms is still in use" in capsys.readouterr().out
    assert api.client().probers() == []
    assert api.client().cluster("demo").state is ClusterState.DELETING
    assert planned(synchronize, capsys) == ["delete recipe vms"]


def test_the_example_configs_apply_and_then_show_no_change(synchronize: Synchronize) -> None:
    example = ("--configs", str(ROOT / "configs"))
    assert synchronize("apply", *example) == 0
    assert synchronize(*example, "plan") == 0


def test_a_refused_object_does_not_stop_the_others(
    api: RunningApi, configs: Path, synchronize: Synchronize, capsys: Output
) -> None:
    with (configs / "probers/ping/prober.yaml").open("a") as file:
        file.write("  twin: {clusters: ['*'], settings: {variables: {port: 81}}}\n")
    assert synchronize("apply") == 4
    output = capsys.readouterr().out
    assert "! config ping/twin: not created:" in output
    assert "order: expected another order than that of config all" in output
    assert [cluster.slug for cluster in api.client().clusters()] == ["demo"]


def test_a_name_that_somebody_made_by_hand_is_refused_before_anything_happens(
    api: RunningApi, synchronize: Synchronize, capsys: Output
) -> None:
    api.client().create_recipe(RecipeCreate(slug="vms", files=[FileUpload.of("x", b"")]))
    assert synchronize("apply") == 1
    assert "recipe vms exists in the API and was made by hand" in capsys.readouterr().out
    assert api.client().probers() == []


def test_a_hand_edit_is_refused_and_one_that_insists_is_drift_by_field(
    api: RunningApi, synchronize: Synchronize, capsys: Output
) -> None:
    synchronize("apply")
    edited = ProberConfigPut(clusters=["*"], hosts=["demo-*"])
    with pytest.raises(ApiRefusedError, match="config ping/some is managed by synchronize"):
        api.client(manager="").put_config("ping", "some", edited, etag=ANY_VERSION)
    api.client().put_config("ping", "some", edited, etag=ANY_VERSION)
    capsys.readouterr()
    assert synchronize("plan") == 2
    assert '    clusters: ["*"] → ["demo"]' in capsys.readouterr().out
    assert synchronize("apply") == 0
    assert api.client().config("ping", "some").clusters == ["demo"]


def test_a_terminal_that_knows_no_arrows_still_shows_the_plan(
    api: RunningApi, configs: Path, synchronize: Synchronize
) -> None:
    synchronize("apply")
    cluster = configs / "environments/local/clusters/demo.yaml"
    cluster.write_text(cluster.read_text().replace("hosts: 3", "hosts: 4"))
    process = processes.start(
        [sys.executable, str(ROOT / "tools/synchronize/main.py"), "--configs", str(configs)],
        environment={
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "ascii",
            "MR_PROBER_API_URL": api.url,
            "MR_PROBER_API_KEY_FILE": str(api.key_file),
        },
        cwd=ROOT,
        stdout=processes.PIPE,
        stderr=processes.PIPE,
    )
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (2, b"")
    assert b"value: 3 \\u2192 4" in out


def test_a_mistake_changes_nothing(
    api: RunningApi, configs: Path, synchronize: Synchronize, capsys: Output
) -> None:
    (configs / "environments/local/clusters/demo.yaml").write_text("recipe: vms\nhosts: 3\n")
    assert synchronize("apply") == 1
    assert "clusters/demo.yaml:2: hosts: unknown field" in capsys.readouterr().err
    assert api.client().recipes() == []


def test_a_wrong_key_and_one_that_has_ended_are_told_in_one_line(
    api: RunningApi,
    synchronize: Synchronize,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    with api.transport() as transport:
        body: JsonValue = {"name": "short", "role": "editor", "expires_at": in_an_hour.isoformat()}
        key = transport.call("POST", "/api/v1/keys", body=body).json()["key"]
    monkeypatch.setenv("MR_PROBER_API_KEY", "planted-wrong-one")
    assert synchronize("plan") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"the API at {api.url} does not take the key of MR_PROBER_API_KEY: it is wrong, has ended or was revoked"  # fmt: skip
    monkeypatch.delenv("MR_PROBER_API_KEY")
    file = api.key_file.with_name("short.key")
    file.write_text(key)
    monkeypatch.setenv("MR_PROBER_API_KEY_FILE", str(file))
    assert synchronize("plan") == 2
    database = Database(api.database_url)
    with database.engine.begin() as connection:
        connection.execute(
            update(ApiKey).where(ApiKey.name == "short").values(expires_at=datetime.now(UTC))
        )
    database.dispose()
    # The API may remember a key for some seconds.
    wait_until(lambda: synchronize("plan") == 1)
    (*_, line) = capsys.readouterr().err.splitlines()
    assert f"does not take the key of {file}: it is wrong, has ended or was revoked" in line


def test_an_api_that_is_away_is_told_in_one_line(
    configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("MR_PROBER_API_KEY", "key")
    # Nobody listens on port 1.
    assert run(["--configs", str(configs), "--api-url", "http://127.0.0.1:1", "apply"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("the API at http://127.0.0.1:1 cannot be reached: ")


@pytest.mark.parametrize("url", ["bogus", "ftp://x", "http://", "http://x:port", "127.0.0.1:8080"])
def test_what_is_no_address_is_named_with_its_setting(
    configs: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("MR_PROBER_API_KEY", "key")
    assert run(["--configs", str(configs), "--api-url", url]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{url!r} is no address of the API: set MR_PROBER_API_URL or --api-url")


def test_an_address_below_the_apis_is_told_as_that(
    api: RunningApi, synchronize: Synchronize, capsys: Output
) -> None:
    assert synchronize("plan", "--api-url", f"{api.url}/page") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "it answers, but has no /api/v1/" in line
    assert line.endswith("is the address right?")


def test_a_missing_key_names_the_setting(
    configs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.delenv("MR_PROBER_API_KEY", raising=False)
    monkeypatch.setenv("MR_PROBER_API_KEY_FILE", str(configs / "no.key"))
    assert run(["--configs", str(configs)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "set MR_PROBER_API_KEY, or MR_PROBER_API_KEY_FILE" in line


@pytest.mark.parametrize(
    "arguments",
    [["aply"], ["plan", "--bogus"], ["--configs"], ["plan", "x"], ["plan", "--adopt", "clutser/x"]],
)
def test_wrong_usage_is_64(arguments: list[str], capsys: Output) -> None:
    assert run(arguments) == 64
    assert "Error: " in capsys.readouterr().err


def test_starts_from_the_root_as_the_docs_say(configs: Path, tmp_path: Path) -> None:
    process = processes.start(
        [sys.executable, "tools/synchronize/main.py", "--configs", str(tmp_path / "nowhere")],
        environment={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        stdout=processes.PIPE,
        stderr=processes.PIPE,
    )
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == b""
    assert b"nowhere: is not there: --configs or MR_PROBER_CONFIGS names" in errors
    assert errors.endswith(b"\n1 mistake: nothing was applied.\n")
