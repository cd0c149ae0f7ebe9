"""The work behind an answer depends on the answer, not on how much else there is: counted, never timed.

SQLite counts the steps of its virtual machine, which grow with every row that it looks at.
"""

import html
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, insert
from sqlalchemy.orm import Session

from api.application import application_of
from api.context import Context
from api.services import (
    audit,
    clusters,
    deployments,
    evidence,
    fleet,
    keys,
    prober_configs,
    probers,
    recipes,
    variables,
)
from api.services.evidence import evidence_key
from api.services.retention import REMOVALS, Expiry, Policy, Removal, due_evidence
from common.contracts.keys import Role
from common.encryption import Keyring
from common.object_storage import FileSystemObjectStorage, store_file
from database import models
from database.session import Database
from tests.integration.api.conftest import SERVER_KEY, Callers, FakeClock
from tests.integration.api.route_table import PROBE, PROBE_SHA256, described_routes, filled

# `make soak` makes the 10,000 that the API is built for; a scan shows with fewer.
FEW, MANY = 1_000, int(os.environ.get("SCALE_CLUSTERS", "4000"))  # noqa: TID251 - how much to test is no setting of ours
PROBERS = 200
_STEP = 100
# The tree of a larger index is a little deeper.
_DEEPER = 1.2
_SLACK_STEPS = 2_000
PAGES = ["/", "/clusters/{slug}"]
READS = [path for method, path in described_routes(application_of(cast("Context", None))) if method == "GET"]  # fmt: skip
CHOSEN = [
    "/api/v1/audit?kind=cluster&slug=demo",
    "/api/v1/audit?kind=cluster",
    "/api/v1/audit?slug=demo",
    "/api/v1/audit?actor=a",
    "/api/v1/audit?until=2025-01-01T00:00:00Z",
    "/api/v1/audit?kind=cluster&since=2027-01-01T00:00:00Z&sort=at",
    "/api/v1/agents?presence=silent",
    "/api/v1/agents?stale=true",
    "/api/v1/agents?version=none",
    "/api/v1/agents?clock_skew_above_seconds=5&sort=-host",
    "/api/v1/agents?presence=silent&sort=reported_at",
    "/api/v1/agents?version=none&sort=version",
    "/api/v1/clusters/demo/agents?version=none",
    "/api/v1/clusters?recipe=none",
    "/api/v1/clusters?recipe=local",
    "/api/v1/clusters?state=deleting",
    "/api/v1/clusters?state=active",
    "/api/v1/clusters?managed_by=none",
    "/api/v1/clusters?managed_by=&state=active&recipe=local",
    "/api/v1/clusters/demo/deployments?state=failed",
    "/api/v1/clusters/demo/uploads?host=none&prober=none",
]
# In each order, from both ends, the first page and one from the middle.
LISTINGS = {
    "/api/v1/agents": fleet.SORTING,
    "/api/v1/clusters/demo/agents": fleet.SORTING,
    "/api/v1/clusters": clusters.SORTING,
    "/api/v1/variables": variables.SORTING_OF_ALL,
    "/api/v1/recipes": recipes.SORTING,
    "/api/v1/probers": probers.SORTING,
    "/api/v1/probers/ping/configs": prober_configs.SORTING,
    "/api/v1/clusters/demo/deployments": deployments.SORTING,
    "/api/v1/clusters/demo/uploads": evidence.SORTING,
    "/api/v1/keys": keys.SORTING,
    "/api/v1/audit": audit.SORTING,
}
CHOSEN += [f"{path}?sort={word}" for path, sorting in LISTINGS.items() for word in sorting.words]
DEEP = [f"{path}?page_size=100&sort={word}" for path in ("/api/v1/agents", "/api/v1/clusters", "/api/v1/audit") for word in LISTINGS[path].words]  # fmt: skip

# Agents alone may ask for it.
READS.remove("/api/v1/clusters/{slug}/secrets")


@dataclass(order=True)
class Work:
    """What the database did."""

    statements: int = 0
    steps: int = 0


@dataclass
class Installation:
    """An API over so many clusters."""

    client: TestClient
    database: Database
    clusters: int
    work: Work = field(default_factory=Work)

    def watch(self) -> None:
        """Count from now on, on every connection."""

        def count_statement(*_: object) -> None:
            self.work.statements += 1

        def count_steps(connection: Any, *_: object) -> None:
            def step() -> int:
                self.work.steps += _STEP
                return 0

            connection.set_progress_handler(step, _STEP)

        event.listen(self.database.engine, "before_cursor_execute", count_statement)
        event.listen(self.database.engine, "checkout", count_steps)

    def work_of(self, path: str) -> Work:
        """What one request takes that finds remembered what each second or minute asks for anew."""
        works = []
        for _ in range(3):
            self.work.statements = self.work.steps = 0
            answer = self.client.get(path)
            assert answer.status_code == 200, (path, answer.text)
            works.append(Work(self.work.statements, self.work.steps))
        return min(works)


def report_of(number: int, probers: list[UUID]) -> dict[str, Any]:
    return {
        "instance": str(UUID(int=number)), "boot": 1, "host": "a", "version": "1",
        "clock": "2026-01-01T12:00:00Z",
        "probers": [
            {"prober_id": str(one), "revision": 1, "states": "0"} for one in probers[:2]
        ],
    }  # fmt: skip


def furnish(database: Database, clock: FakeClock, *, clusters: int, sha256: str) -> None:
    """One recipe, 200 probers, and so many clusters with what each of them has."""
    recipe, revision = uuid4(), uuid4()
    ids = [UUID(int=number + 1) for number in range(clusters)]
    slugs = ["demo" if not number else f"c{number:06}" for number in range(clusters)]
    probers = [uuid4() for _ in range(PROBERS)]
    revisions = [uuid4() for _ in range(PROBERS)]
    names = ["ping", *(f"p{number:04}" for number in range(1, PROBERS))]
    file = {"path": "a", "mode": "0644", "sha256": sha256, "size": len(PROBE)}
    rows: dict[type[models.Model], list[dict[str, Any]]] = {
        models.Recipe: [{"id": recipe, "slug": "local"}],
        models.RecipeRevision: [{"id": revision, "recipe_id": recipe, "number": 1, "content_hash": "h"}],
        models.RecipeFile: [{"revision_id": revision, **file}],
        models.Cluster: [{"id": one, "slug": slug, "recipe_id": recipe} for one, slug in zip(ids, slugs, strict=True)],
        models.ClusterVariable: [{"cluster_id": one, "id": one, "name": "a", "value": 1} for one in ids],
        models.Deployment: [
            {"id": one, "cluster_id": one, "cause": "c", "fingerprint": "f", "recipe_revision_id": revision, "log": "l"}
            for one in ids
        ],
        models.Evidence: [
            {
                "id": one, "cluster_id": one, "host": "a", "prober": "ping", "content_type": "text/plain", "size": 2,
                "sha256": PROBE_SHA256, "created_at": clock(), "expires_at": clock(), "received_at": clock(),
            }
            for one in ids
        ],
        models.DeploymentStep: [{"deployment_id": one, "kind": "plan", "arguments": []} for one in ids],
        models.Agent: [
            {
                "cluster_id": one, "instance": UUID(int=number), "host": "a", "boot": 1, "version": "1",
                "report": report_of(number, probers), "clock_skew_seconds": 0.0, "reported_at": clock(), "token_version": 1,
            }
            for number, one in enumerate(ids)
        ],
        models.AuditEntry: [
            {"at": clock(), "actor": "a", "role": "admin", "action": "change", "kind": "cluster", "object_id": one, "slug": slug}
            for one, slug in zip(ids, slugs, strict=True)
        ],
        models.Prober: [{"id": one, "slug": slug, "command": ["x"]} for one, slug in zip(probers, names, strict=True)],
        models.ProberRevision: [
            {"id": own, "prober_id": one, "number": 1, "content_hash": "h"}
            for own, one in zip(revisions, probers, strict=True)
        ],
        models.ProberFile: [{"revision_id": one, **file} for one in revisions],
        models.ProberConfig: [{"prober_id": one, "slug": "all", "clusters": ["demo"]} for one in probers],
    }  # fmt: skip
    with database.writing() as session:
        for table, values in rows.items():
            session.execute(insert(table), values)


@pytest.fixture(scope="module")
def installations(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int], Installation]]:
    """An installation with so many clusters, made once."""
    made: dict[int, Installation] = {}

    def installation(clusters: int) -> Installation:
        if clusters in made:
            return made[clusters]
        folder = tmp_path_factory.mktemp("scale")
        (folder / "database.sqlite").write_bytes(sqlite_template.read_bytes())
        database = Database(f"sqlite:///{folder / 'database.sqlite'}")
        clock = FakeClock()
        storage = FileSystemObjectStorage(folder / "objects")
        furnish(database, clock, clusters=clusters, sha256=store_file(storage, PROBE))
        storage.write(evidence_key(UUID(int=1), UUID(int=1)), PROBE)
        context = Context(
            database=database, storage=storage, server_key=SERVER_KEY, clock=clock, logs=storage,
            keyring=Keyring(lambda: ["k" * 40]),
        )  # fmt: skip
        client = Callers(application_of(context), context).role(Role.ADMIN)
        made[clusters] = Installation(client, database, clusters)
        made[clusters].client.get("/api/v1/clusters/demo/configuration")
        made[clusters].watch()
        return made[clusters]

    yield installation
    for one in made.values():
        one.database.dispose()


def address(installation: Installation, path: str) -> str:
    """The path of objects that are there."""
    key = installation.client.get("/api/v1/keys").json()["items"][0]["id"]
    named = path.replace("{deployment_id}", str(UUID(int=1))).replace("{key_id}", key)
    return filled(named.replace("{path}", "a").replace("{path:path}", "a")).replace("demo-1", "a")


@pytest.mark.parametrize("path", [*PAGES, *READS, *CHOSEN])
def test_no_answer_costs_more_where_there_is_more_of_the_rest(
    installations: Callable[[int], Installation], path: str
) -> None:
    few, many = installations(FEW), installations(MANY)
    small = few.work_of(address(few, path))
    large = many.work_of(address(many, path))
    assert large.statements == small.statements
    assert large.steps <= small.steps * _DEEPER + _SLACK_STEPS


@pytest.mark.parametrize("path", DEEP)
def test_a_page_far_behind_costs_what_the_first_one_does(
    installations: Callable[[int], Installation], path: str
) -> None:
    few, many = installations(FEW), installations(MANY)
    works = []
    for installation in (few, many):
        deep = path
        for _ in range(2):
            token = installation.client.get(deep).json()["next_page_token"]
            deep = f"{path}&page_token={token}"
        works.append(installation.work_of(deep))
    assert works[1].statements == works[0].statements
    assert works[1].steps <= works[0].steps * _DEEPER + _SLACK_STEPS


@pytest.mark.parametrize("kind", ["clusters", "probers", "agents", "audit"])
def test_a_page_takes_the_same_statements_however_long_it_is(
    installations: Callable[[int], Installation], kind: str
) -> None:
    installation = installations(FEW)
    sizes = (10, 200, 499)  # above, SQLAlchemy fetches what belongs to the rows in two parts
    works = [installation.work_of(f"/api/v1/{kind}?page_size={size}") for size in sizes]
    assert len({work.statements for work in works}) == 1


def due_evidence_count(session: Session, expiry: Expiry) -> int:
    return len(due_evidence(session, expiry))


@pytest.mark.parametrize(
    "removal", [*REMOVALS, due_evidence_count], ids=lambda removal: removal.__name__
)
def test_a_look_for_what_is_due_to_go_reads_only_that(
    installations: Callable[[int], Installation], removal: Removal
) -> None:
    works = []
    for installation in (installations(FEW), installations(MANY)):
        installation.work.steps = 0
        with installation.database.writing() as session:
            assert removal(session, Expiry(Policy(), FakeClock().now)) == 0
        works.append(installation.work.steps)
    assert works[1] <= works[0] * _DEEPER + _SLACK_STEPS


def test_the_start_page_leads_to_the_next_clusters(
    installations: Callable[[int], Installation],
) -> None:
    client = installations(FEW).client
    first = client.get("/")
    following = re.search(r'href="/(\?[^"]+)">Next page', first.text)
    assert following
    second = client.get(f"/{html.unescape(following[1])}")
    shown = [set(re.findall(r'href="/clusters/([^"]+)"', page.text)) for page in (first, second)]
    assert [len(page) for page in shown] == [100, 100]
    assert not shown[0] & shown[1]
    assert "First page" not in first.text
    assert "First page" in second.text
