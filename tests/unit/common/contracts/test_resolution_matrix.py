"""The product of a matrix on one host: its order, addresses, bounds, and batches. Written by hand."""

from typing import Any

import pytest

from tests.unit.common.contracts.described import (
    matrix,
    prober,
    problem_of,
    resolved,
    secret,
)


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


def test_a_secret_in_a_matrix_is_refused() -> None:
    description = prober(defaults=matrix(login=["${cluster.variables.password}"]))
    assert "secret password" in problem_of(description, variables=secret())
