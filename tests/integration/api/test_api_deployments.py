"""What people see of a deployment: its log while it grows, its plan, cause beside effect, what stops it."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from common.contracts.clusters import DeploymentState
from database import models

DEMO = "/api/v1/clusters/demo"


@pytest.fixture
def demo(described: Any) -> UUID:
    return UUID(described.cluster("demo")["id"])


def add_deployment(context: Context, cluster_id: UUID, **fields: Any) -> str:
    """Of the cluster, as Creator would have written it; its address."""
    with context.database.writing() as session:
        revision = session.query(models.RecipeRevision).first()
        assert revision
        row = models.Deployment(
            cluster_id=cluster_id, cause="a test", fingerprint="", recipe_revision_id=revision.id,
            **fields,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return f"{DEMO}/deployments/{row.id}"


def add_chunks(context: Context, address: str, *texts: str, first: int = 0) -> None:
    deployment_id = UUID(address.rpartition("/")[2])
    with context.database.writing() as session:
        for number, text in enumerate(texts, start=first):
            chunk = models.DeploymentLogChunk(deployment_id=deployment_id, number=number, text=text)
            session.add(chunk)


# Texts


def test_a_log_is_joined_from_its_pieces_while_it_grows(
    api: TestClient, demo: UUID, context: Context
) -> None:
    address = add_deployment(context, demo, state=DeploymentState.APPLYING)
    other = add_deployment(context, demo, state=DeploymentState.APPLYING)
    assert api.get(f"{address}/log").text == ""
    add_chunks(context, address, "ten\n", "eleven\n", first=10)
    add_chunks(context, address, "nine\n", first=9)
    add_chunks(context, other, "of another\n")
    assert api.get(f"{address}/log").text == "nine\nten\neleven\n"
    assert api.get(f"{DEMO}/deployments/{uuid4()}/log").status_code == 404


def test_a_log_that_goes_on_after_an_approval_is_told_from_its_beginning(
    api: TestClient, demo: UUID, context: Context
) -> None:
    address = add_deployment(context, demo, state=DeploymentState.PLANNING, log="planned\n")
    add_chunks(context, address, "applying\n", "applied\n")
    assert api.get(f"{address}/log").text == "planned\napplying\napplied\n"


def test_a_plan_is_shown_as_terraform_shows_it(
    api: TestClient, demo: UUID, context: Context
) -> None:
    address = add_deployment(context, demo, plan_text="  # a.b will be created\n")
    plan = api.get(f"{address}/plan")
    assert plan.text == "  # a.b will be created\n"
    assert plan.headers["content-type"] == "text/plain; charset=utf-8"
    assert api.get(f"{DEMO}/deployments/{uuid4()}/plan").status_code == 404
