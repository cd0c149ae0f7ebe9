"""Which two configs of a prober could contradict each other."""

from typing import Any

import pytest

from api.services.prober_layers import (
    KnownCluster,
    PlacedConfig,
    layered_problems,
    mode_problems,
    order_problems,
    settings_problems,
)
from common.contracts.configuration import DocumentConfig
from common.contracts.probers import ProberSettings
from common.contracts.resolution import Layer

CLUSTERS = [
    KnownCluster("demo", {"demo-1": {"zone": "a"}, "demo-2": {"zone": "b"}}),
    KnownCluster("mesh-a"),
]


def placed(slug: str, clusters: list[str], **fields: Any) -> PlacedConfig:
    settings = fields.pop("settings", {"interval_seconds": 1})
    return PlacedConfig(clusters, DocumentConfig(slug=slug, settings=settings, **fields))


def clash(one: PlacedConfig, other: PlacedConfig) -> bool:
    problems = order_problems(one, [other], CLUSTERS)
    assert problems or not order_problems(other, [one], CLUSTERS)  # symmetric
    return bool(problems)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (["demo"], ["d*"], True),  # both match a living cluster
        (["x-*"], ["x-*"], True),  # equal patterns, though nothing lives there yet
        (["x-*"], ["x-1"], False),
        (["demo"], ["mesh-*"], False),
        (["demo", "x"], ["x"], True),
    ],
)
def test_clusters_overlap_by_what_lives_and_by_equal_patterns(
    one: list[str], other: list[str], expected: bool
) -> None:
    assert clash(placed("a", one), placed("b", other)) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"hosts": ["demo-1"]}, {"hosts": ["demo-*"]}, True),
        ({"hosts": ["demo-1"]}, {"hosts": ["demo-2"]}, False),
        ({"hosts": ["x"]}, {"hosts": ["x", "y"]}, True),
        ({"host_labels": {"zone": "a"}}, {"hosts": ["demo-1"]}, True),
        ({"host_labels": {"zone": "a"}}, {"host_labels": {"zone": "b"}}, False),
        ({"host_labels": {"rack": "a"}}, {"host_labels": {"rack": "a"}}, True),
        ({"hosts": ["demo-1"]}, {"except_hosts": ["demo-1"]}, False),
        ({"hosts": ["demo-1"]}, {}, False),  # another level: the host's config wins
    ],
)
def test_host_configs_overlap_by_the_hosts_that_they_select(
    one: dict[str, Any], other: dict[str, Any], expected: bool
) -> None:
    assert clash(placed("a", ["*"], **one), placed("b", ["demo"], **other)) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"variables": {"port": 1}}, {"variables": {"port": 2}}, True),
        ({"variables": {"port": 1}}, {"variables": {"host": 2}}, False),
        ({"interval_seconds": 1}, {"time_limit_seconds": 1}, False),
        ({}, {}, False),
    ],
)
def test_only_common_keys_contradict(one: Any, other: Any, expected: bool) -> None:
    first, second = placed("a", ["*"], settings=one), placed("b", ["*"], settings=other)
    assert clash(first, second) is expected


def test_another_order_settles_it() -> None:
    assert not clash(placed("a", ["*"], order=1), placed("b", ["*"], order=2))


def test_the_problem_names_both_and_the_key() -> None:
    (problem,) = order_problems(placed("a", ["*"]), [placed("b", ["*"])], CLUSTERS)
    assert problem.field == "order"
    for word in ("config b", "a and b", "interval_seconds"):
        assert word in problem.expected


@pytest.mark.parametrize(
    ("values", "is_sound"),
    [
        ("${cluster.hosts}", True),
        ("${cluster.variables.targets}", True),
        (["a", "b"], True),
        ("a", False),
        ("${a} ${b}", False),
        ("x${cluster.hosts}", False),
        ("$${cluster.hosts}", False),
        ("", False),
    ],
)
def test_a_text_as_matrix_must_be_one_reference(values: Any, is_sound: bool) -> None:
    settings = ProberSettings.model_validate({"matrix": {"target": {"values": values}}})
    problems = settings_problems(settings, "settings")
    assert (problems == []) is is_sound
    assert all(one.field == "settings.matrix.target.values" for one in problems)


@pytest.mark.parametrize(
    ("defaults", "settings", "fits"),
    [
        ({}, {}, True),
        ({}, {"interval_seconds": 10}, True),
        ({}, {"interval_seconds": 5}, True),  # the built-in time limit is never longer
        ({"interval_seconds": 60}, {"interval_seconds": 5}, True),
        ({"interval_seconds": 5, "time_limit_seconds": 5}, {"time_limit_seconds": None}, True),
        ({"time_limit_seconds": 8}, {"interval_seconds": 5}, False),
        ({"interval_seconds": 5, "time_limit_seconds": 5}, {"interval_seconds": 4}, False),
        ({"time_limit_seconds": 5}, {"interval_seconds": 5}, True),
        ({"time_limit_seconds": 61}, {}, False),
        ({"time_limit_seconds": 61}, {"time_limit_seconds": None}, True),
        ({"interval_seconds": 1}, {"interval_seconds": None}, True),
        ({"time_limit_seconds": 61, "allow_overlap": True}, {}, True),
        ({"time_limit_seconds": 61, "allow_overlap": True}, {"allow_overlap": False}, False),
        ({"time_limit_seconds": 61, "allow_overlap": True}, {"allow_overlap": None}, False),
    ],
)
def test_the_time_limit_exceeds_the_interval_only_where_overlap_is_allowed(
    defaults: dict[str, Any], settings: dict[str, Any], fits: bool
) -> None:
    problems = layered_problems(defaults, settings, "settings", config="all")
    assert (problems == []) is fits
    assert all(one.field == "settings.time_limit_seconds" for one in problems)


def test_labels_of_metrics_are_no_matrix_variables() -> None:
    for name in ("host", "outcome", "bin", "project"):
        settings = ProberSettings.model_validate({"matrix": {name: {"values": [1]}}})
        (problem,) = settings_problems(settings, "defaults")
        assert problem.field == f"defaults.matrix.{name}"
    # A plain variable is no label.
    assert settings_problems(ProberSettings(variables={"host": "a"}), "defaults") == []


def test_more_than_eight_matrix_variables_are_too_many_labels() -> None:
    axes: dict[str, Any] = {f"v{number}": {"values": [1]} for number in range(9)}
    settings = ProberSettings.model_validate({"matrix": axes})
    assert [one.given for one in settings_problems(settings, "settings")] == [9]
    half: dict[str, Any] = {"matrix": dict(list(axes.items())[:5])}
    other: dict[str, Any] = {"matrix": dict(list(axes.items())[5:])}
    assert len(layered_problems(half, other, "settings", config="all")) == 1
    fewer: dict[str, Any] = {"matrix": {**other["matrix"], "v0": None}}
    assert layered_problems(half, fewer, "settings", config="all") == []
    assert layered_problems({"matrix": axes}, {"matrix": None}, "settings", config="all") == []


def test_the_command_must_go_with_the_mode_that_the_layers_come_to() -> None:
    defaults: Layer = {"mode": "warm", "output": "nagios"}
    python, other = ["python3", "check.py"], ["./check"]
    assert mode_problems([defaults], "defaults.mode", command=python) == []
    [problem] = mode_problems([defaults], "defaults.mode", command=other)
    assert (problem.field, problem.given) == ("defaults.mode", "warm")
    assert "[python3, FILE" in problem.expected
    # A config may say better.
    assert mode_problems([defaults, {"mode": None}], "settings.mode", command=other) == []
    [problem] = mode_problems([defaults, {"mode": "server"}], "settings.mode", command=other)
    assert "nagios" in problem.expected


def test_a_mode_that_only_newer_agents_know_passes() -> None:
    assert mode_problems([{"mode": "hot"}], "defaults.mode", command=["./check"]) == []
