"""Records of bad runs on their way to people: uploaded, linked, bounded, and without a secret in any of it."""

import http.client
import os
from pathlib import Path
from typing import Any

from agent.control.listener import connected_to
from common.contracts.control import LocalProber, RunWanted
from tests.integration.agent.control_agent import ControlAgent
from tests.integration.agent.stand_ins import StubApi, document, prober, sha256, wait_until

SECRET = "correct-horse-battery-staple"
PIN = "4711"
# Tells it in every way that a program has, also cut in two by the bounds of what is kept.
TELLS = b"""#!/bin/sh
echo "out $VAR_PASSWORD"
head -c 16340 /dev/zero | tr '\\0' x
echo "$VAR_PASSWORD"
head -c 100000 /dev/zero | tr '\\0' y
echo "$VAR_PASSWORD"
head -c 16360 /dev/zero | tr '\\0' z
echo "cannot log in with $VAR_PASSWORD" >&2
exit 1
"""


def reasons(api: StubApi) -> list[Any]:
    return api.reports[-1]["reasons"] if api.reports else []


def test_the_record_of_a_bad_run_is_uploaded_and_linked_until_it_is_good_again(
    control_agent: ControlAgent, stub_api: StubApi, tmp_path: Path
) -> None:
    mended = tmp_path / "mended"
    script = f"echo asked the target; test -e {mended} || {{ echo no answer >&2; exit 1; }}"
    stub_api.document = document(
        prober(1, {}, ["sh", "-c", script], interval_seconds=0.3),
        prober(2, {}, ["false"], interval_seconds=0.3, evidence="never"),
        prober(3, {}, ["true"], interval_seconds=0.3),
    )
    control_agent.start()
    wait_until(lambda: any(reason.get("upload") for reason in reasons(stub_api)))
    (linked,) = [reason for reason in reasons(stub_api) if reason.get("upload")]
    assert linked["prober_id"] == stub_api.reports[-1]["probers"][0]["prober_id"]
    text = stub_api.uploads[linked["upload"]]
    assert "outcome: failure: no answer\n" in text
    assert "--- stdout, 17 bytes\nasked the target\n" in text
    (announced,) = stub_api.announced
    assert (announced["host"], announced["prober"]) == ("h1", "prober-1")
    assert announced["content_type"] == "text/plain"
    assert announced["sha256"] == sha256(text.encode())
    details = control_agent.client.prober("prober-1")
    assert details.combinations[0].upload == linked["upload"]
    mended.touch()
    wait_until(lambda: stub_api.reports[-1]["probers"][0]["states"] == "0")
    assert len(stub_api.announced) == 1


def test_an_api_that_takes_no_uploads_costs_nothing_but_the_link(
    control_agent: ControlAgent, stub_api: StubApi
) -> None:
    stub_api.refuse_uploads = 429
    stub_api.document = document(prober(1, {}, ["false"], interval_seconds=0.3))
    control_agent.start()
    wait_until(lambda: stub_api.statuses("/uploads"))
    wait_until(lambda: control_agent.client.state().recorder.uploads_waiting == 1)
    wait_until(lambda: reasons(stub_api))
    assert "upload" not in reasons(stub_api)[0]
    stub_api.refuse_uploads = 0
    wait_until(lambda: any(reason.get("upload") for reason in reasons(stub_api)))
    # One refusal, the pause, and then the same record.
    assert len(stub_api.statuses("/clusters/demo/uploads")) <= 4


def test_a_planted_secret_is_in_no_record_no_answer_and_no_upload(
    control_agent: ControlAgent, stub_api: StubApi
) -> None:
    stub_api.serve_files(TELLS)
    variables = {"password": "${cluster.variables.password}", "pin": "${cluster.variables.pin}"}
    stub_api.document = document(
        prober(1, {"tells.sh": TELLS}, ["./tells.sh"], interval_seconds=1, variables=variables),
        variables={name: {"secret": name, "version": 1} for name in ("password", "pin")},
    )
    stub_api.secrets = {
        "password": {"version": 1, "value": SECRET},
        "pin": {"version": 1, "value": PIN},
    }
    control_agent.start()
    wait_until(lambda: stub_api.uploads)
    wanted = RunWanted(prober="prober-1", values={"other": "${cluster.variables.password}"})
    progress = control_agent.ran(wanted)
    assert progress.record
    # It did get it.
    assert progress.record.stdout.printed_bytes > 100_000
    local = LocalProber(command=["sh", "-c", "env; exit 1"])
    own = control_agent.ran(RunWanted(prober="own", local=local, values=wanted.values))
    shown = [
        *(asked(control_agent.folder, path) for path in paths(control_agent)),
        progress.model_dump_json(),
        own.model_dump_json(),
        *stub_api.uploads.values(),
        str(stub_api.reports),
        control_agent.log.read_text(),
        *(path.read_text() for path in (control_agent.folder / "recorder").rglob("*.jsonl")),
    ]
    assert any("(sensitive)" in text for text in shown)
    for text in shown:
        for length in (len(SECRET), len(SECRET) - 5, 11):
            assert SECRET[:length] not in text
            assert SECRET[-length:] not in text
        assert f'"VAR_PIN":"{PIN}"' not in text
        assert f"VAR_PIN={PIN}" not in text


def paths(agent: ControlAgent) -> list[str]:
    runs = agent.client.records(limit=1).newest
    return [
        "/v1/state",
        "/v1/probers/prober-1",
        "/v1/probers/prober-1/explanation",
        "/v1/metrics",
        "/v1/records?limit=200",
        f"/v1/records?after={runs - 5}",
        "/v1/pauses",
    ]


def asked(folder: Path, path: str) -> str:
    """The answer as it comes over the wire."""
    connection = http.client.HTTPConnection("agent")
    connection.sock = connected_to(folder, time_limit_seconds=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, os.fsencode(path)
        return response.read().decode()
    finally:
        connection.close()
