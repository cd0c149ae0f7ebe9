"""Where terraform's providers come from, and that a revision keeps those of its first init."""

import stat
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import select

from common.contracts.clusters import DeploymentState
from database.models import RecipeRevision
from tests.integration.creator.installation import Installation

RECIPE = """
terraform {
  required_providers {
    nothing = { source = "example.com/tests/nothing" }
  }
}

variable "word" {}

resource "terraform_data" "thing" {
  input = var.word
}
"""


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror with a provider that no resource uses: init installs it, and nothing starts it."""
    folder = tmp_path / "mirror/example.com/tests/nothing"
    folder.mkdir(parents=True)
    _add_version(folder, "1.0.0")
    return tmp_path / "mirror"


def _add_version(folder: Path, version: str) -> None:
    name = f"terraform-provider-nothing_v{version}"
    with zipfile.ZipFile(
        folder / f"terraform-provider-nothing_{version}_linux_amd64.zip", "w"
    ) as archive:
        program = zipfile.ZipInfo(name)
        program.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(program, f"#!/bin/sh\n# {version}\nexit 1\n")


def _lock(installation: Installation) -> str:
    with installation.database.reading() as session:
        return (
            session.scalars(
                select(RecipeRevision.dependency_lock).order_by(RecipeRevision.number.desc())
            ).first()
            or ""
        )


def test_a_revision_keeps_the_providers_of_its_first_init(
    sqlite_installation: Installation, mirror: Path
) -> None:
    sqlite_installation.settings["creator_provider_mirror"] = mirror
    sqlite_installation.add_recipe("r", {"main.tf": RECIPE})
    sqlite_installation.add_cluster("demo", "r", {"word": "one"})
    sqlite_installation.run_pass()
    assert '"1.0.0"' in _lock(sqlite_installation)
    _add_version(mirror / "example.com/tests/nothing", "1.1.0")
    sqlite_installation.forget_workspaces()  # another machine
    sqlite_installation.set_variable("demo", "word", "two")

    sqlite_installation.run_pass()

    newest = sqlite_installation.deployments("demo")[0]
    init = newest.steps[0]
    assert init.kind == "init"
    assert init.arguments[-1] == "-lockfile=readonly"
    assert "v1.0.0" in newest.log
    sqlite_installation.add_recipe("r", {"main.tf": RECIPE + "# another revision\n"})
    sqlite_installation.run_pass()
    assert '"1.1.0"' in _lock(sqlite_installation)


def test_without_the_mirror_nothing_is_to_be_had(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    sqlite_installation.settings["creator_provider_mirror"] = tmp_path / "empty"
    sqlite_installation.add_recipe("r", {"main.tf": RECIPE})
    sqlite_installation.add_cluster("demo", "r", {"word": "one"})
    assert not sqlite_installation.run_pass()
    (failed,) = sqlite_installation.deployments("demo")
    assert failed.state is DeploymentState.FAILED
    assert "example.com/tests/nothing" in failed.error
