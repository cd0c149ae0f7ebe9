"""`resolve` on documents whose large values are files: filled in, missing, imitated."""

from typing import Any

import pytest

from common.contracts.resolution import Host, resolve
from tests.unit.common.contracts.described import document, matrix, prober

LARGE = {"sha256": "a" * 64, "size": 20_000}


def test_a_large_value_is_used_once_it_is_filled_in() -> None:
    description = prober(
        defaults={"variables": {"nodes": "${cluster.variables.nodes}"}, **matrix(target="${cluster.variables.targets}")}
    )  # fmt: skip
    files = {"nodes": LARGE, "targets": {"sha256": "b" * 64, "size": 17_000}}
    described = document(description, variables={"other": 1}, variable_files=files)
    assert described.file_hashes() == {"0" * 64, "a" * 64, "b" * 64}
    filled = described.filled({"a" * 64: [1], "b" * 64: ["x", "y"], "c" * 64: "nobody's"})
    assert filled.variables == {"other": 1, "nodes": [1], "targets": ["x", "y"]}
    (effective,) = resolve(filled, Host("vm-1"))
    assert effective.combinations == ({"target": "x"}, {"target": "y"})
    assert effective.runs[0].environment["VAR_NODES"] == "[1]"


def test_a_prober_is_broken_as_long_as_a_large_value_is_missing_and_others_run() -> None:
    needs = prober("needs", command=["p", "${cluster.variables.nodes}"])
    described = document(needs, prober("other"), variable_files={"nodes": LARGE}).filled({})
    broken, running = resolve(described, Host("vm-1"))
    assert "${cluster.variables.nodes}" in broken.problem
    assert "a" * 64 in broken.problem
    assert running.problem == ""


@pytest.mark.parametrize("value", [LARGE, {"file": "a" * 64}, {"nodes": LARGE}])
def test_no_value_can_be_taken_for_a_file(value: Any) -> None:
    description = prober(command=["p", "${cluster.variables.nodes}"])
    described = document(description, variables={"nodes": value}).filled({"a" * 64: "stolen"})
    (effective,) = resolve(described, Host("vm-1"))
    assert "stolen" not in effective.runs[0].arguments[1]
    assert described.file_hashes() == {"0" * 64}
