"""What terraform writes is taken up as it comes, whatever it looks like."""

import json
from pathlib import Path

from creator.deployment.events import Events
from creator.deployment.logs import DeploymentLog
from creator.deployment.step_output import StepOutput


def _event(message: str) -> str:
    return json.dumps({"@message": message, "type": "log"})


def test_lines_are_taken_up_whole_once_and_in_order(tmp_path: Path) -> None:
    log = DeploymentLog(())
    output = StepOutput(tmp_path, Events(), log)
    output.read()
    stdout = tmp_path / "stdout"
    first, second = _event("one"), _event("two")
    stdout.write_text(f"{first}\n{second[:10]}")
    output.read()
    stdout.write_text(f"{first}\n{second}\n{_event('three')}")
    (tmp_path / "stderr").write_text("a complaint\nwithout an end")
    output.read()
    output.read_to_end()
    assert log.text().splitlines() == ["one", "two", "a complaint", "three", "without an end"]
    assert list(output.said) == log.text().splitlines()


def test_bytes_that_are_no_text_and_lines_without_end_are_shown_too(tmp_path: Path) -> None:
    log = DeploymentLog(())
    (tmp_path / "stdout").write_bytes(b"\xff\xfe\x00bad\n" + b"x" * 9_000_000)
    StepOutput(tmp_path, Events(), log).read_to_end()
    assert log.text().startswith("\ufffd\ufffdbad\n")
    assert "are left out" in log.text()
