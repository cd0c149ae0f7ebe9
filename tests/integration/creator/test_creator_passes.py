"""What a pass costs and what it sees: unchanged clusters cost nearly nothing, a change is seen by the pulse."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select, update

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from common.contracts.identifiers import new_id
from creator.deployment.deployment_records import DeploymentRecords
from creator.deployment.records import ClusterRecord, Records
from creator.loop import Loop
from creator.main import build_loop
from creator.outlook import Seen
from creator.planner import Action
from creator.pulse import Pulse
from creator.situations import described_by
from creator.steps.orders import StepOrder
from creator.steps.steps import RunningStep, Steps
from database import models
from database.session import Database
from tests.integration.creator.installation import Installation

RECIPE = 'variable "word" {}\noutput "word" {\n  value = var.word\n}\n'


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", count)
    yield statements
    event.remove(database.engine, "before_cursor_execute", count)


def settle(installation: Installation, loop: Loop) -> None:
    """Pretend that every cluster was deployed a moment ago, as it is described now."""
    now = datetime.now(UTC)
    for seen in loop.outlook():
        with installation.database.writing() as session:
            cluster = session.get_one(models.Cluster, seen.cluster_id)
            cluster.deployed_fingerprint, cluster.last_planned_at = seen.fingerprint, now
            session.add(
                models.Deployment(
                    cluster_id=cluster.id,
                    cause="new cluster",
                    state=DeploymentState.SUCCEEDED,
                    fingerprint=seen.fingerprint,
                    recipe_revision_id=newest_revision(installation),
                    finished_at=now,
                )
            )


def newest_revision(installation: Installation) -> UUID:
    query = select(models.RecipeRevision.id).order_by(models.RecipeRevision.id.desc()).limit(1)
    with installation.database.reading() as session:
        return session.scalars(query).one()


def described(installation: Installation, count: int) -> None:
    for _ in range(count):
        name = f"c{new_id().hex[-8:]}"
        installation.add_cluster(name, "thing", {"word": name})


@pytest.fixture
def loop(installation: Installation) -> Iterator[Loop]:
    installation.data_folder.mkdir()
    installation.add_recipe("thing", {"main.tf": RECIPE})
    made = installation.loop()
    yield made
    made.close()


def test_creators_that_all_start_anew_do_not_check_everything_at_once(
    installation: Installation, loop: Loop
) -> None:
    described(installation, 20)
    settle(installation, loop)
    age = timedelta(hours=1)
    long_ago = datetime.now(UTC) - timedelta(days=1)
    with installation.database.writing() as session:
        session.execute(update(models.Cluster).values(last_planned_at=long_ago))

    started = datetime.now(UTC)
    seen = _looked_at_by_a_new_creator(installation, age)

    due = [one for one in seen if not one.decision.is_idle]
    assert len(due) <= 1, "only one whose place is the very first"
    moments = [one.decision.again_at for one in seen if one.decision.again_at]
    assert all(started <= moment <= started + age for moment in moments)
    assert max(moments) - min(moments) > age / 8
    # Whoever runs `--once` wants it done now.
    once = installation.loop(creator_maximum_plan_age=age)
    assert all(one.decision.action is Action.CHECK for one in once.outlook())
    once.close()


def _looked_at_by_a_new_creator(installation: Installation, age: timedelta) -> list[Seen]:
    settings = installation.creator_settings(creator_maximum_plan_age=age)
    daemon = build_loop(settings, installation.database, Event(), spread=True)
    try:
        return daemon.outlook()
    finally:
        daemon.close()


def test_a_bug_in_the_loop_ends_creator_and_leaves_no_worker(
    sqlite_installation: Installation, slow_cluster: Path
) -> None:
    """A process that looks at nothing any more must not stay there with its workers."""

    class Broken(Pulse):
        def has_changed(self) -> bool:
            if (slow_cluster / "marks").exists():
                raise ZeroDivisionError
            return super().has_changed()

    loop = sqlite_installation.loop()
    loop._pulse = Broken(sqlite_installation.database)
    with pytest.raises(ZeroDivisionError):
        loop.run(timedelta(seconds=0.05), Event())
    assert not [one for one in threading.enumerate() if one.name.startswith("worker")]
    (deployment,) = sqlite_installation.deployments("demo")
    assert deployment.state is DeploymentState.APPLYING, "terraform goes on for the next Creator"


def test_the_statements_of_a_pass_do_not_grow_with_the_clusters(
    installation: Installation, loop: Loop
) -> None:
    counts = []
    for more in (3, 30):
        described(installation, more)
        settle(installation, loop)
        cold = installation.loop()
        with counted(installation.database) as first:
            cold.outlook()
        with counted(installation.database) as again:
            cold.outlook()
        cold.close()
        counts.append((len(first), len(again)))

    assert counts[0] == counts[1]
    assert not [seen.slug for seen in loop.outlook() if seen.decision.action is not Action.SKIP]


def test_only_what_has_changed_is_read_again(installation: Installation, loop: Loop) -> None:
    described(installation, 5)
    settle(installation, loop)
    assert {seen.decision.action for seen in loop.outlook()} == {Action.SKIP}
    with counted(installation.database) as quiet:
        loop.outlook()
    slug = loop.outlook()[2].slug

    installation.set_variable(slug, "word", "other")

    with counted(installation.database) as changed:
        due = [seen.slug for seen in loop.outlook() if not seen.decision.is_idle]
    assert due == [slug]
    assert len(changed) > len(quiet)


def _value(installation: Installation, slug: str) -> None:
    installation.set_variable(slug, "word", "other")


def _policy(installation: Installation, slug: str) -> None:
    with installation.database.writing() as session:
        row = session.query(models.Cluster).filter_by(slug=slug).one()
        row.deploy_policy, row.version = DeployPolicy.APPROVE, row.version + 1


def _pause(installation: Installation, slug: str) -> None:
    with installation.database.writing() as session:
        row = session.query(models.Cluster).filter_by(slug=slug).one()
        row.paused_at, row.version = datetime.now(UTC), row.version + 1


def _deletion(installation: Installation, slug: str) -> None:
    with installation.database.writing() as session:
        row = session.query(models.Cluster).filter_by(slug=slug).one()
        row.state, row.version = ClusterState.DELETING, row.version + 1


def _revision(installation: Installation, slug: str) -> None:
    installation.add_recipe("thing", {"main.tf": RECIPE + "# new\n"})


def _verdict(installation: Installation, slug: str) -> None:
    with installation.database.writing() as session:
        session.execute(update(models.RecipeRevision).values(checked_at=datetime.now(UTC)))


def _switch(installation: Installation, slug: str) -> None:
    installation.stop_applies(stopped=True)


def _new_cluster(installation: Installation, slug: str) -> None:
    installation.add_cluster("another", "thing", {"word": "a"})


def _plan_that_waits(installation: Installation, slug: str) -> None:
    with installation.database.writing() as session:
        session.execute(
            update(models.Deployment).values(state=DeploymentState.WAITING_FOR_APPROVAL)
        )


def _approval(installation: Installation, slug: str) -> None:
    _plan_that_waits(installation, slug)
    installation.rule(slug, approved=True)


CHANGES = [
    _value, _policy, _pause, _deletion, _revision, _verdict, _switch, _new_cluster, _plan_that_waits, _approval,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_people_change_is_felt_at_once(
    installation: Installation, loop: Loop, change: Callable[[Installation, str], None]
) -> None:
    described(installation, 1)
    settle(installation, loop)
    slug = loop.outlook()[0].slug
    pulse = Pulse(installation.database)
    assert pulse.has_changed()
    assert not pulse.has_changed()

    change(installation, slug)

    assert pulse.has_changed()
    assert not pulse.has_changed()
    pulse.close()


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_people_change_is_read_by_the_next_look(
    installation: Installation, loop: Loop, change: Callable[[Installation, str], None]
) -> None:
    described(installation, 1)
    settle(installation, loop)
    (seen,) = loop.outlook()

    change(installation, seen.slug)

    fresh = installation.loop()
    (now, *more), (known, *also) = loop.outlook(), fresh.outlook()
    fresh.close()
    assert (now.situation, now.fingerprint) == (known.situation, known.fingerprint)
    assert now.decision.action == known.decision.action
    assert len(more) == len(also)


def test_another_terraform_is_taken_up_by_the_next_check_and_makes_no_deployment(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    installation = sqlite_installation
    installation.add_recipe("thing", {"main.tf": RECIPE})
    installation.add_cluster("demo", "thing", {"word": "one"})
    assert installation.run_pass()
    before = installation.cluster("demo").deployed_fingerprint
    real = installation.environment()["MR_PROBER_TERRAFORM"]
    upgraded = tmp_path / "terraform"
    upgraded.write_text(
        f"""#!/bin/sh\n[ "$1" = version ] && exec echo '{{"terraform_version": "99.0.0"}}'\nexec {real} "$@"\n"""
    )
    upgraded.chmod(0o755)
    installation.settings["terraform"] = str(upgraded)

    assert installation.run_pass()
    assert installation.cluster("demo").deployed_fingerprint == before

    assert installation.run_pass(creator_maximum_plan_age=timedelta(0))
    after = installation.cluster("demo").deployed_fingerprint
    assert after == installation.fingerprint("demo")
    assert (after != before, described_by(after) == described_by(before)) == (True, True)
    assert len(installation.deployments("demo")) == 1


def test_after_a_turn_nothing_but_its_cluster_is_read_again(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_installation.add_recipe("thing", {"main.tf": RECIPE})
    described(sqlite_installation, 3)
    loop = sqlite_installation.loop()
    first, *_ = loop.outlook()
    with sqlite_installation.database.writing() as session:
        session.get_one(models.Cluster, first.cluster_id).deployed_fingerprint = "another"
    read, asked = Records.clusters, []

    def recorded(records: Records, only: Collection[UUID] | None = None) -> Sequence[ClusterRecord]:
        asked.append(only)
        return read(records, only)

    monkeypatch.setattr(Records, "clusters", recorded)
    loop._outlook.look([first.cluster_id])
    loop.close()

    assert asked == [{first.cluster_id}]


def test_the_next_cluster_begins_while_the_end_of_the_last_one_is_written_down(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_installation.add_recipe("thing", {"main.tf": RECIPE})
    for number in range(2):
        sqlite_installation.add_cluster(f"c{number}", "thing", {"word": "hello"})
    begun: list[UUID] = []
    both_have_begun = Event()
    start, close = Steps.start, DeploymentRecords.close

    def noted_start(
        steps: Steps, deployment_id: UUID, order: StepOrder, **rest: Any
    ) -> RunningStep:
        if deployment_id not in begun:
            begun.append(deployment_id)
        if len(begun) == 2:
            both_have_begun.set()
        return start(steps, deployment_id, order, **rest)

    def patient_close(records: DeploymentRecords, deployment_id: UUID, *rest: Any) -> None:
        if deployment_id == begun[0]:
            assert both_have_begun.wait(60)
        close(records, deployment_id, *rest)

    monkeypatch.setattr(Steps, "start", noted_start)
    monkeypatch.setattr(DeploymentRecords, "close", patient_close)
    loop = sqlite_installation.loop(creator_workers=1)
    assert loop.run_once()
    loop.close()
    for number in range(2):
        (deployment,) = sqlite_installation.deployments(f"c{number}")
        assert deployment.state is DeploymentState.SUCCEEDED
