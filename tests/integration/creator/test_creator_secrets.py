"""Sensitive values reach terraform, and nothing else: with a recipe that does all to show them."""

from pathlib import Path

from common.contracts.clusters import DeploymentState
from tests.integration.creator.installation import Installation

OLD, NEW = "correct-horse-battery", 'new"staple\nsecond line of it'
TELLTALE = """
variable "password" {}
variable "fails" { default = false }
variable "mr_prober_cluster" {}

resource "terraform_data" "thing" {
  input = { password = var.password, text = "p=${var.password}" }
  triggers_replace = var.password
  provisioner "local-exec" {
    command     = "printf '%s\\\\n' \\"$WORD\\"; printf '%s\\\\n' \\"$WORD\\" >&2; test $FAILS = false"
    environment = { WORD = var.password, FAILS = var.fails }
  }
}

output "mr_prober_hosts" {
  value = { "demo-1" = { address = "192.0.2.1", labels = { said = var.password } } }
}
"""


def _found_in_rows(installation: Installation, *words: str) -> list[str]:
    rows = installation.deployments("demo")
    shown = [f"{row.log}\n{row.error}\n{row.summary}" for row in rows]
    shown.append(str(installation.cluster("demo").hosts))
    return [word for word in words for text in shown if word in text]


def test_a_sensitive_value_is_used_and_never_shown(installation: Installation) -> None:
    installation.add_recipe("telltale", {"main.tf": TELLTALE})
    installation.add_cluster("demo", "telltale")
    installation.add_secret("demo", "password", OLD)
    assert installation.run_pass()
    assert OLD in installation.state("demo").read_text()
    assert "(sensitive)" in installation.deployments("demo")[0].log
    installation.add_secret("demo", "password", NEW)
    assert installation.run_pass()
    assert len(installation.deployments("demo")) == 2
    assert _found_in_rows(installation, OLD, "staple", "second line of it") == []
    hosts = installation.cluster("demo").hosts
    assert hosts["demo-1"]["labels"] == {"said": "(sensitive)"}


def test_a_failing_provisioner_shows_nothing_either(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    sqlite_installation.add_recipe("telltale", {"main.tf": TELLTALE})
    sqlite_installation.add_cluster("demo", "telltale", {"fails": True})
    sqlite_installation.add_secret("demo", "password", "correct horse battery staple " * 5)
    assert not sqlite_installation.run_pass()
    (row,) = sqlite_installation.deployments("demo")
    assert row.state is DeploymentState.FAILED
    assert "local-exec" in row.error
    assert _found_in_rows(sqlite_installation, "horse", "staple") == []
    readable = [path for path in tmp_path.rglob("*") if _shows(path, "horse battery")]
    assert readable
    assert [
        path for path in readable if path.stat().st_mode & 0o077 and not _is_inside_private(path)
    ] == []


def test_the_same_secret_again_is_nothing_new(sqlite_installation: Installation) -> None:
    sqlite_installation.add_recipe("telltale", {"main.tf": TELLTALE})
    sqlite_installation.add_cluster("demo", "telltale")
    sqlite_installation.add_secret("demo", "password", OLD)
    sqlite_installation.run_pass()
    sqlite_installation.add_secret("demo", "password", OLD)  # other bytes in the row
    sqlite_installation.run_pass()
    assert len(sqlite_installation.deployments("demo")) == 1


def test_a_secret_that_cannot_be_opened_stops_nobody_else(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.add_recipe("telltale", {"main.tf": TELLTALE})
    for slug in ("demo", "other"):
        sqlite_installation.add_cluster(slug, "telltale")
        sqlite_installation.add_secret(slug, "password", OLD)
    other = sqlite_installation.secret("other", "password")
    sqlite_installation.set_encrypted("demo", "password", other)  # a row that was moved
    assert not sqlite_installation.run_pass()
    assert sqlite_installation.deployments("demo") == []
    assert sqlite_installation.deployments("other")[0].state is DeploymentState.SUCCEEDED


def _shows(path: Path, words: str) -> bool:
    return path.is_file() and words.encode() in path.read_bytes()


def _is_inside_private(path: Path) -> bool:
    return any(not folder.stat().st_mode & 0o077 for folder in path.parents)
