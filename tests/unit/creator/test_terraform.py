"""The exact words that terraform gets, and what its answers mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.contracts.clusters import HostDescription, PlannedChanges, PlanSummary
from creator.errors import HostsOutputError
from creator.terraform import (
    Arguments,
    environment,
    error_in,
    hosts_output,
    plan_summary,
    planned_changes,
    shortened,
)

PLAN = Path("/w/plan.tfplan")


def test_the_exact_words_of_each_command() -> None:
    arguments = Arguments("/bin/terraform")

    assert arguments.version() == ["/bin/terraform", "version", "-json"]
    assert arguments.init() == [
        "/bin/terraform", "init", "-input=false", "-no-color", "-reconfigure",
    ]  # fmt: skip
    assert arguments.plan(PLAN) == [
        "/bin/terraform", "plan", "-detailed-exitcode", "-out=/w/plan.tfplan",
        "-var-file=terraform.tfvars.json", "-input=false", "-no-color", "-lock-timeout=60s",
    ]  # fmt: skip
    assert arguments.plan(PLAN, destroy=True) == [
        "/bin/terraform", "plan", "-destroy", "-detailed-exitcode", "-out=/w/plan.tfplan",
        "-var-file=terraform.tfvars.json", "-input=false", "-no-color", "-lock-timeout=60s",
    ]  # fmt: skip
    assert arguments.apply(PLAN) == [
        "/bin/terraform", "apply", "-input=false", "-no-color", "-lock-timeout=60s", "/w/plan.tfplan",
    ]  # fmt: skip
    assert arguments.show(PLAN) == [
        "/bin/terraform", "show", "-json", "-no-color", "/w/plan.tfplan",
    ]  # fmt: skip
    assert arguments.output() == ["/bin/terraform", "output", "-json", "-no-color"]


def test_words_do_not_depend_on_a_state_in_our_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "terraform.tfstate").write_text("not JSON")
    monkeypatch.chdir(tmp_path)

    assert Arguments("terraform").output()[0] == "terraform"


def test_the_environment_is_exactly_this() -> None:
    given = environment(path="/p", home="/h", language="C", cli_configuration=Path("/d/rc"))

    assert given == {
        "PATH": "/p",
        "HOME": "/h",
        "LANG": "C",
        "TF_CLI_CONFIG_FILE": "/d/rc",
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
    }


def test_a_replacement_counts_as_created_and_destroyed() -> None:
    actions = [["create"], ["update"], ["delete"], ["delete", "create"], ["create", "delete"]]
    actions += [["no-op"], ["read"]]
    changes = [{"change": {"actions": each}} for each in actions]

    summary = plan_summary(json.dumps({"resource_changes": changes}).encode())

    assert summary == PlanSummary(create=3, change=1, destroy=3)
    assert plan_summary(b"{}") == PlanSummary()


def test_each_resource_that_changes_is_named_with_what_happens_to_it_and_without_secrets() -> None:
    def change(address: str, *actions: str) -> dict[str, Any]:
        return {"address": address, "change": {"actions": actions, "after": {"a": "value"}}}

    changes = [
        change("a.kept", "no-op"),
        change("data.b.read", "read"),
        change('c.made["hunter2"]', "create"),
        change("d.replaced", "delete", "create"),
    ]
    shown = json.dumps({"resource_changes": changes}).encode()
    told = planned_changes(shown, lambda text: text.replace("hunter2", "(sensitive)"))
    assert told.model_dump() == {
        "resources": [
            {"address": 'c.made["(sensitive)"]', "actions": ["create"]},
            {"address": "d.replaced", "actions": ["delete", "create"]},
        ],
        "left_out": 0,
    }
    many = [change(f"a.x[{number}]", "update") for number in range(1003)]
    told = planned_changes(json.dumps({"resource_changes": many}).encode(), str)
    assert (len(told.resources), told.left_out) == (1000, 3)
    assert planned_changes(b"{}", str) == PlannedChanges()


def test_hosts_are_read_from_the_output() -> None:
    value = {"vm-1": {"address": "10.0.0.1", "labels": {"zone": "a"}}, "vm-2": {}}
    outputs = {"mr_prober_hosts": {"sensitive": False, "type": "…", "value": value}}

    assert hosts_output(json.dumps(outputs).encode()) == {
        "vm-1": HostDescription(address="10.0.0.1", labels={"zone": "a"}),
        "vm-2": HostDescription(),
    }
    assert hosts_output(b"{}") is None


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"vm-1": {"address": 5}}, "vm-1.address: "),
        ({"vm-1": {"labels": {"zone": 1}}}, "vm-1.labels.zone: "),
        ({"vm-1": "10.0.0.1"}, "vm-1: "),
        ({"vm 1": {}}, "vm 1"),
        (["vm-1"], "mr_prober_hosts: "),
        (None, "mr_prober_hosts: "),
    ],
)
def test_a_wrong_hosts_output_is_named(value: object, named: str) -> None:
    with pytest.raises(HostsOutputError, match=r"^the output mr_prober_hosts is not") as raised:
        hosts_output(json.dumps({"mr_prober_hosts": {"value": value}}).encode())

    assert named in str(raised.value)


def test_an_error_is_all_that_terraform_says_from_its_first_error_on() -> None:
    said = "Warning: old\n\nx: Creating...\n\nError: one\n\n  on main.tf line 3:\n\nError: two\n"

    assert error_in(said) == "Error: one\n\n  on main.tf line 3:\n\nError: two"
    assert error_in("x (local-exec): Error: not its own\n") == ""


def test_an_error_is_bounded() -> None:
    message = error_in("Error: a" + "x" * 10_000 + "end")

    assert len(message) <= 4096
    assert message.startswith("Error: a")
    assert message.endswith("end")


@pytest.mark.parametrize("length", [0, 99, 100, 101, 5000])
def test_a_long_text_keeps_both_ends_within_the_limit(length: int) -> None:
    text = "".join(chr(97 + number % 26) for number in range(length))

    short = shortened(text, 100)

    assert len(short) <= 100
    assert (short == text) == (length <= 100)
