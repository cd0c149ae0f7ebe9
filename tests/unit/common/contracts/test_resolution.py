"""`resolve(document, host)` against vectors written by hand from the decisions on layers, hosts, matrix and batch."""

from typing import Any

import pytest

from common.contracts.configuration import ConfigurationDocument
from common.contracts.identifiers import new_id
from common.contracts.resolution import (
    EffectiveProber,
    Host,
    Origin,
    clashing_keys,
    keys_of,
    resolve,
)

FILE = {"path": "probe.py", "mode": "0755", "sha256": "0" * 64, "size": 1}
HOSTS = {
    "vm-1": {"address": "10.0.0.1", "labels": {"zone": "a", "rack": "r1"}},
    "vm-2": {"address": "10.0.0.2", "labels": {"zone": "b"}},
    "vm-3": {"address": "", "labels": {}},
}


def prober(slug: str = "ping", **fields: Any) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "slug": slug,
        "command": ["./probe.py"],
        "revision": 2,
        "revisions": {"2": [FILE]},
        "configs": [{"slug": "everywhere"}],
        **fields,
    }


def document(*probers: dict[str, Any], **fields: Any) -> ConfigurationDocument:
    return ConfigurationDocument.model_validate(
        {
            "format": 1,
            "revision": 1,
            "cluster": {"id": str(new_id()), "slug": "mesh"},
            "hosts": HOSTS,
            "probers": list(probers),
            **fields,
        }
    )


def resolved(description: dict[str, Any], host: str = "vm-1", **fields: Any) -> EffectiveProber:
    (effective,) = resolve(document(description, **fields), Host(host))
    return effective


def config(slug: str, order: int = 0, **fields: Any) -> dict[str, Any]:
    selection = {name: fields.pop(name) for name in [*fields] if "host" in name}
    return {"slug": slug, "order": order, "settings": fields, **selection}


def matrix(**values: Any) -> dict[str, Any]:
    return {"matrix": {name: {"values": value} for name, value in values.items()}}


def problem_of(description: dict[str, Any], **fields: Any) -> str:
    effective = resolved(description, **fields)
    assert effective.runs == ()
    assert effective.combinations == ({},)
    return effective.problem


# Layers


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


# Hosts


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


# Matrix


def test_the_product_runs_through_sorted_names_last_fastest() -> None:
    effective = resolved(prober(defaults=matrix(size=[64, 1500], address=["b", "a"])))
    assert [tuple(one.items()) for one in effective.combinations] == [
        (("address", "b"), ("size", 64)),
        (("address", "b"), ("size", 1500)),
        (("address", "a"), ("size", 64)),
        (("address", "a"), ("size", 1500)),
    ]
    assert [run.combinations for run in effective.runs] == [(0,), (1,), (2,), (3,)]
    assert effective.runs[1].environment["VAR_SIZE"] == "1500"
    assert effective.runs[1].environment["VAR_ADDRESS"] == "b"


def test_a_host_never_checks_itself() -> None:
    effective = resolved(prober(defaults=matrix(target="${cluster.hosts}")), host="vm-2")
    assert effective.combinations == ({"target": "vm-1"}, {"target": "vm-3"})
    assert effective.runs[0].environment["VAR_TARGET_ADDRESS"] == "10.0.0.1"
    assert effective.runs[1].environment["VAR_TARGET_ADDRESS"] == ""


def test_a_batch_has_addresses_of_hosts_only_and_variables_keep_their_names() -> None:
    axes: dict[str, Any] = {
        "target": {"values": ["vm-2", "example.com"], "deliver": "batch"},
        "via": {"values": ["vm-3", 7], "deliver": "batch"},
        "via_address": {"values": ["mine"]},
    }
    effective = resolved(prober(defaults={"matrix": axes}))
    (run,) = effective.runs
    assert run.targets == (
        {"target": "vm-2", "target_address": "10.0.0.2", "via": "vm-3", "via_address": "mine"},
        {"target": "vm-2", "target_address": "10.0.0.2", "via": 7, "via_address": "mine"},
        {"target": "example.com", "via": "vm-3", "via_address": "mine"},
        {"target": "example.com", "via": 7, "via_address": "mine"},
    )
    # What tells combinations and series apart are the variables alone.
    assert effective.combinations[0].keys() == axes.keys()


def test_only_values_that_are_hosts_have_an_address() -> None:
    effective = resolved(prober(defaults=matrix(target=["vm-2", "example.com"])))
    assert effective.runs[0].environment["VAR_TARGET_ADDRESS"] == "10.0.0.2"
    assert "VAR_TARGET_ADDRESS" not in effective.runs[1].environment


def test_a_name_that_is_no_host_is_no_host_itself() -> None:
    effective = resolved(prober(defaults=matrix(target=["stranger"])), host="stranger")
    assert effective.combinations == ({"target": "stranger"},)


def test_the_only_host_of_a_mesh_has_nothing_to_check() -> None:
    effective = resolved(
        prober(defaults=matrix(target="${cluster.hosts}")), hosts={"vm-1": {"address": "::1"}}
    )
    assert (effective.problem, effective.combinations, effective.runs) == ("", (), ())


def test_values_with_one_text_are_checked_once() -> None:
    effective = resolved(prober(defaults=matrix(target=["b", "a", "b", 1, "1"])))
    assert [one["target"] for one in effective.combinations] == ["b", "a", 1]


def test_a_cluster_variable_keeps_its_list_where_it_stands_alone() -> None:
    effective = resolved(
        prober(
            command=["p", "${cluster.variables.targets}"],
            defaults={
                "variables": {"all": "${cluster.variables.targets}", "text": "${cluster.slug}!"},
                **matrix(target="${cluster.variables.targets}"),
            },
        ),
        variables={"targets": ["a", "b"]},
    )
    assert [one["target"] for one in effective.combinations] == ["a", "b"]
    assert effective.runs[0].arguments == ("p", '["a", "b"]')
    assert effective.runs[0].environment["VAR_ALL"] == '["a", "b"]'
    assert effective.runs[0].environment["VAR_TEXT"] == "mesh!"


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


def test_too_large_a_product_is_refused_with_its_figures() -> None:
    many = matrix(one=list(range(26)), two=list(range(40)))
    problem = problem_of(prober(defaults=many))
    assert "26 one x 40 two = 1040" in problem
    assert "more than 1000" in problem
    just_enough = resolved(prober(defaults=matrix(one=list(range(25)), two=list(range(40)))))
    assert len(just_enough.runs) == 1000


@pytest.mark.parametrize("values", ["text", "${cluster.slug}", "${cluster.variables.number}"])
def test_values_of_an_axis_must_be_a_list(values: str) -> None:
    problem = problem_of(prober(defaults=matrix(target=values)), variables={"number": 7})
    assert problem.startswith("matrix.target.values is not a list but")


# Batch


def test_a_batch_gives_all_its_combinations_to_one_run_per_group() -> None:
    description = prober(
        command=["p", "${port}"],
        defaults={
            "matrix": {
                "target": {"values": "${cluster.hosts}", "deliver": "batch"},
                "port": {"values": [80, 443]},
            }
        },
    )
    effective = resolved(description)
    assert [tuple(one.values()) for one in effective.combinations] == [
        (80, "vm-2"), (80, "vm-3"), (443, "vm-2"), (443, "vm-3"),
    ]  # fmt: skip
    first, second = effective.runs
    assert (first.combinations, second.combinations) == ((0, 1), (2, 3))
    assert first.arguments == ("p", "80")
    assert first.targets == (
        {"port": 80, "target": "vm-2", "target_address": "10.0.0.2"},
        {"port": 80, "target": "vm-3", "target_address": ""},
    )
    assert first.environment["VAR_PORT"] == "80"
    assert "VAR_TARGET" not in first.environment


def test_groups_are_together_even_if_the_batched_name_comes_first() -> None:
    description = prober(
        defaults={
            "matrix": {
                "address": {"values": ["x", "y"], "deliver": "batch"},
                "port": {"values": [1, 2]},
            }
        },
    )
    assert [run.combinations for run in resolved(description).runs] == [(0, 2), (1, 3)]


def test_a_batch_holds_more_combinations_than_single_runs_may() -> None:
    axis = {"values": list(range(5000)), "deliver": "batch"}
    effective = resolved(prober(defaults={"matrix": {"target": axis}}))
    assert len(effective.combinations) == 5000
    assert len(effective.runs) == 1


def test_a_batch_larger_than_a_report_is_refused_before_it_is_built() -> None:
    axis = {"values": list(range(2000)), "deliver": "batch"}
    problem = problem_of(prober(defaults={"matrix": dict.fromkeys(["one", "two", "six"], axis)}))
    assert "2000 one x 2000 six x 2000 two = 8000000000 combinations" in problem


def test_a_command_cannot_name_a_batched_variable() -> None:
    axis = {"values": ["a"], "deliver": "batch"}
    problem = problem_of(prober(command=["${target}"], defaults={"matrix": {"target": axis}}))
    assert "${target} is not known here" in problem


# Problems


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


# Secrets


def secret(name: str = "password") -> dict[str, Any]:
    return {name: {"secret": name, "version": 3}}


def test_a_secret_stays_a_reference_outside_of_the_environment() -> None:
    description = prober(defaults={"variables": {"login": "${cluster.variables.password}"}})
    (run,) = resolved(description, variables=secret()).runs
    assert run.secret_environment == {"VAR_LOGIN": {"secret": "password", "version": 3}}
    assert "VAR_LOGIN" not in run.environment


def test_a_secret_in_a_matrix_is_refused() -> None:
    description = prober(defaults=matrix(login=["${cluster.variables.password}"]))
    assert "secret password" in problem_of(description, variables=secret())
