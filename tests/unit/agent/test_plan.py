"""From `resolve` to what this agent runs, and what it refuses to run."""

import copy
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.plan import PlannedProber, RunKey, RunSpec, planned_prober
from common.contracts.configuration import ConfigurationDocument
from common.contracts.resolution import Host, resolve

FOLDER = Path("/unpacked/x")


def planned_with(
    folder: Path | None = FOLDER,
    problem: str = "",
    command: list[str] | None = None,
    **settings: Any,
) -> PlannedProber:
    document = ConfigurationDocument.model_validate(
        {
            "format": 1,
            "revision": 1,
            "cluster": {"id": "01890000-0000-7000-8000-000000000001", "slug": "demo"},
            "probers": [
                {
                    "id": "01890000-0000-7000-8000-000000000002",
                    "slug": "tcp",
                    "command": command or ["./a"],
                    "revision": 4,
                    "revisions": {"4": []},
                    "configs": [{"slug": "all", "settings": settings}],
                }
            ],
        }
    )
    (prober,) = resolve(document, Host("h1"))
    return planned_prober(prober, folder=folder, problem=problem)


def test_each_combination_is_a_run_with_its_labels() -> None:
    planned = planned_with(
        command=["./a", "${port}"], matrix={"port": {"values": [80, 443]}}, interval_seconds=0.5
    )
    assert [spec.arguments for spec in planned.specs] == [("./a", "80"), ("./a", "443")]
    assert planned.labels == ({"port": "80"}, {"port": "443"})
    assert [json.loads(key.combination) for key in planned.keys] == [{"port": 80}, {"port": 443}]
    assert planned.specs[0].environment["VAR_PORT"] == "80"
    assert planned.specs[0].interval.total_seconds() == 0.5


def test_a_batch_is_one_run_whose_key_stays_when_a_combination_comes() -> None:
    def specs(targets: list[str]) -> tuple[RunSpec, ...]:
        matrix = {
            "target": {"values": targets, "deliver": "batch"},
            "port": {"values": [80, 443]},
        }
        return planned_with(matrix=matrix).specs

    first, second = specs(["a", "b"])
    assert json.loads(first.key.combination) == {"port": 80}
    assert first.batch is not None
    assert json.loads(first.batch.targets) == [
        {"port": 80, "target": "a"},
        {"port": 80, "target": "b"},
    ]
    assert first.batch.labels == ({"port": "80", "target": "a"}, {"port": "80", "target": "b"})
    assert [json.loads(key.combination)["target"] for key in first.combinations] == ["a", "b"]
    later = specs(["a", "b", "c"])
    assert [spec.key for spec in later] == [first.key, second.key]
    assert later[0] != first


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "hot"}, "mode 'hot'"),
        ({"mode": "warm"}, "[python3, FILE, …]"),
        ({"output": "xml"}, "output 'xml'"),
        ({"aggregate": "median"}, "aggregate 'median'"),
        (
            {"output": "nagios", "matrix": {"port": {"values": [1], "deliver": "batch"}}},
            "deliver: batch",
        ),
        ({"matrix": {"port": {"values": [1]}, "service": {"values": [1]}}}, "matrix.service"),
        ({"matrix": {f"port{'x' * n}": {"values": [1]} for n in range(9)}}, "9 matrix variables"),
        ({"interval_seconds": -1}, "interval_seconds"),
    ],
)
def test_what_it_does_not_know_makes_the_prober_broken_and_says_why(
    settings: dict[str, Any], words: str
) -> None:
    planned = planned_with(**settings)
    assert words in planned.problem
    assert planned.specs == ()
    assert planned.keys


def test_missing_files_are_a_problem_of_this_prober() -> None:
    assert planned_with(folder=None, problem="its files cannot be had").problem
    assert planned_with(folder=None).problem == "its files are missing"


def test_a_key_can_be_copied_and_read() -> None:
    key = RunKey(UUID(int=7), '{"target":"a"}')
    assert copy.deepcopy(key) == key
    assert (key.prober_id, key.combination) == (UUID(int=7), '{"target":"a"}')
    assert repr(key) == f"RunKey({UUID(int=7)}, {key.combination})"
