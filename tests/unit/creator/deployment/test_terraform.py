"""The exact words that terraform gets, and what its answers mean."""

import json
from pathlib import Path

import pytest

from common.contracts.clusters import HostDescription
from creator.deployment.terraform import (
    Arguments,
    environment,
    error_in,
    hosts_in,
    outputs_in,
    shortened,
)
from creator.errors import HostsOutputError

PLAN = Path("/w/plan.tfplan")


def test_the_exact_words_of_each_command() -> None:
    arguments = Arguments("/bin/terraform")

    assert arguments.version() == ["/bin/terraform", "version", "-json"]
    assert arguments.init() == [
        "/bin/terraform", "init", "-input=false", "-no-color", "-reconfigure",
    ]  # fmt: skip
    assert arguments.init(lock_is_given=True) == [
        "/bin/terraform", "init", "-input=false", "-no-color", "-reconfigure", "-lockfile=readonly",
    ]  # fmt: skip
    assert arguments.plan(PLAN) == [
        "/bin/terraform", "plan", "-detailed-exitcode", "-json", "-out=/w/plan.tfplan",
        "-var-file=terraform.tfvars.json", "-input=false", "-no-color", "-lock-timeout=60s",
    ]  # fmt: skip
    assert arguments.plan(PLAN, destroy=True) == [
        "/bin/terraform", "plan", "-destroy", "-detailed-exitcode", "-json", "-out=/w/plan.tfplan",
        "-var-file=terraform.tfvars.json", "-input=false", "-no-color", "-lock-timeout=60s",
    ]  # fmt: skip
    assert arguments.plan(PLAN, replace=["a.b[0]", 'a.c["x"]']) == [
        "/bin/terraform", "plan", "-detailed-exitcode", "-json", "-out=/w/plan.tfplan",
        "-replace=a.b[0]", '-replace=a.c["x"]',
        "-var-file=terraform.tfvars.json", "-input=false", "-no-color", "-lock-timeout=60s",
    ]  # fmt: skip
    assert arguments.apply(PLAN) == [
        "/bin/terraform", "apply", "-json", "-input=false", "-no-color", "-lock-timeout=60s",
        "/w/plan.tfplan",
    ]  # fmt: skip
    assert arguments.show(PLAN) == ["/bin/terraform", "show", "-no-color", "/w/plan.tfplan"]
    assert arguments.output() == ["/bin/terraform", "output", "-json", "-no-color"]
    assert arguments.state_list() == ["/bin/terraform", "state", "list"]
    assert arguments.force_unlock("i") == ["/bin/terraform", "force-unlock", "-force", "i"]


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


def test_hosts_are_read_from_the_output() -> None:
    value = {"vm-1": {"address": "10.0.0.1", "labels": {"zone": "a"}}, "vm-2": {}}
    answer = json.dumps({"mr_prober_hosts": {"sensitive": False, "type": "…", "value": value}})

    assert hosts_in(outputs_in(answer.encode())) == {
        "vm-1": HostDescription(address="10.0.0.1", labels={"zone": "a"}),
        "vm-2": HostDescription(),
    }
    assert hosts_in({}) == {}


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"vm-1": {"address": 5}}, "vm-1.address: "),
        ({"vm-1": {"labels": {"zone": 1}}}, "vm-1.labels.zone: "),
        ({"vm-1": "10.0.0.1"}, "vm-1: "),
        ({"vm 1": {}}, "vm 1"),
        (["vm-1"], "mr_prober_hosts: "),
    ],
)
def test_a_wrong_hosts_output_is_named(value: object, named: str) -> None:
    with pytest.raises(HostsOutputError, match=r"^the output mr_prober_hosts is not") as raised:
        hosts_in({"mr_prober_hosts": value})

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
