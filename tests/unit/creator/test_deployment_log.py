"""What people see of terraform's output."""

from pathlib import Path

from creator.logs import DeploymentLog
from creator.terraform import MAX_LOG_LENGTH


def test_lines_are_kept_in_order_without_secrets_and_only_their_owner_reads_the_file(
    tmp_path: Path,
) -> None:
    log = DeploymentLog(tmp_path / "log", ["the token"])
    log.add("$ terraform init")
    begin = log.add("$ terraform plan")
    with log.path.open("ab") as terraform:
        terraform.write(b"says the token \xff\0\n")

    assert log.text() == "$ terraform init\n$ terraform plan\nsays (sensitive) \ufffd\n"
    assert log.text_from(begin) == "says (sensitive) \ufffd\n"
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_deployment_that_said_nothing_has_an_empty_log(tmp_path: Path) -> None:
    log = DeploymentLog(tmp_path / "log", [])

    assert (log.text(), log.size()) == ("", 0)


def test_a_flood_is_bounded(tmp_path: Path) -> None:
    log = DeploymentLog(tmp_path / "log", [])
    log.add("x" * (MAX_LOG_LENGTH + 1))

    assert len(log.text()) <= MAX_LOG_LENGTH
