"""Three Creators on PostgreSQL, everything killed at random: at the end each cluster is as described, and each wound is in the history.

`make soak` runs it for longer.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import make_url, select

from common.contracts.clusters import ClusterState, DeploymentState
from creator.leases import DURATION
from database.models import DeploymentStep, Lease
from database.session import Database
from tests.integration.creator.chaos import PATIENCE_SECONDS, Plan, Server, World
from tests.integration.creator.installation import Installation

CREATORS = 3


@pytest.fixture
def world(
    mortal_server: Server, chaos: Plan, tmp_path: Path, migrate: Callable[..., None]
) -> Iterator[World]:
    url = make_url(mortal_server.url).set(drivername="postgresql+psycopg")
    address = url.render_as_string(hide_password=False)
    migrate(address)
    database = Database(address)
    random = Random(chaos.seed)  # noqa: S311 - dice, not keys
    made = World(Installation(database, tmp_path / "data"), mortal_server, random)
    made.installation.data_folder.mkdir()
    yield made
    made.close()
    database.dispose()


@pytest.mark.timeout(3600)
def test_whatever_is_killed_each_cluster_ends_as_it_is_described(world: World, chaos: Plan) -> None:
    world.describe(chaos.clusters)
    world.start_creators(CREATORS)
    pause, until = threading.Event(), time.monotonic() + chaos.seconds
    while time.monotonic() < until:
        pause.wait(world.random.uniform(0.3, 2.5))
        world.change()
        world.kill_something()
        world.start_creators(CREATORS)

    print(f"killed: {dict(world.killed)}")  # noqa: T201 - pytest shows it when the test fails
    calm_since = world.installation.now()
    for slug in world.words:
        # One by one: at any moment one of them is being checked.
        _eventually(partial(_is_as_described, world, slug), world)
    gone = sorted(world.words)[: chaos.clusters // 2]
    for slug in gone:
        world.installation.delete_cluster(slug)
    _eventually(lambda: _are_destroyed(world, gone), world)
    world.end_creators()

    assert [slug for slug in world.words if not _is_right(world, slug, gone)] == []
    assert _clashes(world) == [], "two commands ran at once on one cluster"
    _eventually(lambda: not world.left(), world)
    assert _locks_of_states(world) == []
    assert _leases_kept(world, calm_since) == []
    assert _wounds_in_the_history(world) >= sum(
        count for kind, count in world.killed.items() if kind.startswith("terraform")
    )
    assert _open_steps(world) == []


def _is_right(world: World, slug: str, gone: list[str]) -> bool:
    return _are_destroyed(world, [slug]) if slug in gone else _is_as_described(world, slug)


def _is_as_described(world: World, slug: str) -> bool:
    deployments = world.installation.deployments(slug)
    if not deployments or deployments[0].state is not DeploymentState.SUCCEEDED:
        return False
    word, state = world.words[slug], world.installation.state(slug)
    made = (world.marks / slug / "marks").read_text().splitlines()
    return f'"{word}"' in state.read_text() and made[-1] == f"made {word}"


def _are_destroyed(world: World, slugs: list[str]) -> bool:
    installation = world.installation
    return all(installation.cluster(slug).state is ClusterState.DESTROYED for slug in slugs)


def _clashes(world: World) -> list[str]:
    found = [world.marks / "clashes", *(world.marks / slug / "clashes" for slug in world.words)]
    return [path.read_text() for path in found if path.exists()]


def _locks_of_states(world: World) -> list[Path]:
    return list(world.installation.data_folder.glob("states/*/.terraform.tfstate.lock.info"))


def _leases_kept(world: World, since: datetime) -> list[str]:
    """Who ended in order gave all of them up; those of the killed run out by themselves."""
    claimed_or_renewed = Lease.expires_at > since + DURATION
    with world.installation.database.reading() as session:
        return list(
            session.scalars(select(Lease.name).where(Lease.holder != "", claimed_or_renewed))
        )


def _open_steps(world: World) -> list[object]:
    with world.installation.database.reading() as session:
        return list(
            session.scalars(select(DeploymentStep.id).where(DeploymentStep.finished_at.is_(None)))
        )


def _wounds_in_the_history(world: World) -> int:
    """Steps that did not end by themselves, as their rows say."""
    with world.installation.database.reading() as session:
        codes = session.scalars(select(DeploymentStep.exit_code)).all()
    return sum(code is None or code < 0 for code in codes)


def _eventually(condition: Callable[[], bool], world: World) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"killed: {dict(world.killed)}\n{world.log()}")
        pause.wait(0.5)
