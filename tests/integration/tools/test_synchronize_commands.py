"""The other commands of synchronize against the real API: saved plans, export, adoption, protection, scaffolds."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.contracts.clusters import ClusterState, VariablePut
from common.contracts.recipes import RecipeUpdate
from tests.integration.tools.conftest import RunningApi

Synchronize = Callable[..., int]
Output = pytest.CaptureFixture[str]


def test_a_saved_plan_is_applied_as_reviewed_or_refused(
    api: RunningApi, configs: Path, synchronize: Synchronize, tmp_path: Path, capsys: Output
) -> None:
    plan = str(tmp_path / "plan.json")
    assert synchronize("plan", "--out", plan) == 2
    program = configs / "probers/ping/probe.py"
    reviewed = program.read_text()
    program.write_text("print('sneaked in')\n")
    assert synchronize("apply", plan) == 1
    assert "create prober ping is not in the plan" in capsys.readouterr().err
    assert api.client().probers() == []
    program.write_text(reviewed)
    assert synchronize("apply", plan) == 0
    assert synchronize("plan") == 0
    assert synchronize("apply", plan) == 0
    assert synchronize("apply", plan, "--force") == 64


@pytest.mark.parametrize("api", ["sqlite", "postgresql"], indirect=True)
def test_an_existing_installation_becomes_a_repository(
    api: RunningApi, synchronize: Synchronize, tmp_path: Path, capsys: Output
) -> None:
    synchronize("apply")
    client = api.client()
    client.put_variable("demo", "nodes", VariablePut(value=["n"], managed_by="meeseeks"))
    new = str(tmp_path / "new")
    assert synchronize("export", "--configs", new) == 0
    assert synchronize("plan", "--configs", new) == 0
    assert synchronize("validate", "--configs", new) == 0
    recipe = client.recipe("vms")
    client.change_recipe(
        "vms", RecipeUpdate(managed_by="", description="by hand"), etag=recipe.etag
    )
    assert synchronize("plan", "--configs", new) == 1
    assert "--adopt recipe/vms takes it over" in capsys.readouterr().out
    assert synchronize("export", "--configs", new, "--adopt", "recipe/*") == 0
    capsys.readouterr()
    assert synchronize("plan", "--configs", new, "--adopt", "recipe/vms", "--json") == 2
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert [field["field"] for field in change["fields"]] == ["managed_by"]
    assert synchronize("apply", "--configs", new, "--adopt", "recipe/vms") == 0
    assert client.recipe("vms").managed_by == "synchronize"


def test_a_protected_cluster_needs_its_name(
    api: RunningApi, configs: Path, synchronize: Synchronize, capsys: Output
) -> None:
    file = configs / "environments/local/clusters/demo.yaml"
    file.write_text(file.read_text() + "protected: true\n")
    assert synchronize("apply") == 0
    assert api.client().cluster("demo").protected
    file.unlink()
    assert synchronize("apply", "--force") == 1
    assert "cluster demo is protected" in capsys.readouterr().out
    assert api.client().cluster("demo").state is ClusterState.ACTIVE
    assert synchronize("apply", "--force", "--delete-protected", "demo") == 0
    assert api.client().cluster("demo").state is ClusterState.DELETING


def test_variables_are_handed_over_and_then_left_alone(
    api: RunningApi, configs: Path, synchronize: Synchronize
) -> None:
    file = configs / "environments/local/clusters/demo.yaml"
    file.write_text(file.read_text() + "handed_over: {meeseeks: {compute_nodes: []}}\n")
    assert synchronize("apply") == 0
    meeseeks = api.client(manager="meeseeks")
    seen = meeseeks.variable("demo", "compute_nodes")
    assert (seen.value, seen.managed_by) == ([], "meeseeks")
    meeseeks.put_variable("demo", "compute_nodes", VariablePut(value=["n1"]), etag=seen.etag)
    assert synchronize("plan") == 0
    assert meeseeks.variable("demo", "compute_nodes").value == ["n1"]


def test_a_secret_is_neither_shown_nor_exported(
    api: RunningApi, configs: Path, synchronize: Synchronize, tmp_path: Path, capsys: Output
) -> None:
    synchronize("apply")
    secret = VariablePut(value="planted", sensitive=True)
    api.client().put_variable("demo", "password", secret)
    assert synchronize("plan") == 0
    assert synchronize("export", "--configs", str(tmp_path / "new"), "--adopt", "all") == 0
    printed = capsys.readouterr().out
    assert "variable demo/password is secret: it stays in the API alone" in printed
    file = configs / "environments/local/clusters/demo.yaml"
    file.write_text(file.read_text().replace("{hosts: 3", "{password: other, hosts: 3"))
    assert synchronize("plan", "--adopt", "all") == 1
    assert "is secret in the API" in capsys.readouterr().out


def test_scaffolds_apply_as_they_are(
    api: RunningApi, synchronize: Synchronize, tmp_path: Path, capsys: Output
) -> None:
    new = ("--configs", str(tmp_path / "new"))
    assert synchronize("plan", *new) == 1
    assert synchronize("new", "prober", "ssh-port", *new) == 0
    assert synchronize("validate", *new) == 1
    told = capsys.readouterr().err
    assert "new: is not there: --configs or MR_PROBER_CONFIGS names the config repository" in told
    assert "environments/local: is not there: --environment or MR_PROBER_ENVIRONMENT names" in told
    # What its first line names is there for editors.
    assert (tmp_path / "new/schemas/prober.schema.json").exists()
    assert synchronize("new", "recipe", "machines", *new) == 0
    assert synchronize("new", "cluster", "first", "--recipe", "machines", *new) == 0
    assert synchronize("new", "prober", "ssh-port", *new) == 1
    assert synchronize("apply", *new) == 0
    assert synchronize("plan", *new) == 0
    assert api.client().cluster("first").recipe == "machines"


def test_apply_tells_programs_what_came_of_it(synchronize: Synchronize, capsys: Output) -> None:
    assert synchronize("apply", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["applied"]["done"]) == told["plan"]["summary"]["create"] == 6
    assert synchronize("--json", "apply") == 0
    assert json.loads(capsys.readouterr().out)["applied"] is None


def test_markdown_is_for_ci(synchronize: Synchronize, capsys: Output) -> None:
    assert synchronize("plan", "--markdown") == 2
    assert capsys.readouterr().out.startswith("**Plan: 6 to create, 0 to change, 0 to delete.**\n")


def test_export_and_validate_tell_programs_what_came_of_it(
    configs: Path, synchronize: Synchronize, tmp_path: Path, capsys: Output
) -> None:
    assert synchronize("apply") == 0
    capsys.readouterr()
    new = tmp_path / "new"
    assert synchronize("export", "--configs", str(new), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert str(new / "probers/ping/probe.py") in told["written"]
    assert (told["removed"], told["notices"]) == ([], [])
    assert synchronize("--json", "validate") == 0
    told = json.loads(capsys.readouterr().out)
    kinds = {"recipes": 1, "probers": 2, "configs": 2, "clusters": 1}
    assert told == {"environments": {"local": kinds}, "mistakes": []}
    file = configs / "probers/pong/prober.yaml"
    file.write_text("command: ['true']\nownr: x\n")
    assert synchronize("validate", "--json") == 1
    assert json.loads(capsys.readouterr().out)["mistakes"] == [
        {
            "file": str(file),
            "line": 2,
            "field": "ownr",
            "text": "unknown field, did you mean owner?",
        }
    ]
