"""What nobody needs goes in time, what somebody needs stays, whatever happens meanwhile."""

import hashlib
import os
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from api.cleaner import Cleaner
from api.context import Context
from api.jobs import LEASE
from api.services.retention import Policy
from common.object_storage import FileSystemObjectStorage, ObjectStorageError, file_key
from database import models
from database.leases import HeldLease, LeaseLostError, LeaseTerms
from tests.integration.api.conftest import Callers, Described, FakeClock, upload
from tests.integration.api.evidence_uploads import announced, put

_NUMBERS = count(1)
POLICY = Policy(deployments_per_cluster=2, revisions_per_parent=2)


class Cleaning:
    """A cleaner that holds the lease."""

    def __init__(self, context: Context) -> None:
        assert isinstance(context.storage, FileSystemObjectStorage)
        self.files = context.storage
        self.context = context
        self.lease = self._lease("us")
        self.cleaner = Cleaner(context, self.files, POLICY)

    def _lease(self, holder: str) -> HeldLease:
        terms = LeaseTerms(LEASE, holder, timedelta(seconds=90))
        return HeldLease(self.context.database, terms)

    def lose_the_lease(self) -> None:
        self.lease.keep()
        with self.context.database.writing() as session:
            session.get_one(models.Lease, LEASE).fencing += 1

    def whole_pass(self) -> None:
        assert self.lease.keep()
        for _ in range(1000):
            self.cleaner.run(self.lease)
            if self.cleaner.is_done:
                return
        raise AssertionError("the pass has no end")

    def count(self, table: type[models.Model], *conditions: Any) -> int:
        with self.context.database.reading() as session:
            return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0

    def add(self, *rows: models.Model) -> None:
        with self.context.database.writing() as session:
            for row in rows:
                session.add(row)
                session.flush()

    def change(self, table: type[models.Model], **values: Any) -> None:
        with self.context.database.writing() as session:
            session.execute(update(table).values(**values))

    def numbers(self, table: type[models.RecipeRevision] | type[models.ProberRevision]) -> list[int]:  # fmt: skip
        with self.context.database.reading() as session:
            return list(session.scalars(select(table.number).order_by(table.number)))

    def has(self, sha256: str) -> bool:
        return self.files.exists(file_key(sha256))

    def age(self, sha256: str, moment: datetime) -> None:
        path = self.files._root / file_key(sha256)
        os.utime(path, (moment.timestamp(), moment.timestamp()))


@pytest.fixture
def cleaning(context: Context) -> Cleaning:
    return Cleaning(context)


def deployment(cluster: dict[str, Any], revision: UUID, finished: datetime | None) -> models.Model:
    return models.Deployment(
        id=UUID(int=next(_NUMBERS)),  # ids of one millisecond have no order
        cluster_id=UUID(cluster["id"]), cause="c", fingerprint="f", log="log",
        recipe_revision_id=revision, finished_at=finished,
        steps=[models.DeploymentStep(kind="plan", arguments=[])],
    )  # fmt: skip


def first_revision(context: Context) -> UUID:
    with context.database.reading() as session:
        return session.scalars(select(models.RecipeRevision.id)).one()


def test_old_deployments_go_with_their_logs_but_never_the_newest_of_a_cluster(
    cleaning: Cleaning, described: Described, clock: FakeClock
) -> None:
    cluster, quiet = described.cluster(), described.cluster("quiet")
    revision = first_revision(cleaning.context)
    long_ago = clock.now - timedelta(days=91)
    cleaning.add(
        deployment(cluster, revision, None),  # Creator was away ever since
        *(deployment(cluster, revision, long_ago) for _ in range(3)),
        *(deployment(cluster, revision, clock.now) for _ in range(2)),
        *(deployment(quiet, revision, long_ago) for _ in range(3)),
    )
    cleaning.whole_pass()
    left = models.Deployment.cluster_id
    assert cleaning.count(models.Deployment, left == UUID(cluster["id"])) == 3
    assert cleaning.count(models.Deployment, left == UUID(quiet["id"])) == 2
    assert cleaning.count(models.DeploymentStep) == 5


def test_revisions_of_a_recipe_go_unless_something_needs_them(
    cleaning: Cleaning, described: Described, api: TestClient, clock: FakeClock
) -> None:
    described.recipe()
    for number in range(2, 8):
        body = {"files": [upload("main.tf", f"# {number}".encode())]}
        assert api.post("/api/v1/recipes/local/revisions", json=body).status_code == 201
    pinned = described.cluster("pinned", recipe_revision=3)
    with cleaning.context.database.reading() as session:
        second = session.scalars(select(models.RecipeRevision.id).filter_by(number=2)).one()
    cleaning.add(deployment(pinned, second, clock.now))
    cleaning.whole_pass()
    assert cleaning.numbers(models.RecipeRevision) == [1, 2, 3, 4, 5, 6, 7]
    cleaning.change(models.RecipeRevision, created_at=clock.now - timedelta(days=91))
    clock.forward(hours=7)
    cleaning.whole_pass()
    assert cleaning.numbers(models.RecipeRevision) == [2, 3, 6, 7]
    assert cleaning.count(models.RecipeFile) == 4


def test_the_revision_of_a_prober_that_runs_is_never_removed(
    cleaning: Cleaning, described: Described, api: TestClient, clock: FakeClock
) -> None:
    described.prober()
    for number in range(2, 8):
        body = {"files": [upload("ping", f"# {number}".encode())]}
        assert api.post("/api/v1/probers/ping/revisions", json=body).status_code == 201
    # All but the third are stopped: however old, it runs.
    with cleaning.context.database.writing() as session:
        for row in session.scalars(select(models.ProberRevision)):
            row.created_at = clock.now - timedelta(days=91)
            row.stopped_at = None if row.number in {1, 2, 3} else clock.now
    cleaning.whole_pass()
    assert cleaning.numbers(models.ProberRevision) == [2, 3, 4, 5, 6, 7]


def test_agents_links_and_old_entries_of_the_audit_log_go(
    cleaning: Cleaning, described: Described, clock: FakeClock
) -> None:
    cluster = UUID(described.cluster()["id"])
    key = UUID(int=5)
    cleaning.add(
        models.ApiKey(id=key, name="k", role="viewer", digest="d"),
        *(
            models.Agent(
                cluster_id=cluster, instance=uuid4(), host="h", boot=1, version="1", report={},
                clock_skew_seconds=0, first_seen_at=clock.now,
                reported_at=clock.now - timedelta(days=days),
            )
            for days in (0, 6, 8, 9)
        ),
        *(
            models.SignInLink(
                digest=str(days), key_id=key, expires_at=clock.now - timedelta(days=days)
            )
            for days in (-1, 2)
        ),
        *(
            models.AuditEntry(
                at=clock.now - timedelta(days=days), actor="a", role="admin", action="change",
                kind="cluster", object_id=cluster, slug="old",
            )
            for days in (1, 366)
        ),
    )  # fmt: skip
    cleaning.whole_pass()
    assert cleaning.count(models.Agent) == 2
    assert cleaning.count(models.SignInLink) == 1
    assert cleaning.count(models.AuditEntry, models.AuditEntry.slug == "old") == 1


def test_tombstones_go_with_all_they_own_and_living_namesakes_stay(
    cleaning: Cleaning, described: Described, api: TestClient, clock: FakeClock
) -> None:
    gone = described.cluster(variables={"a": 1})
    described.prober()
    described.config()
    revision = first_revision(cleaning.context)
    cleaning.add(deployment(gone, revision, clock.now))
    api.get("/api/v1/clusters/demo/configuration")
    cleaning.change(models.Cluster, deleted_at=clock.now)
    assert api.delete("/api/v1/recipes/local").status_code == 204
    assert api.delete("/api/v1/probers/ping").status_code == 204
    described.cluster()
    described.prober()
    clock.forward(days=29)
    cleaning.whole_pass()
    assert cleaning.count(models.Cluster) == 2
    clock.forward(days=2)
    cleaning.whole_pass()
    for table in (models.Cluster, models.Recipe, models.RecipeRevision, models.Prober):
        assert cleaning.count(table) == 1
    assert cleaning.count(models.Cluster, models.Cluster.id == UUID(gone["id"])) == 0
    assert cleaning.count(models.ClusterVariable) == cleaning.count(models.Deployment) == 0


def test_contents_go_when_nobody_names_them_but_not_before_the_grace_is_over(
    cleaning: Cleaning, described: Described, clock: FakeClock
) -> None:
    named = described.recipe()["revision"]["files"][0]["sha256"]
    orphan, fresh = "ab" + "0" * 62, "ab" + "1" * 62
    for sha256 in (orphan, fresh):
        cleaning.files.write(file_key(sha256), b"x")
        cleaning.age(sha256, clock.now)
    for sha256 in (named, orphan):
        cleaning.age(sha256, clock.now - timedelta(days=2))
    cleaning.whole_pass()
    assert cleaning.has(named)
    assert cleaning.has(fresh)
    assert not cleaning.has(orphan)
    clock.forward(days=2)
    cleaning.whole_pass()
    assert not cleaning.has(fresh)


def test_a_content_that_is_removed_just_before_it_is_named_is_stored_again(
    context: Context, api: TestClient
) -> None:
    content = b"# removed meanwhile"
    key = file_key(hashlib.sha256(content).hexdigest())
    describing = context.describing

    def late() -> Any:
        assert context.storage.exists(key)
        context.storage.delete(key)
        return describing()

    object.__setattr__(context, "describing", late)
    body = {"slug": "local", "files": [upload("main.tf", content)]}
    assert api.post("/api/v1/recipes", json=body).status_code == 201
    assert context.storage.read(key) == content


def test_whoever_lost_the_lease_removes_nothing(
    cleaning: Cleaning, described: Described, clock: FakeClock
) -> None:
    described.cluster()
    cleaning.change(models.Cluster, deleted_at=clock.now - timedelta(days=31))
    cleaning.lose_the_lease()
    with pytest.raises(LeaseLostError):
        cleaning.cleaner.run(cleaning.lease)
    assert cleaning.count(models.Cluster) == 1


def test_a_pass_goes_on_after_an_interruption_and_comes_again_in_time(
    cleaning: Cleaning, described: Described, clock: FakeClock
) -> None:
    described.cluster()
    assert cleaning.lease.keep()
    cleaning.cleaner.run(cleaning.lease)
    assert not cleaning.cleaner.is_done
    # Another process takes over from the beginning.
    cleaning.cleaner = Cleaner(cleaning.context, cleaning.files, POLICY)
    cleaning.whole_pass()
    cleaning.change(models.Cluster, deleted_at=clock.now - timedelta(days=31))
    cleaning.cleaner.run(cleaning.lease)
    assert cleaning.count(models.Cluster) == 1
    clock.forward(hours=7)
    cleaning.whole_pass()
    assert cleaning.count(models.Cluster) == 0


def uploads_of(context: Context) -> int:
    assert isinstance(context.logs, FileSystemObjectStorage)
    return len([path for path in context.logs._root.rglob("*") if path.is_file()])


def test_old_evidence_goes_with_its_content_whether_it_came_or_not(
    cleaning: Cleaning, described: Described, callers: Callers, clock: FakeClock
) -> None:
    agent = callers.agent(described.cluster()["id"])
    put(callers.nobody(), announced(agent))
    announced(agent)
    clock.forward(days=13)
    put(callers.nobody(), announced(agent))
    cleaning.whole_pass()
    assert (cleaning.count(models.Evidence), uploads_of(cleaning.context)) == (3, 2)
    clock.forward(days=1, hours=1)
    cleaning.whole_pass()
    assert (cleaning.count(models.Evidence), uploads_of(cleaning.context)) == (1, 1)


def test_evidence_of_a_destroyed_cluster_goes_at_once_and_lets_its_tombstone_go(
    cleaning: Cleaning, described: Described, callers: Callers, clock: FakeClock
) -> None:
    agent = callers.agent(described.cluster()["id"])
    put(callers.nobody(), announced(agent))
    cleaning.change(models.Cluster, deleted_at=clock.now)
    cleaning.whole_pass()
    # Its address is still good.
    assert cleaning.count(models.Evidence) == 1
    clock.forward(hours=7)
    cleaning.whole_pass()
    assert (cleaning.count(models.Evidence), uploads_of(cleaning.context)) == (0, 0)
    clock.forward(days=31)
    cleaning.whole_pass()
    assert cleaning.count(models.Cluster) == 0


def test_evidence_whose_content_cannot_be_removed_stays_known(
    cleaning: Cleaning, described: Described, callers: Callers, clock: FakeClock
) -> None:
    class Stuck(FileSystemObjectStorage):
        def delete(self, key: str) -> None:
            raise ObjectStorageError("delete", key, "told to fail")

    agent = callers.agent(described.cluster()["id"])
    put(callers.nobody(), announced(agent))
    clock.forward(days=15)
    works = cleaning.context.logs
    assert isinstance(works, FileSystemObjectStorage)
    object.__setattr__(cleaning.context, "logs", Stuck(works._root))
    with pytest.raises(ObjectStorageError):
        cleaning.whole_pass()
    assert cleaning.count(models.Evidence) == 1
    object.__setattr__(cleaning.context, "logs", works)
    clock.forward(hours=7)
    cleaning.whole_pass()  # the rest of the pass that was broken off
    clock.forward(hours=7)
    cleaning.whole_pass()
    assert (cleaning.count(models.Evidence), uploads_of(cleaning.context)) == (0, 0)
