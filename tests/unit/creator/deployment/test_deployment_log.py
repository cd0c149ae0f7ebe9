"""What people see of terraform's output."""

from pathlib import Path

from creator.deployment.logs import DeploymentLog
from creator.deployment.terraform import MAX_LOG_LENGTH


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


def test_a_flood_is_bounded_and_shows_its_beginning_and_its_end(tmp_path: Path) -> None:
    log = DeploymentLog(tmp_path / "log", [])
    log.add("the beginning")
    log.add("x" * (3 * MAX_LOG_LENGTH))
    log.add("Error: the end")

    text = log.text()

    assert len(text) <= MAX_LOG_LENGTH
    assert text.startswith("the beginning\n")
    assert text.endswith("Error: the end\n")
    assert "are left out" in text


def test_a_cut_never_shows_half_a_secret(tmp_path: Path) -> None:
    secret = "mr.1.0123456789"
    log = DeploymentLog(tmp_path / "log", [secret])
    # Whatever the cut is, it falls into a secret.
    log.add(secret * (4 * MAX_LOG_LENGTH // len(secret)))

    rest = log.text().replace("(sensitive)", "").partition("\n… ")
    mark, _, tail = rest[2].partition(" …\n")

    assert "left out" in mark
    assert not set(rest[0]) - set("(sensitive)")
    assert not set(tail.strip()) - set("(sensitive)")


def test_no_more_of_a_flood_is_read_than_is_shown(tmp_path: Path) -> None:
    log = DeploymentLog(tmp_path / "log", [])
    with log.path.open("wb") as terraform:
        terraform.truncate(64 * 1024**3)  # a sparse file, larger than the memory
        terraform.seek(0, 2)
        terraform.write(b"the end")

    assert log.text().endswith("the end")
