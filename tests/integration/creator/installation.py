"""A whole Creator on a fresh database and an empty data folder, with the real terraform."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

from pydantic import JsonValue, SecretStr
from sqlalchemy import delete, select, update
from sqlalchemy.orm import selectinload, undefer

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from common.contracts.files import FileUpload, content_hash
from common.contracts.recipes import Validity
from common.encryption import keyring_of_text, variable_context
from common.object_storage import FileSystemObjectStorage, store_file
from creator.deployment.assembly import Ground
from creator.deployment.workspaces import Workspace, Workspaces
from creator.loop import Loop
from creator.main import ROOT, Known, build_ground, loop_on
from creator.pulse import clusters_under_way
from creator.steps.detached import Launcher
from database.configuration_changes import mark_changed
from database.models import (
    Cluster,
    ClusterVariable,
    Deployment,
    InstallationSwitches,
    Lease,
    Recipe,
    RecipeFile,
    RecipeRevision,
)
from database.session import Database
from settings import CreatorSettings  # noqa: TID251 - plays the part of main.py

SERVER_KEY = "server key of the tests, long enough"
ENCRYPTION_KEY = "an-encryption-key-of-the-tests-long-enough"


class _LastingLauncher(Launcher):
    """One starter for all passes of all tests: to start one takes as long as a plan."""

    def close(self) -> None:
        """It ends with this process."""


_LAUNCHER = _LastingLauncher()
_VERSIONS: dict[str, str] = {}  # by executable


class Installation:
    """Describes recipes and clusters as the API does, runs passes, and shows what came of it."""

    def __init__(self, database: Database, folder: Path, home: Path = ROOT) -> None:
        self.database = database
        self.data_folder = folder
        self.home = home
        self.storage = FileSystemObjectStorage(folder / "objects")
        self.settings: dict[str, Any] = {
            "creator_retry_delay": timedelta(0),
            "creator_lock_time_limit": timedelta(0),
            "creator_maximum_plan_age": timedelta(hours=1),
            "server_key": SecretStr(SERVER_KEY),
            "encryption_keys": SecretStr(ENCRYPTION_KEY),
        }

    def add_recipe(
        self, slug: str, files: Mapping[str, str], *, validity: Validity = Validity.VALID
    ) -> None:
        """A recipe, or a new revision of it; judged already, unless a test says otherwise."""
        with self.database.writing() as session:
            recipe = session.scalars(select(Recipe).where(Recipe.slug == slug)).first()
            if recipe is None:
                recipe = Recipe(slug=slug)
                session.add(recipe)
                session.flush()
            number = len(
                session.scalars(
                    select(RecipeRevision).where(RecipeRevision.recipe_id == recipe.id)
                ).all()
            )
            uploads = [FileUpload.of(path, text.encode()) for path, text in files.items()]
            references = [upload.reference() for upload in uploads]
            for upload in uploads:
                store_file(self.storage, upload.content)
            revision = RecipeRevision(
                recipe_id=recipe.id,
                number=number + 1,
                content_hash=content_hash(references),
                validity=validity,
            )
            revision.files = [RecipeFile(**reference.model_dump()) for reference in references]
            session.add(revision)

    def add_cluster(
        self,
        slug: str,
        recipe: str,
        variables: Mapping[str, JsonValue] | None = None,
        *,
        deploy_policy: DeployPolicy = DeployPolicy.AUTOMATIC,
    ) -> UUID:
        """An active cluster that follows the newest revision."""
        with self.database.writing() as session:
            recipe_id = session.scalars(select(Recipe.id).where(Recipe.slug == recipe)).one()
            cluster = Cluster(slug=slug, recipe_id=recipe_id, deploy_policy=deploy_policy)
            cluster.variables = [
                ClusterVariable(name=name, value=value) for name, value in (variables or {}).items()
            ]
            session.add(cluster)
        return cluster.id

    def set_variable(self, slug: str, name: str, value: JsonValue) -> None:
        """Change the value of a variable."""
        with self.database.writing() as session:
            session.execute(
                update(ClusterVariable)
                .where(ClusterVariable.cluster_id == self.cluster(slug).id)
                .where(ClusterVariable.name == name)
                .values(value=value)
            )
            mark_changed(session, [self.cluster(slug).id])

    def add_secret(self, slug: str, name: str, value: JsonValue) -> None:
        """A sensitive variable, or a new value of it."""
        cluster_id = self.cluster(slug).id
        sealed = keyring_of_text(ENCRYPTION_KEY).encrypt(
            json.dumps(value).encode(), context=variable_context(cluster_id, name)
        )
        with self.database.writing() as session:
            found = session.get(ClusterVariable, (cluster_id, name))
            if found is None:
                found = ClusterVariable(cluster_id=cluster_id, name=name, value=None)
                session.add(found)
            found.encrypted = sealed
            mark_changed(session, [cluster_id])

    def secret(self, slug: str, name: str) -> str:
        """A sensitive value as it is stored."""
        with self.database.reading() as session:
            row = session.get_one(ClusterVariable, (self.cluster(slug).id, name))
        return row.encrypted or ""

    def set_encrypted(self, slug: str, name: str, text: str) -> None:
        """Write the stored form itself."""
        with self.database.writing() as session:
            row = session.get_one(ClusterVariable, (self.cluster(slug).id, name))
            row.encrypted = text

    def rule(self, slug: str, *, approved: bool) -> None:
        """A person's ruling on the plan that waits."""
        newest = self.deployments(slug)[0]
        values: dict[str, Any] = {
            "approved": approved,
            "decided_by": "ann",
            "decided_at": datetime.now(UTC),
        }
        if not approved:
            values["state"] = DeploymentState.SUPERSEDED
        with self.database.writing() as session:
            session.execute(update(Deployment).where(Deployment.id == newest.id).values(**values))

    def stop_applies(self, *, stopped: bool) -> None:
        """The switch of the whole installation."""
        with self.database.writing() as session:
            session.merge(InstallationSwitches(id=1, applies_stopped=stopped, changed_by="ann"))

    def update_cluster(self, slug: str, **values: object) -> None:
        """Change fields of the cluster's row."""
        with self.database.writing() as session:
            session.execute(update(Cluster).where(Cluster.slug == slug).values(**values))

    def delete_cluster(self, slug: str) -> None:
        """What DELETE of the API does."""
        self.update_cluster(slug, state=ClusterState.DELETING)

    def run_pass(self, **settings: object) -> bool:
        """One pass of a new Creator, to its end; whether all went well."""
        return _ran(self.loop(**settings))

    def run_pass_without_masking(self) -> bool:
        """The same, with nothing between terraform's own marks and what people see."""
        ground = replace(self._ground(self.creator_settings()), mask=lambda text, _: text)
        return _ran(loop_on(ground, self.creator_settings()))

    def loop(self, **settings: object) -> Loop:
        """The loop of a new Creator."""
        given = self.creator_settings(**settings)
        return loop_on(self._ground(given), given)

    def _ground(self, settings: CreatorSettings) -> Ground:
        known = Known(_LAUNCHER, _VERSIONS.get(settings.terraform, ""))
        ground = build_ground(settings, self.database, Event(), home=self.home, known=known)
        _VERSIONS[settings.terraform] = ground.platform.terraform_version
        return ground

    def creator_settings(self, **settings: object) -> CreatorSettings:
        """What its Creators are told, but for these."""
        return CreatorSettings(**(self.settings | settings | {"data_dir": self.data_folder}))

    def cluster(self, slug: str) -> Cluster:
        """The cluster's row, also of a destroyed one."""
        with self.database.reading() as session:
            return session.scalars(select(Cluster).where(Cluster.slug == slug)).one()

    def deployments(self, slug: str) -> list[Deployment]:
        """The cluster's deployments with steps and log, newest first."""
        query = (
            select(Deployment)
            .where(Deployment.cluster_id == self.cluster(slug).id)
            .options(
                selectinload(Deployment.steps),
                undefer(Deployment.log),
                undefer(Deployment.plan_text),
                undefer(Deployment.changes),
            )
            .order_by(Deployment.id.desc())
        )
        with self.database.reading() as session:
            return list(session.scalars(query))

    def forget_workspaces(self) -> None:
        """What another machine knows of them: nothing."""
        shutil.rmtree(self.data_folder / "workspaces")

    def touch_state(self, slug: str) -> None:
        """Somebody else's apply: the state has another serial."""
        path = self.state(slug)
        state = json.loads(path.read_bytes())
        state["serial"] += 1
        path.write_text(json.dumps(state))

    def lose_resources(self, slug: str) -> None:
        """Somebody destroyed them behind our back: a plan finds nothing of them."""
        path = self.state(slug)
        state = json.loads(path.read_bytes())
        path.write_text(json.dumps(state | {"serial": state["serial"] + 1, "resources": []}))

    def forget_recipe_contents(self) -> None:
        """No content of any file is in storage any more."""
        shutil.rmtree(self.data_folder / "objects/files")

    def remove_variable(self, slug: str, name: str) -> None:
        """The cluster has no such value any more."""
        of_cluster = ClusterVariable.cluster_id == self.cluster(slug).id
        with self.database.writing() as session:
            session.execute(delete(ClusterVariable).where(of_cluster, ClusterVariable.name == name))

    def now(self) -> datetime:
        """The moment."""
        return datetime.now(UTC)

    def expire_leases(self) -> None:
        """What time does to the leases of a Creator that was killed."""
        with self.database.writing() as session:
            session.execute(update(Lease).values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))

    def fingerprint(self, slug: str) -> str:
        """Of the cluster's description, as Creator knows it."""
        loop = self.loop()
        try:
            (seen,) = (seen for seen in loop.outlook() if seen.slug == slug)
        finally:
            loop.close()
        return seen.fingerprint

    def has_work(self) -> bool:
        """Whether anything is due or under way."""
        loop = self.loop()
        try:
            is_due = any(not seen.decision.is_idle for seen in loop.outlook())
        finally:
            loop.close()
        with self.database.reading() as session:
            return is_due or bool(clusters_under_way(session))

    def workspace(self, slug: str) -> Workspace:
        """The cluster's folders."""
        return Workspaces(self.data_folder).of(self.cluster(slug).id)

    def state(self, slug: str) -> Path:
        """The file with terraform's state."""
        return self.workspace(slug).state_folder / "terraform.tfstate"

    def resources(self, slug: str) -> list[str]:
        """Addresses in terraform's state."""
        state = json.loads(self.state(slug).read_bytes())
        return [f"{resource['type']}.{resource['name']}" for resource in state["resources"]]

    def environment(self) -> dict[str, str]:
        """For a Creator that is a process of its own."""
        terraform = shutil.which("terraform", path=str(Path(sys.executable).parent))
        return {
            "PATH": os.defpath,
            "MR_PROBER_TERRAFORM": terraform or shutil.which("terraform") or "terraform",
            "HOME": str(self.data_folder),
            "PYTHONPATH": str(ROOT),
            "MR_PROBER_DATABASE_URL": self.database.engine.url.render_as_string(
                hide_password=False
            ),
            "MR_PROBER_DATA_DIR": str(self.data_folder),
            "MR_PROBER_SERVER_KEY": SERVER_KEY,
            "MR_PROBER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "MR_PROBER_CREATOR_POLL_INTERVAL": "0.05",
            "MR_PROBER_CREATOR_RETRY_DELAY": "0.05",
        }


def _ran(loop: Loop) -> bool:
    try:
        return loop.run_once()
    finally:
        loop.close()
