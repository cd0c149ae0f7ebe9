"""The fifth migration knows of the states that clusters have already."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from common.contracts.clusters import DeploymentState
from common.contracts.identifiers import new_id
from database import models
from database.session import Database


def _cluster(database: Database, slug: str, **values: object) -> models.Cluster:
    with database.writing() as session:
        recipe = models.Recipe(slug=f"recipe-of-{slug}")
        session.add(recipe)
        session.flush()
        cluster = models.Cluster(id=new_id(), slug=slug, recipe_id=recipe.id, **values)
        session.add(cluster)
        session.flush()
        revision = models.RecipeRevision(recipe_id=recipe.id, number=1, content_hash="0" * 64)
        session.add(revision)
        session.flush()
        session.add(
            models.Deployment(
                cluster_id=cluster.id,
                cause="test",
                fingerprint="f",
                recipe_revision_id=revision.id,
                state=DeploymentState.FAILED,
            )
        )
    return cluster


def _applied(database: Database, slug: str, exit_code: int) -> None:
    with database.writing() as session:
        of_cluster = sa.select(models.Deployment.id).join(models.Cluster)
        deployment_id = session.scalars(of_cluster.where(models.Cluster.slug == slug)).one()
        step = models.DeploymentStep(deployment_id=deployment_id, kind="apply", arguments=[])
        step.exit_code = exit_code
        session.add(step)


@pytest.mark.usefixtures("database")
def test_whoever_was_applied_well_has_a_state(
    database_url: str, migrate: Callable[..., None]
) -> None:
    database = Database(database_url)
    _cluster(database, "new")
    _cluster(database, "half-made", applied_snapshot="key")
    _cluster(database, "deployed", applied_snapshot="key", deployed_fingerprint="f")
    _cluster(database, "changing", applied_snapshot="key")
    _applied(database, "changing", 0)
    _applied(database, "half-made", 1)
    migrate(database_url, "0004", down=True)
    migrate(database_url)

    with database.reading() as session:
        found = session.scalars(sa.select(models.Cluster.slug).where(models.Cluster.has_state))
        assert sorted(found) == ["changing", "deployed"]
    database.dispose()
