"""A scaffolded recipe is one that terraform takes, and that names its hosts."""

import json
import shutil
from pathlib import Path

from common import processes
from tests.integration.needs import need
from tools.synchronize.scaffold import new_recipe


def test_terraform_applies_a_scaffolded_recipe_and_it_names_its_hosts(tmp_path: Path) -> None:
    terraform = shutil.which("terraform")
    need(terraform is not None, "terraform on PATH (make installs one)")
    new_recipe(tmp_path, "machines")
    folder = tmp_path / "recipes/machines"
    values = {
        "hosts": 2, "mr_prober_cluster": "demo", "mr_prober_api_url": "http://127.0.0.1",
        "mr_prober_agent_token": "planted",
    }  # fmt: skip
    (folder / "terraform.tfvars.json").write_text(json.dumps(values))
    for arguments in (
        ["init", "-input=false", "-backend=false"], ["validate"],
        ["apply", "-input=false", "-auto-approve"],
    ):  # fmt: skip
        ran(str(terraform), arguments, folder)
    output = json.loads(ran(str(terraform), ["output", "-json"], folder))
    assert sorted(output["mr_prober_hosts"]["value"]) == ["demo-1", "demo-2"]


def ran(terraform: str, arguments: list[str], folder: Path) -> bytes:
    process = processes.start(
        [terraform, *arguments],
        environment={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        cwd=folder,
        stdout=processes.PIPE,
        stderr=processes.PIPE,
    )
    out, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors.decode()
    return out
