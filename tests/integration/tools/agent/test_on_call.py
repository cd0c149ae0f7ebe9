"""`yc-mr-prober-agent` beside a real agent: the on-call story, command by command."""

import json
import signal
import sys
import tarfile
from pathlib import Path

from common import processes
from common.contracts.states import State
from tests.integration.agent.stand_ins import wait_until
from tests.integration.tools.agent.conftest import ROOT, Patient, Tool

SECRET = "sesame-open-42"


def state_of(patient: Patient, slug: str = "prober-1") -> State:
    return next(one.state for one in patient.control.state().probers if one.slug == slug)


def contents_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {
            name: file.read() for name in archive.getnames() if (file := archive.extractfile(name))
        }


def test_the_on_call_story(patient: Patient, tool: Tool) -> None:
    """A prober goes red; status names it, logs say why, run shows it again, pause silences it, it wakes by itself."""
    wait_until(lambda: state_of(patient) is State.SUCCESS)
    assert json.loads(tool("status", "--json").out)["judgement"]["culprit"] != "target"

    patient.switch.unlink()
    wait_until(lambda: state_of(patient) is State.FAILURE)
    found = json.loads(tool("status", "--json").out)["judgement"]
    (fault,) = [one for one in found["findings"] if one["party"] == "target"]
    assert fault["weight"] == "fault"
    assert fault["text"].startswith("prober-1 fails for ")
    assert fault["text"].endswith("(1 of 2, all with target=b): no answer from b")
    assert tool("status").code == 1

    # The recorder keeps a run a moment after the state has changed.
    wait_until(lambda: tool("logs", "prober-1", "--failed").out)
    told = tool("logs", "prober-1", "--failed")
    assert told.code == 0
    assert "target=b: no answer from b" in told.out
    assert "target=a" not in told.out

    again = tool("run", "prober-1", "--where", "target=b")
    assert again.code == 1
    assert "no answer from b" in again.out
    healed = tool("run", "prober-1", "--where", "target=b", "--set", "switch=/")
    assert healed.code == 0
    assert "✔ ok" in healed.out

    paused = tool("pause", "prober-1", "--for", "10s", "--why", "the target is replaced", "--json")
    assert (paused.code, json.loads(paused.out)["why"]) == (0, "the target is replaced")
    wait_until(lambda: state_of(patient) is State.PAUSED)
    wait_until(
        lambda: (
            patient.api.reports[-1]["pauses"]
            and patient.api.reports[-1]["probers"][0]["states"] == "55"
        )
    )
    wait_until(lambda: state_of(patient) is State.FAILURE)
    wait_until(lambda: not patient.api.reports[-1]["pauses"])


def test_what_was_run_by_hand_counts_nowhere(patient: Patient, tool: Tool) -> None:
    assert tool("pause", "all", "--for", "1h", "--why", "quiet").code == 0
    wait_until(lambda: patient.control.state().own.runs_in_progress == 0)
    before = patient.control.prober("prober-2").prober.figures.runs
    assert tool("run", "prober-2").code == 0
    assert patient.control.prober("prober-2").prober.figures.runs == before
    assert json.loads(tool("resume", "all", "--json").out) == {"pauses": []}


def test_a_folder_of_an_author_runs_before_it_is_in_the_api(
    patient: Patient, tool: Tool, tmp_path: Path
) -> None:
    folder = tmp_path / "port-open"
    folder.mkdir()
    (folder / "check.py").write_text(
        "import os, sys\nsys.exit(f\"{os.environ['VAR_TARGET']} is closed\")\n"
    )
    (folder / "prober.yaml").write_text(
        "command: [python3, check.py]\n"
        "configs:\n  everywhere:\n    clusters: ['*']\n    settings:\n"
        "      time_limit_seconds: 20\n      interval_seconds: 20\n"
        "      matrix: {target: {values: ['127.0.0.1:1']}}\n"
    )
    said = tool("run", "--path", str(folder), "--verbose")
    assert said.code == 1
    assert "127.0.0.1:1 is closed" in said.out
    assert "$ python3 check.py" in said.out
    assert "waiting" in said.err or "running" in said.err or not said.err


def test_show_explain_list_top_and_metrics(patient: Patient, tool: Tool) -> None:
    patient.switch.unlink()
    wait_until(lambda: state_of(patient) is State.FAILURE)
    assert "All that fail have target=b" in tool("show", "prober-1").out
    explained = tool("explain", "prober-1").out
    assert "check.sh" in explained
    assert "cluster: config all" in explained
    assert "next runs: " in explained
    unknown = tool("logs", "prober-9")
    assert (unknown.code, unknown.err) == (
        1,
        "no prober prober-9 runs on this host, did you mean prober-2?\n",
    )
    listed = tool("list").out.splitlines()
    assert listed[2].startswith("prober-1"), "what needs a person comes first"
    assert "prober-2" in tool("top").out
    points = json.loads(tool("metrics", "prober-1", "--json").out)["points"]
    assert {"mr_prober_runs", "mr_prober_state"} <= {point["name"] for point in points}


def test_logs_go_on_with_what_comes_until_they_are_interrupted(patient: Patient) -> None:
    command = ["--dir", str(patient.folder), "logs", "prober-2", "-n", "1", "-f", "--json"]
    process = processes.start(
        [sys.executable, str(ROOT / "tools/agent/main.py"), *command],
        environment={"PYTHONPATH": str(ROOT)},
        cwd=ROOT, stdout=processes.PIPE, stderr=processes.PIPE,
    )  # fmt: skip
    assert process.stdout
    numbers = [json.loads(process.stdout.readline())["number"] for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint.strip()) == (1, b"Interrupted.")
    assert numbers == sorted(set(numbers))


def test_the_doctor_has_a_line_for_each_thing(patient: Patient, tool: Tool) -> None:
    checks = {one["name"]: one for one in json.loads(tool("doctor", "--json").out)}
    assert checks["agent"]["health"] == checks["API"]["health"] == "ok"
    assert checks["clock"]["health"] == "ok"
    patient.api.status = 500
    wait_until(lambda: "API" in _ill(tool))
    assert tool("doctor").code == 1


def _ill(tool: Tool) -> list[str]:
    return [
        one["name"] for one in json.loads(tool("doctor", "--json").out) if one["health"] == "ill"
    ]


def test_no_secret_is_in_a_bundle_or_in_what_is_shown(
    patient: Patient, tool: Tool, tmp_path: Path
) -> None:
    """The prober prints its secret in each run."""
    wait_until(lambda: "asked a with" in tool("logs", "prober-1", "--verbose").out)
    path = tmp_path / "ticket.tar.gz"
    told = tool("bundle", "-o", str(path), "--json")
    assert json.loads(told.out) == {"path": str(path), "bytes": path.stat().st_size}
    contents = contents_of(path)
    assert {"ticket/state.json", "ticket/records.jsonl", "ticket/doctor.txt"} <= contents.keys()
    assert b"asked a with " in contents["ticket/records.jsonl"]
    shown = "".join(
        tool(*words).out
        for words in (
            ("status", "--json"), ("explain", "prober-1"), ("logs", "--verbose"),
            ("run", "prober-1", "--where", "target=a", "--verbose"),
        )
    )  # fmt: skip
    assert "asked a with " in shown
    assert SECRET not in shown
    assert not [name for name, content in contents.items() if SECRET.encode() in content]
    assert patient.api.token not in shown


def test_a_dead_agent_is_told_from_its_disk(patient: Patient, tool: Tool, tmp_path: Path) -> None:
    patient.switch.unlink()
    wait_until(lambda: state_of(patient) is State.FAILURE)
    assert tool("pause", "prober-2", "--for", "1h", "--why", "quiet").code == 0
    patient.end()
    status = tool("status")
    assert status.code == 1
    for part in ("no agent answers", "demo/h1", "boot 1", "no answer from b", "quiet"):
        assert part in status.out
    assert json.loads(tool("status", "--json").out)["remains"]["identity"]["host"] == "h1"
    assert "no answer from b" in tool("logs", "prober-1", "--failed").out
    assert "cluster: config all" in tool("explain", "prober-1").out
    assert "no prober prober-9 runs on this host" in tool("explain", "prober-9").err
    assert "does not run" in tool("doctor").out
    path = tmp_path / "dead.tar.gz"
    assert tool("bundle", "-o", str(path)).code == 0
    contents = contents_of(path)
    assert json.loads(contents["dead/identity.json"])["host"] == "h1"
    assert json.loads(contents["dead/pauses.json"])["pauses"][0]["why"] == "quiet"
    assert b"no answer from b" in contents["dead/failed.jsonl"]
    assert json.loads(contents["dead/explain-prober-1.json"])["prober"]["settings"]
    assert b"does not run" in contents["dead/doctor.txt"]
    assert not [name for name, content in contents.items() if SECRET.encode() in content]
    for words in (("run", "prober-1"), ("resume", "all"), ("logs", "-f")):
        refused = tool(*words)
        assert (refused.code, "no agent answers" in refused.err) == (1, True), words


def test_a_folder_in_which_no_agent_ever_worked(tool: Tool, tmp_path: Path) -> None:
    said = tool("--dir", str(tmp_path / "nothing"), "status")
    assert said.code == 1
    assert "no agent has ever worked there" in said.out
    archive = tmp_path / "empty.tar.gz"
    for words in (("logs",), ("bundle", "-o", str(archive))):
        refused = tool("--dir", str(tmp_path / "nothing"), *words)
        assert (refused.code, bool(refused.err)) == (1, True), words
    assert not archive.exists(), "nobody shall think that something is in it"


def test_wrong_usage_is_told_before_anybody_is_asked(tool: Tool) -> None:
    for words, text in (
        (("run",), "name a PROBER"),
        (("run", "x", "--set", "y"), "expected NAME=VALUE"),
        (("run", "x", "--config", "y"), "--config needs --path"),
        (("pause", "x", "--for", "3", "--why", "y"), "expected a duration"),
    ):
        said = tool(*words)
        assert (said.code, text in said.err) == (64, True), words
    assert "no prober" in tool("show", "prober-9").err or "not run" in tool("show", "prober-9").err
