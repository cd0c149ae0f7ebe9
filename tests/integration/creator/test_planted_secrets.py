"""Secrets planted wherever terraform may show them are shown nowhere: not in rows, logs, objects, nor in any process' words."""

import json
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue
from sqlalchemy import MetaData, select

from common.contracts.clusters import DeploymentState, DeployPolicy
from common.masking import MASK
from tests.integration.creator.installation import Installation

PLAIN = "correct-horse-battery-staple"
LINES = 'first "quoted" line of it\nsecond <line> & more'
NESTED: JsonValue = {"users": [{"name": "ann", "password": "nested-password-of-ann"}]}
PLANTED = [PLAIN, "quoted", "<line>", "nested-password-of-ann"]
TELLTALE = """
variable "plain" {}
variable "lines" {}
variable "nested" {}
variable "seen" {}
variable "fails" { default = false }

resource "terraform_data" "keys" {
  for_each = { (var.plain) = jsonencode(var.nested) }
  input    = each.value
}

resource "terraform_data" "thing" {
  input            = { plain = var.plain, lines = var.lines, nested = var.nested }
  triggers_replace = [var.plain, var.lines]
  provisioner "local-exec" {
    command = "cat terraform.tfvars.json; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ > ${var.seen} 2> /dev/null; test ${var.fails} = false"
  }
}

resource "terraform_data" "sure" {
  input = "sure"
  lifecycle {
    precondition {
      condition     = !var.fails
      error_message = "a provider would say: ${var.plain} ${jsonencode(var.nested)} ${var.lines}"
    }
  }
}

output "mr_prober_hosts" {
  value = { "demo-1" = { address = nonsensitive(var.plain), labels = { lines = var.lines } } }
}
"""
MARKED = """
variable "secret" { sensitive = true }
variable "fails" { default = false }

resource "terraform_data" "thing" {
  input = { said = var.secret, nested = { deep = [var.secret] } }
  provisioner "local-exec" {
    command = "echo ${var.secret}"
  }
}

resource "terraform_data" "sure" {
  lifecycle {
    precondition {
      condition     = !var.fails
      error_message = "a provider would say: ${var.secret}"
    }
  }
}

output "mr_prober_hosts" {
  value     = { "demo-1" = { address = var.secret } }
  sensitive = true
}
"""
# Where terraform does not know what it says, whatever the recipe marks.
UNMARKED = """
variable "secret" { sensitive = true }

resource "terraform_data" "thing" {
  input = nonsensitive(var.secret)
  provisioner "local-exec" {
    command = "cat terraform.tfvars.json"
  }
}
"""


def _everything_stored(installation: Installation) -> str:
    """All rows of all tables, but for values that are encrypted."""
    metadata = MetaData()
    metadata.reflect(installation.database.engine)
    with installation.database.reading() as session:
        rows = [
            repr(row) for table in metadata.sorted_tables for row in session.execute(select(table))
        ]
    return "\n".join(rows)


def _objects(installation: Installation) -> bytes:
    return b"".join(
        path.read_bytes()
        for path in (installation.data_folder / "objects").rglob("*")
        if path.is_file()
    )


def _shown(installation: Installation, caplog: pytest.LogCaptureFixture) -> list[str]:
    whole = _everything_stored(installation) + caplog.text
    # As JSON in a column writes it, too; some of it is no JSON, and has other backslashes.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        texts = [whole, whole.encode().decode("unicode_escape", errors="replace")]
    return [word for word in PLANTED if any(word in text for text in texts)]


def _described(installation: Installation, **values: str | bool) -> None:
    installation.add_recipe("telltale", {"main.tf": TELLTALE})
    seen = str(installation.data_folder / "seen")
    installation.add_cluster("demo", "telltale", {"seen": seen, **values})
    installation.add_secret("demo", "plain", PLAIN)
    installation.add_secret("demo", "lines", LINES)
    installation.add_secret("demo", "nested", NESTED)


def test_an_apply_shows_no_secret(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    _described(installation)
    assert installation.run_pass()
    (deployment,) = installation.deployments("demo")
    assert MASK in deployment.log, "the provisioner printed all of them"
    assert f'terraform_data.keys["{MASK}"]' in {one["address"] for one in deployment.changes}
    assert installation.cluster("demo").hosts["demo-1"]["address"] == MASK
    assert _shown(installation, caplog) == []
    processes = (installation.data_folder / "seen").read_bytes()
    assert b"terraform" in processes
    assert [word for word in PLANTED if word.encode() in processes] == []
    # Nor does what a destroy will need.
    assert [word for word in PLANTED if word.encode() in _objects(installation)] == []


def test_a_plan_that_waits_shows_no_secret(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    _described(installation)
    installation.update_cluster("demo", deploy_policy=DeployPolicy.APPROVE)
    assert installation.run_pass()
    (deployment,) = installation.deployments("demo")
    assert deployment.state is DeploymentState.WAITING_FOR_APPROVAL
    assert MASK in deployment.plan_text
    assert _shown(installation, caplog) == []
    assert [word for word in PLANTED if word.encode() in _objects(installation)] == []
    assert not installation.workspace("demo").saved_plan.exists()


def test_an_error_shows_no_secret(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    _described(installation, fails=True)
    assert not installation.run_pass()
    (deployment,) = installation.deployments("demo")
    assert "a provider would say" in deployment.error
    assert MASK in deployment.error
    assert _shown(installation, caplog) == []


def test_a_crash_of_terraform_shows_no_secret(
    sqlite_installation: Installation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    terraform = tmp_path / "terraform"
    real = sqlite_installation.environment()["MR_PROBER_TERRAFORM"]
    crash = (
        'if [ "$1" = apply ]; then (echo panic:; cat terraform.tfvars.json; env) >&2; exit 11; fi'
    )
    terraform.write_text(f'#!/bin/sh\n{crash}\nexec {real} "$@"\n')
    terraform.chmod(terraform.stat().st_mode | stat.S_IXUSR)
    sqlite_installation.settings["terraform"] = str(terraform)
    _described(sqlite_installation)
    assert not sqlite_installation.run_pass()
    (deployment,) = sqlite_installation.deployments("demo")
    assert deployment.state is DeploymentState.FAILED
    assert "panic:" in deployment.error
    assert MASK in deployment.error
    assert _shown(sqlite_installation, caplog) == []


def _shown_of(installation: Installation) -> dict[str, str]:
    """What people see of the only deployment."""
    (row,) = installation.deployments("demo")
    changes = json.dumps(row.changes)
    return {"log": row.log, "plan": row.plan_text, "error": row.error, "changes": changes}


def test_where_terraforms_own_marks_suffice_without_masking(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.add_recipe("marked", {"main.tf": MARKED})
    sqlite_installation.add_cluster("demo", "marked", deploy_policy=DeployPolicy.APPROVE)
    sqlite_installation.add_secret("demo", "secret", PLAIN)
    assert sqlite_installation.run_pass_without_masking()
    sqlite_installation.rule("demo", approved=True)
    assert sqlite_installation.run_pass_without_masking()
    (deployment,) = sqlite_installation.deployments("demo")
    assert deployment.state is DeploymentState.SUCCEEDED
    shown = _shown_of(sqlite_installation)
    assert "suppressed due to sensitive value" in shown["log"], "of the provisioner's output"
    assert "(sensitive value)" in shown["plan"]
    assert [where for where, text in shown.items() if PLAIN in text] == []
    # What a recipe hands over as a host's address is meant to be seen: there only masking helps.
    assert sqlite_installation.cluster("demo").hosts["demo-1"]["address"] == PLAIN


def test_marks_hide_what_a_condition_would_say_too(sqlite_installation: Installation) -> None:
    sqlite_installation.add_recipe("marked", {"main.tf": MARKED})
    sqlite_installation.add_cluster("demo", "marked", {"fails": True})
    sqlite_installation.add_secret("demo", "secret", PLAIN)
    assert not sqlite_installation.run_pass_without_masking()
    shown = _shown_of(sqlite_installation)
    assert "has an invalid error message" in shown["error"]
    assert [where for where, text in shown.items() if PLAIN in text] == []


def test_where_only_masking_helps(sqlite_installation: Installation) -> None:
    sqlite_installation.add_recipe("unmarked", {"main.tf": UNMARKED})
    runs: dict[str, Callable[[], bool]] = {
        "demo": sqlite_installation.run_pass_without_masking,
        "masked": sqlite_installation.run_pass,
    }
    for slug, run in runs.items():
        sqlite_installation.add_cluster(slug, "unmarked", deploy_policy=DeployPolicy.APPROVE)
        sqlite_installation.add_secret(slug, "secret", PLAIN)
        assert run()
        sqlite_installation.rule(slug, approved=True)
        assert run()
    shown = _shown_of(sqlite_installation)
    assert [where for where, text in shown.items() if PLAIN in text] == ["log", "plan"]
    (masked,) = sqlite_installation.deployments("masked")
    assert masked.state is DeploymentState.SUCCEEDED
    assert PLAIN not in masked.log + masked.plan_text
    assert MASK in masked.log
    assert MASK in masked.plan_text
