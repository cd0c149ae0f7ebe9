"""`resolve(document, host)` against vectors written by hand from the decisions on layers, hosts, matrix and batch."""

from typing import Any

import pytest

from common.contracts.resolution import (
    Host,
    Origin,
    clashing_keys,
    keys_of,
    resolve,
)
from tests.unit.common.contracts.described import (
    HOSTS,
    config,
    document,
    matrix,
    prober,
    problem_of,
    resolved,
    secret,
)


def test_says_what_runs_when_nothing_is_set() -> None:
    effective = resolved(prober())
    assert effective.problem == ""
    assert effective.settings.interval_seconds == 60
    assert effective.settings.time_limit_seconds == 10
    assert effective.origins["interval_seconds"] == Origin("built-in")
    assert [file.path for file in effective.files] == ["probe.py"]
    (run,) = effective.runs
    assert run.arguments == ("./probe.py",)
    assert run.targets is None
    assert run.environment == {
        "MR_PROBER_CLUSTER": "mesh",
        "MR_PROBER_HOST": "vm-1",
        "MR_PROBER_PROBER": "ping",
    }


def test_each_layer_wins_over_the_one_below() -> None:
    description = prober(
        defaults={"interval_seconds": 1, "time_limit_seconds": 1, "grace_seconds": 1, "mode": "a"},
        configs=[
            # Host layer over cluster layer whatever the order says.
            config("host", order=-5, hosts=["vm-1"], mode="host"),
            config("late", order=9, grace_seconds=3, mode="late"),
            config("early", order=-9, time_limit_seconds=2, grace_seconds=2, mode="early"),
        ],
    )
    effective = resolved(description)
    settings = effective.settings
    assert (settings.interval_seconds, settings.time_limit_seconds) == (1, 2)
    assert (settings.grace_seconds, settings.mode) == (3, "host")
    assert effective.origins["interval_seconds"] == Origin("prober")
    assert effective.origins["time_limit_seconds"] == Origin("cluster", "early", -9)
    assert effective.origins["grace_seconds"] == Origin("cluster", "late", 9)
    assert effective.origins["mode"] == Origin("host", "host", -5)


def test_null_resets_to_the_built_in_default() -> None:
    effective = resolved(
        prober(defaults={"interval_seconds": 5}, configs=[config("c", interval_seconds=None)])
    )
    assert effective.settings.interval_seconds == 60
    assert effective.origins["interval_seconds"] == Origin("built-in")


@pytest.mark.parametrize(
    ("defaults", "configs", "expected", "origin"),
    [
        ({}, [], 10, Origin("built-in")),
        ({"interval_seconds": 5}, [], 5, Origin("built-in")),
        ({"interval_seconds": 0.1}, [], 0.1, Origin("built-in")),
        ({"interval_seconds": 30}, [], 10, Origin("built-in")),
        # The interval of a higher layer counts, and one that is reset no more.
        ({"interval_seconds": 60}, [config("c", interval_seconds=3)], 3, Origin("built-in")),
        ({}, [config("h", hosts=["vm-1"], interval_seconds=4)], 4, Origin("built-in")),
        ({"interval_seconds": 5}, [config("c", interval_seconds=None)], 10, Origin("built-in")),
        # A limit that a layer sets is what it says; one that is reset follows the interval.
        ({"interval_seconds": 5, "time_limit_seconds": 8}, [], 8, Origin("prober")),
        ({"time_limit_seconds": 8}, [config("c", interval_seconds=5)], 8, Origin("prober")),
        (
            {"interval_seconds": 5, "time_limit_seconds": 8},
            [config("c", time_limit_seconds=None)],
            5,
            Origin("built-in"),
        ),
        # Whoever wants runs to overlap says how long they may take.
        ({"interval_seconds": 5, "allow_overlap": True}, [], 5, Origin("built-in")),
    ],
)
def test_the_built_in_time_limit_is_never_longer_than_the_interval(
    defaults: dict[str, Any], configs: list[dict[str, Any]], expected: float, origin: Origin
) -> None:
    effective = resolved(prober(defaults=defaults, configs=[{"slug": "all"}, *configs]))
    assert effective.problem == ""
    assert effective.settings.time_limit_seconds == expected
    assert effective.origins["time_limit_seconds"] == origin


def test_maps_merge_by_key_and_lists_replace() -> None:
    description = prober(
        defaults={
            "variables": {"port": 80, "paths": ["/a", "/b"], "gone": 1},
            **matrix(target=["x", "y"], size=[1, 2]),
        },
        configs=[
            config(
                "c",
                variables={"paths": ["/c"], "gone": None, "new": {"deep": True}},
                matrix={"target": {"values": ["z"]}, "size": None},
            )
        ],
    )
    effective = resolved(description)
    assert effective.settings.variables == {"port": 80, "paths": ["/c"], "new": {"deep": True}}
    assert effective.combinations == ({"target": "z"},)
    assert effective.origins["variables.port"] == Origin("prober")
    assert effective.origins["variables.paths"] == Origin("cluster", "c")
    assert "variables.gone" not in effective.origins
    assert "matrix.size" not in effective.origins


def test_null_for_a_whole_map_forgets_every_key_of_it() -> None:
    effective = resolved(
        prober(
            defaults={"variables": {"port": 80}},
            configs=[
                config("reset", order=1, variables=None),
                config("set", order=2, variables={"host_name": "x"}),
            ],
        )
    )
    assert effective.settings.variables == {"host_name": "x"}
    assert "variables.port" not in effective.origins


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ({"interval_seconds": 1}, {"interval_seconds": 1}, "interval_seconds"),
        ({"interval_seconds": None}, {"interval_seconds": 1}, "interval_seconds"),
        ({"variables": {"a": 1}}, {"variables": {"a": 2}}, "variables.a"),
        # Otherwise the order of the list would decide whether `a` is there.
        ({"variables": None}, {"variables": {"a": 2}}, "variables.a"),
    ],
)
def test_two_configs_of_equal_order_may_not_set_one_key(
    one: dict[str, Any], other: dict[str, Any], clash: str
) -> None:
    assert clashing_keys(one, other) == clashing_keys(other, one) == {clash}
    configs = [config("one", 3, **one), config("other", 3, **other)]
    problem = problem_of(prober(configs=configs))
    assert "one and other have the same order 3" in problem
    assert clash in problem


def test_configs_of_equal_order_may_set_different_keys_or_different_layers() -> None:
    description = prober(
        configs=[
            config("one", variables={"aa": 1}, mode="cluster"),
            config("other", variables={"bb": 2}),
            config("host", mode="host", hosts=["vm-*"]),
        ]
    )
    effective = resolved(description)
    assert effective.settings.variables == {"aa": 1, "bb": 2}
    assert effective.settings.mode == "host"


def test_keys_of_names_the_entries_of_maps() -> None:
    settings: dict[str, Any] = {"mode": "run", "variables": {"a": 1, "b": None}, "matrix": None}
    assert keys_of(settings) == {"mode", "variables.a", "variables.b", "matrix"}


def test_a_disabled_prober_is_absent_and_a_higher_layer_may_enable_it_again() -> None:
    off = prober(defaults={"enabled": False})
    assert resolve(document(off), Host("vm-1")) == []
    on = prober(defaults={"enabled": False}, configs=[config("on", hosts=["vm-1"], enabled=True)])
    assert resolved(on).settings.enabled


def test_settings_that_a_newer_api_knows_are_ignored() -> None:
    effective = resolved(
        prober(
            defaults={"burst": 3, "matrix": {"target": {"values": ["x"], "share": 0.5}}},
            configs=[{"slug": "c", "someday": 1, "settings": {"new_map": {"a": 1}}}],
        )
    )
    assert effective.problem == ""
    assert effective.combinations == ({"target": "x"},)


@pytest.mark.parametrize(
    ("selection", "matching"),
    [
        ({}, {"vm-1", "vm-2", "vm-3"}),
        ({"hosts": ["vm-1", "vm-[3-9]"]}, {"vm-1", "vm-3"}),
        ({"hosts": ["VM-1"]}, set()),
        ({"hosts": ["vm"]}, set()),
        ({"except_hosts": ["*-2"]}, {"vm-1", "vm-3"}),
        ({"hosts": ["vm-?"], "except_hosts": ["vm-1"]}, {"vm-2", "vm-3"}),
        ({"host_labels": {"zone": "a"}}, {"vm-1"}),
        ({"host_labels": {"zone": "a", "rack": "r2"}}, set()),
        ({"host_labels": {"zone": ""}}, set()),
    ],
)
def test_hosts_are_selected_by_globs_and_labels(
    selection: dict[str, Any], matching: set[str]
) -> None:
    described = document(prober(configs=[{"slug": "c", **selection}]))
    assert {name for name in HOSTS if resolve(described, Host(name))} == matching


def test_the_agents_own_labels_win() -> None:
    described = document(
        prober(
            command=["p", "${host.labels.zone}", "${host.labels.rack}"],
            configs=[{"slug": "c", "host_labels": {"zone": "z"}}],
        )
    )
    assert resolve(described, Host("vm-1")) == []
    (effective,) = resolve(described, Host("vm-1", {"zone": "z"}))
    assert effective.runs[0].arguments == ("p", "z", "r1")


def test_a_host_that_the_recipe_does_not_name_runs_its_probers_too() -> None:
    effective = resolved(prober(command=["p", "<${host.address}>"]), host="stranger")
    assert effective.runs[0].arguments == ("p", "<>")


def test_commands_may_name_the_probers_own_variables() -> None:
    effective = resolved(
        prober(
            command=["p", "--to=${target}:${port}", "$${target}"],
            defaults={"variables": {"port": 80}, **matrix(target=["a"])},
        )
    )
    assert effective.runs[0].arguments == ("p", "--to=a:80", "${target}")


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (None, "null"), (1.5, "1.5")])
def test_values_that_are_no_text_reach_the_program_as_json(value: Any, text: str) -> None:
    effective = resolved(prober(defaults=matrix(target=[value])))
    assert effective.runs[0].environment["VAR_TARGET"] == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"command": ["${cluster.variables.nowhere}"]}, "${cluster.variables.nowhere}"),
        ({"defaults": {"variables": {"a_b": ["${host.labels.no}"]}}}, "${host.labels.no}"),
        ({"defaults": {"interval_seconds": "often"}}, "interval_seconds"),
        ({"defaults": {"variables": {"BAD NAME": 1}}}, "variables"),
        ({"defaults": {"variables": [1]}}, "variables"),
        ({"defaults": {"matrix": {"target": {"values": [1], "deliver": "x"}}}}, "matrix.target"),
        ({"revision": 7}, "revision 7"),
    ],
)
def test_one_bad_prober_is_broken_and_the_others_run(fields: dict[str, Any], text: str) -> None:
    described = document(prober("bad", **fields), prober("good"))
    bad, good = resolve(described, Host("vm-1"))
    assert text in bad.problem
    assert (bad.combinations, bad.runs) == (({},), ())
    assert (good.problem, len(good.runs)) == ("", 1)


def test_probers_are_sorted_by_slug_and_those_without_a_config_are_absent() -> None:
    described = document(prober("b"), prober("a"), prober("c", configs=[]))
    assert [effective.slug for effective in resolve(described, Host("vm-1"))] == ["a", "b"]


def test_a_secret_stays_a_reference_outside_of_the_environment() -> None:
    description = prober(defaults={"variables": {"login": "${cluster.variables.password}"}})
    (run,) = resolved(description, variables=secret()).runs
    assert run.secret_environment == {"VAR_LOGIN": {"secret": "password", "version": 3}}
    assert "VAR_LOGIN" not in run.environment
