"""Reading the config repository, and what its author is told about mistakes."""

import os
import re
import shutil
import textwrap
from pathlib import Path

import pytest

from common.contracts.clusters import DeployPolicy
from common.contracts.deployments import Gates
from common.contracts.files import MAX_FILE_BYTES
from tools.synchronize.errors import ConfigMistakesError
from tools.synchronize.files import read_repository
from tools.synchronize.folders import files_below, is_leftover

TESTDATA = Path(__file__).parent / "testdata"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository without mistakes."""
    write(tmp_path / "recipes/vms/main.tf", "# terraform")
    write(tmp_path / "probers/ping/prober.yaml", "command: [./probe.py]")
    write(tmp_path / "probers/ping/probe.py", "#!/usr/bin/python3").chmod(0o755)
    write(tmp_path / "environments/local/clusters/demo.yaml", "recipe: vms")
    return tmp_path


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def mistakes_of(root: Path) -> list[str]:
    with pytest.raises(ConfigMistakesError) as raised:
        read_repository(root, "local")
    return [str(mistake).removeprefix(f"{root}/") for mistake in raised.value.mistakes]


def test_reads_every_kind_of_object(root: Path) -> None:
    write(root / "recipes/vms/recipe.yaml", "description: Machines")
    write(root / "probers/ping/lib/data.txt", "x")
    write(
        root / "probers/ping/prober.yaml",
        """
command: [./probe.py, "${target}"]
owner: net
defaults: {interval_seconds: 5, mode: null}
configs:
  all: {clusters: ["*"], settings: {enabled: false}}
""",
    )
    write(
        root / "environments/local/probers/ping.yaml",
        "configs: {local: {clusters: [demo], order: 7}}",
    )
    write(
        root / "environments/local/clusters/demo.yaml",
        "{recipe: vms, deploy_policy: approve, gates: {destroyed_percent: 10, protected: [a.b]},"
        " variables: {hosts: 3, list: [a, {b: null}]}}",
    )
    desired = read_repository(root, "local")

    recipe = desired.recipes["vms"]
    assert (recipe.slug, recipe.description, recipe.managed_by) == (
        "vms",
        "Machines",
        "synchronize",
    )
    assert [file.path for file in recipe.files] == ["main.tf"]

    prober = desired.probers["ping"]
    assert [(file.path, file.mode) for file in prober.files] == [
        ("lib/data.txt", "0644"),
        ("probe.py", "0755"),
    ]
    assert prober.defaults.model_dump(exclude_unset=True) == {"interval_seconds": 5, "mode": None}

    assert desired.configs.keys() == {("ping", "all"), ("ping", "local")}
    assert desired.configs["ping", "local"].order == 7
    assert desired.configs["ping", "all"].settings.enabled is False

    cluster = desired.clusters["demo"]
    assert cluster.deploy_policy is DeployPolicy.APPROVE
    assert cluster.gates == Gates(destroyed_percent=10, protected=["a.b"])
    assert cluster.variables == {"hosts": 3, "list": ["a", {"b": None}]}


def test_the_prober_of_the_readme_is_one(root: Path) -> None:
    readme = (Path(__file__).parents[4] / "configs/README.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    write(root / "probers/ssh-port/prober.yaml", textwrap.dedent(example))
    assert read_repository(root, "local").configs.keys() == {("ssh-port", "everywhere")}


def test_another_environment_shares_recipes_and_probers_only(root: Path) -> None:
    write(root / "environments/prod/clusters/mesh.yaml", "recipe: vms")
    desired = read_repository(root, "prod")
    assert desired.clusters.keys() == {"mesh"}
    assert desired.probers.keys() == {"ping"}


def test_values_may_be_shared_by_anchors_and_merge_keys(root: Path) -> None:
    write(
        root / "environments/local/clusters/demo.yaml",
        """
recipe: vms
variables:
  one: &one {port: 80, path: /}
  other: {<<: *one, port: 443}
  same: *one
  both: {<<: [{port: 1}, *one]}
""",
    )
    variables = read_repository(root, "local").clusters["demo"].variables
    assert variables == {
        "one": {"port": 80, "path": "/"},
        "other": {"port": 443, "path": "/"},
        "same": {"port": 80, "path": "/"},
        "both": {"port": 1, "path": "/"},
    }


def test_words_that_yaml_once_took_for_booleans_are_texts(root: Path) -> None:
    write(
        root / "environments/local/clusters/demo.yaml",
        "{recipe: vms, variables: {a: yes, b: off, c: 0o17, d: 1:30, e: ~}}",
    )
    variables = read_repository(root, "local").clusters["demo"].variables
    assert variables == {"a": "yes", "b": "off", "c": 15, "d": "1:30", "e": None}


def bad_files(kind: str) -> list[Path]:
    return sorted((TESTDATA / kind).iterdir())


@pytest.mark.parametrize("bad", bad_files("clusters"), ids=lambda path: path.stem)
def test_a_mistake_in_a_cluster_is_told_with_line_and_field(root: Path, bad: Path) -> None:
    place = root / "environments/local/clusters/demo.yaml"
    shutil.copy(bad, place)
    assert mistakes_of(root) == [expected("environments/local/clusters/demo.yaml", bad)]


@pytest.mark.parametrize("bad", bad_files("probers"), ids=lambda path: path.stem)
def test_a_mistake_in_a_prober_is_told_with_line_and_field(root: Path, bad: Path) -> None:
    shutil.copy(bad, root / "probers/ping/prober.yaml")
    assert mistakes_of(root) == [expected("probers/ping/prober.yaml", bad)]


@pytest.mark.parametrize("bad", bad_files("recipes"), ids=lambda path: path.stem)
def test_a_mistake_in_a_recipe_is_told_with_line_and_field(root: Path, bad: Path) -> None:
    shutil.copy(bad, root / "recipes/vms/recipe.yaml")
    assert mistakes_of(root) == [expected("recipes/vms/recipe.yaml", bad)]


def expected(place: str, bad: Path) -> str:
    """What the first line of a bad file promises: `# line: text`, line 0 for the file as a whole."""
    line, _, text = bad.read_text().splitlines()[0].removeprefix("# ").partition(": ")
    return f"{place}: {text}" if line == "0" else f"{place}:{line}: {text}"


def test_all_mistakes_of_all_files_come_at_once(root: Path) -> None:
    write(root / "environments/local/clusters/demo.yaml", "recipe: Vms\nvariables: 5\nextra: 1")
    write(root / "probers/ping/prober.yaml", "defaults: {mode: 5}\nconfigs: {a: 1, b: {}}")
    write(root / "recipes/Empty Recipe/main.tf", "")
    (root / "recipes/empty").mkdir()
    assert [mistake.partition(": expected")[0] for mistake in mistakes_of(root)] == [
        "environments/local/clusters/demo.yaml:1: recipe",
        "environments/local/clusters/demo.yaml:2: variables",
        "environments/local/clusters/demo.yaml:3: extra: unknown field",
        "probers/ping/prober.yaml:1: command: is missing",
        "probers/ping/prober.yaml:1: defaults.mode",
        "probers/ping/prober.yaml:2: configs.a",
        "probers/ping/prober.yaml:2: configs.b.clusters: is missing",
        "recipes/Empty Recipe: is no name: small letters, digits and '-', a letter first, at most 63",
        "recipes/empty: a recipe needs a file",
    ]


def test_a_missing_environment_is_a_mistake_and_not_the_wish_to_delete_all(root: Path) -> None:
    with pytest.raises(
        ConfigMistakesError,
        match=r"environments/prod: is not there: .* names another one; there is local;",
    ):
        read_repository(root, "prod")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("cluster/demo.yaml", "environments/local/cluster: is not one of clusters, probers"),
        ("clusters/demo.yml", "clusters/demo.yml: a file with a name like demo.yaml is expected"),
        ("clusters/Demo.yaml", "clusters/Demo.yaml: is no name"),
        ("clusters/deep/demo.yaml", "clusters/deep: a file with a name like demo.yaml is expected"),
        ("probers/pong.yaml", "probers/pong.yaml:1: there is no prober pong in probers/"),
    ],
)
def test_what_would_silently_be_left_out_is_a_mistake(root: Path, place: str, told: str) -> None:
    write(root / "environments/local" / place, "recipe: vms" if "cluster" in place else "{}")
    (mistake,) = mistakes_of(root)
    assert told in mistake


def test_a_file_where_a_folder_should_be_is_a_mistake(root: Path) -> None:
    write(root / "probers/pong.yaml", "command: [x]")
    (mistake,) = mistakes_of(root)
    assert mistake == "probers/pong.yaml: a folder is expected here"


def test_a_prober_without_its_description_is_a_mistake(root: Path) -> None:
    (root / "probers/ping/prober.yaml").unlink()
    (mistake,) = mistakes_of(root)
    assert mistake == "probers/ping/prober.yaml: cannot be read: No such file or directory"


def test_a_config_in_two_places_is_a_mistake(root: Path) -> None:
    config = "configs:\n  all: {clusters: [demo]}"
    write(root / "probers/ping/prober.yaml", f"command: [./probe.py]\n{config}")
    write(root / "environments/local/probers/ping.yaml", config)
    (mistake,) = mistakes_of(root)
    assert mistake.startswith("environments/local/probers/ping.yaml:2: configs.all: the prober's")


def test_a_file_that_is_no_text_is_a_mistake(root: Path) -> None:
    (root / "environments/local/clusters/demo.yaml").write_bytes(b"recipe: \xff")
    (mistake,) = mistakes_of(root)
    assert mistake == "environments/local/clusters/demo.yaml: no UTF-8 text"


def test_endless_aliases_end(root: Path) -> None:
    lines = ["recipe: vms", "variables:", "  a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    write(root / "environments/local/clusters/demo.yaml", "\n".join(lines))
    assert "far too much" in mistakes_of(root)[0]


def test_leftovers_are_left_out(root: Path) -> None:
    folder = root / "recipes/vms"
    for name in (".git/config", ".main.tf.swp", "main.tf~", "#main.tf#", "__pycache__/x.pyc", "x.pyc",
                 ".terraform/providers/x", "terraform.tfstate", "terraform.tfstate.backup"):  # fmt: skip
        write(folder / name, "leftover")
    write(folder / ".terraform.lock.hcl", "providers")
    write(root / "README.md", "read me")
    write(root / ".git/config", "")
    (recipe,) = read_repository(root, "local").recipes.values()
    assert [file.path for file in recipe.files] == [".terraform.lock.hcl", "main.tf"]


def test_names_of_leftovers() -> None:
    assert is_leftover(".terraform")
    assert not is_leftover("terraform.tfvars")


def test_links_devices_and_giants_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "giant").open("wb") as giant:
        giant.truncate(MAX_FILE_BYTES + 1)
    write(tmp_path / "back\\slash", "x")
    files, mistakes = files_below(tmp_path, without="prober.yaml")
    assert files == []
    assert [str(mistake).removeprefix(f"{tmp_path}/") for mistake in mistakes] == [
        "back\\slash: a path without control characters and backslashes",
        "folder: is a link: put the file itself here",
        f"giant: has {MAX_FILE_BYTES + 1} bytes, more than {MAX_FILE_BYTES}",
        "link: is a link: put the file itself here",
        "pipe: is neither a file nor a folder",
    ]


def test_a_name_that_is_no_text_can_still_be_told(root: Path) -> None:
    (root / "probers/ping" / os.fsdecode(b"\xff.py")).write_text("x")
    (mistake,) = mistakes_of(root)
    assert mistake.startswith("probers/ping/?.py: ")
    assert mistake.encode()
