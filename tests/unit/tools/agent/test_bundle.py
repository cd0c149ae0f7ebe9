"""A bundle: what is in the archive, and who may read it."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.unit.tools.agent.states import agent_state, record
from tools.agent.bundle import contents_of, written_bundle
from tools.agent.doctor import Check, Health
from tools.agent.errors import BundleError

CHECK = Check("disk", Health.ILL, "full", "make room")


def test_one_value_is_a_json_file_and_many_are_lines() -> None:
    files = contents_of({"state": agent_state(), "records": [record(), record()]}, [CHECK])
    assert sorted(files) == ["doctor.txt", "records.jsonl", "state.json"]
    assert json.loads(files["state.json"])["agent"]["host"] == "demo-1"
    assert [json.loads(line)["prober"] for line in files["records.jsonl"].splitlines()] == [
        "dns-resolve"
    ] * 2
    assert files["doctor.txt"] == b"ill disk: full make room\n"


def test_the_archive_is_its_authors_and_no_draft_stays(tmp_path: Path) -> None:
    path = tmp_path / "ticket.tar.gz"
    size = written_bundle(path, {"state": agent_state()}, [CHECK])
    assert size == path.stat().st_size > 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    with tarfile.open(path) as archive:
        assert sorted(archive.getnames()) == ["ticket/doctor.txt", "ticket/state.json"]


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nothing" / "ticket.tar.gz"
    with pytest.raises(BundleError, match=f"{path} cannot be written: No such file or directory"):
        written_bundle(path, {}, [CHECK])
