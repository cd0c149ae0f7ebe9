"""Scaffolds are right as they are, and never written over anything."""

import socket
import sys
from pathlib import Path

import pytest

from common import processes
from tools.synchronize.errors import ScaffoldError
from tools.synchronize.files import read_repository
from tools.synchronize.scaffold import new_cluster, new_prober, new_recipe, required_variables


def ended(root: Path, **environment: str) -> tuple[int | None, str, str]:
    """Exit status, stdout and stderr of the prober's program, started as an agent does."""
    process = processes.start(
        [sys.executable, "probe.py"], environment=environment, cwd=root / "probers/ssh-port",
        stdout=processes.PIPE, stderr=processes.PIPE,
    )  # fmt: skip
    out, errors = process.communicate(timeout=60)
    return process.returncode, out.decode(), errors.decode()


def test_all_three_make_a_repository_without_mistakes(tmp_path: Path) -> None:
    new_prober(tmp_path, "ssh-port")
    new_recipe(tmp_path, "vms")
    new_cluster(tmp_path, "local", "demo", recipe="vms")
    desired = read_repository(tmp_path, "local")
    assert desired.clusters["demo"].recipe == "vms"
    assert ("ssh-port", "everywhere") in desired.configs
    for path in tmp_path.rglob("*.yaml"):
        named = path.read_text().split("$schema=")[1].split("\n")[0]
        assert (path.parent / named).resolve().parent == tmp_path / "schemas"


def test_the_prober_tells_success_failure_and_its_own_mistakes_apart(tmp_path: Path) -> None:
    new_prober(tmp_path, "ssh-port")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        status, out, _ = ended(tmp_path, VAR_TARGET=target)
        assert status == 0
        assert out.startswith("# TYPE ssh_port_seconds gauge\nssh_port_seconds 0.")
    status, _, errors = ended(tmp_path, VAR_TARGET=target)
    assert (status, errors) == (1, f"no connection to {target}: Connection refused\n")
    for wrong in ({}, {"VAR_TARGET": "x:y"}, {"VAR_TARGET": target, "VAR_TIMEOUT_SECONDS": "?"}):
        status, _, errors = ended(tmp_path, **wrong)
        assert status == 3
        assert "Traceback" in errors


def test_a_cluster_gets_a_line_for_each_variable_that_its_recipe_requires(tmp_path: Path) -> None:
    new_recipe(tmp_path, "vms")
    more = 'variable "zone" {\n  type = string\n}\nvariable size {\n}\nvariable "d" {\n  default = 1\n}\n'
    (tmp_path / "recipes/vms/more.tf").write_text(more)
    assert required_variables(tmp_path / "recipes/vms") == ["zone", "size"]
    new_cluster(tmp_path, "local", "demo", recipe="vms")
    assert read_repository(tmp_path, "local").clusters["demo"].variables == {
        "zone": None, "size": None,
    }  # fmt: skip


def test_nothing_is_written_over_anything(tmp_path: Path) -> None:
    new_prober(tmp_path, "a")
    (tmp_path / "probers/a/prober.yaml").unlink()
    with pytest.raises(ScaffoldError, match=r"probe\.py is there already"):
        new_prober(tmp_path, "a")
    assert not (tmp_path / "probers/a/prober.yaml").exists()


@pytest.mark.parametrize("name", ["A", "../up", "", "a_b", "9"])
def test_names_are_checked(tmp_path: Path, name: str) -> None:
    for make in (new_prober, new_recipe):
        with pytest.raises(ScaffoldError, match="is no name"):
            make(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_needs_its_recipe(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="make one with `new recipe vms`"):
        new_cluster(tmp_path, "local", "demo", recipe="vms")
