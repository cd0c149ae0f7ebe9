"""Values that clusters share: which file wins, and where a mistake is told."""

from pathlib import Path

import pytest

from common.contracts.clusters import DeployPolicy
from tools.synchronize.errors import ConfigMistakesError
from tools.synchronize.files import read_repository
from tools.synchronize.objects import Desired, HandedOver


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "recipes/vms/main.tf", "")
    write(
        tmp_path, "environments/local/clusters/a.yaml", "use: [base, extra]\nvariables: {own: 1}\n"
    )
    write(tmp_path, "values/base.yaml", "recipe: vms\nvariables: {x: base, y: base}\n")
    write(tmp_path, "values/extra.yaml", "variables: {y: extra, z: {deep: [1]}}\n")
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def read(root: Path, environment: str = "local") -> Desired:
    return read_repository(root, environment)


def mistakes(root: Path) -> list[str]:
    with pytest.raises(ConfigMistakesError) as error:
        read(root)
    return [str(one).removeprefix(f"{root}/") for one in error.value.mistakes]


def test_later_files_win_and_the_cluster_wins_over_all(root: Path) -> None:
    cluster = read(root).clusters["a"]
    assert cluster.recipe == "vms"
    assert cluster.variables == {"x": "base", "y": "extra", "z": {"deep": [1]}, "own": 1}
    write(root, "environments/local/clusters/a.yaml", "use: [base]\nvariables: {x: {new: 1}}\n")
    assert read(root).clusters["a"].variables == {"x": {"new": 1}, "y": "base"}


def test_one_definition_serves_many_clusters_and_environments(root: Path) -> None:
    write(root, "environments/local/clusters/b.yaml", "use: [base]\n")
    write(root, "environments/prod/clusters/a.yaml", "use: [base]\n")
    write(
        root, "environments/prod/values/base.yaml", "deploy_policy: approve\nvariables: {y: prod}\n"
    )
    assert read(root).clusters["b"].variables == {"x": "base", "y": "base"}
    prod = read(root, "prod").clusters["a"]
    assert prod.variables == {"x": "base", "y": "prod"}
    assert prod.deploy_policy is DeployPolicy.APPROVE


def test_values_of_one_environment_alone_will_do(root: Path) -> None:
    write(root, "environments/local/values/only.yaml", "deploy_policy: plan_only\n")
    write(root, "environments/local/clusters/a.yaml", "use: [base, only]\n")
    assert read(root).clusters["a"].deploy_policy is DeployPolicy.PLAN_ONLY


def test_anchors_within_a_file_are_plain_yaml(root: Path) -> None:
    text = "use: [base]\nvariables:\n  one: &common {a: 1, b: 2}\n  two: {<<: *common, b: 3}\n"
    write(root, "environments/local/clusters/a.yaml", text)
    assert read(root).clusters["a"].variables["two"] == {"a": 1, "b": 3}


def test_variables_are_handed_over_by_manager(root: Path) -> None:
    write(root, "values/base.yaml", "recipe: vms\nhanded_over: {meeseeks: {nodes: []}}\n")
    desired = read(root)
    assert desired.handed_over == {("a", "nodes"): HandedOver("meeseeks", [])}
    assert "nodes" not in desired.clusters["a"].variables
    assert desired.new_cluster("a").variables["nodes"] == []


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("values/extra.yaml", "x: 1\n", "values/extra.yaml:1: x: unknown field"),
        ("values/extra.yaml", "use: [base]\n", "values/extra.yaml:1: use: only cluster files use others"),
        ("values/unused.yaml", "deploy_policy: never\n", "values/unused.yaml:1: deploy_policy: expected"),
        ("values/base.yaml", "recipe: vms\ndeploy_policy: never\n", "values/base.yaml:2: deploy_policy: expected"),
        ("values/base.yaml", "recipe: vms\nvariables:\n  1x: 1\n", "values/base.yaml:3: variables.1x"),
        ("values/base.yaml", "variables: {}\n", "environments/local/clusters/a.yaml:1: recipe: is missing"),
        ("values/Base.yaml", "", "values/Base.yaml: is no name"),
        ("environments/local/clusters/a.yaml", "use: [base, nowhere]\n", "environments/local/clusters/a.yaml:1: use.1: there is no nowhere.yaml in values/"),
        ("environments/local/clusters/a.yaml", "use: base\n", "environments/local/clusters/a.yaml:1: use: expected a list of names"),
        ("values/base.yaml", "recipe: vms\nhanded_over: {meeseeks: [a]}\n", "values/base.yaml:2: handed_over.meeseeks: expected a mapping"),
        ("values/base.yaml", "recipe: vms\nhanded_over: {synchronize: {a: 1}}\n", "values/base.yaml:2: handed_over.synchronize: expected the name of another manager"),
        ("values/base.yaml", "recipe: vms\nhanded_over: {m: {own: 1}}\n", "environments/local/clusters/a.yaml:1: handed_over: own is among the variables, too"),
        ("values/base.yaml", "recipe: [\n", "values/base.yaml:2: no YAML:"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_stands(root: Path, path: str, text: str, told: str) -> None:
    write(root, path, text)
    found = mistakes(root)
    assert any(line.startswith(told) for line in found), found
