"""What this process remembers of clusters and documents, so that «nothing new» costs neither a query nor a parse.

One look per second at the database serves all clusters; a document is loaded once per change and kept ready to be sent.
"""

import gzip
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from api.flights import Flights
from api.services.documents import Documents
from api.services.errors import ForbiddenError, NotFoundError
from api.services.known_clusters import Digest, KnownCluster, digest, known_clusters

LOOK_EVERY = timedelta(seconds=1)
# The digest is no proof: whatever it might miss is put right after this time.
_READ_ALL_EVERY = timedelta(seconds=30)
_MAX_BODY_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadyDocument:
    """A document as it is sent, both ways, and the files that it names."""

    etag: str
    body: bytes
    gzipped: bytes
    files: frozenset[str]

    @property
    def size(self) -> int:
        """Bytes that it takes here."""
        return len(self.body) + len(self.gzipped)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which ETag the document of a cluster has, for which change, and the files that it names."""

    change: int
    etag: str
    files: frozenset[str]


class Configurations:
    """The documents of all clusters as one process knows them; at most one second old."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._database = documents.database
        self._clock = documents.clock
        self._flights = Flights()
        self._looked_at: datetime | None = None
        self._read_all_at: datetime | None = None
        # Writes of this process, and how many of them the last look saw.
        self._writes = 0
        self._writes_seen = -1
        self._digest: Digest | None = None
        self._by_slug: dict[str, KnownCluster] = {}
        self._slugs: dict[UUID, str] = {}
        self._verdicts: dict[UUID, Verdict] = {}
        self._bodies: OrderedDict[UUID, ReadyDocument] = OrderedDict()
        self._body_bytes = 0

    def expire(self) -> None:
        """This process wrote something: the next request looks again, so that everybody sees their own writes."""
        self._writes += 1

    @property
    def is_fresh(self) -> bool:
        """Whether what is remembered may be told without another look."""
        if self._writes != self._writes_seen or self._looked_at is None:
            return False
        # A clock that was put back must not keep us from looking.
        return abs(self._clock() - self._looked_at) < LOOK_EVERY

    async def refresh(self) -> None:
        """Look at the database if the last look is a second old."""
        if not self.is_fresh:
            await self._flights.once("look", self._look)
            if self._writes != self._writes_seen:  # a write ended while we looked
                await self._flights.once("look", self._look)

    def cluster(self, slug: str) -> KnownCluster:
        """A living cluster as of the last look; NotFoundError."""
        known = self._by_slug.get(slug)
        if known is None:
            raise NotFoundError("cluster", slug)
        return known

    def cluster_with(self, cluster_id: UUID) -> KnownCluster:
        """The cluster that a token names; ForbiddenError if it is gone, and its agents' rights with it."""
        known = self._by_slug.get(self._slugs.get(cluster_id, ""))
        if known is None:
            raise ForbiddenError("the cluster of this token is gone")
        return known

    def find(self, slug: str) -> KnownCluster | None:
        """The same as `cluster`, without an error."""
        return self._by_slug.get(slug)

    def verdict(self, cluster: KnownCluster) -> Verdict | None:
        """The ETag of the cluster's document, if it is known to be right."""
        verdict = self._verdicts.get(cluster.id)
        return verdict if verdict and verdict.change == cluster.configuration_change else None

    async def current(self, cluster: KnownCluster) -> Verdict:
        """The same, however much work that needs; NotFoundError if the cluster has gone meanwhile."""
        verdict = self.verdict(cluster)
        if verdict is None:
            ready = await self._load(cluster)
            verdict = Verdict(cluster.configuration_change, ready.etag, ready.files)
        return verdict

    async def document(self, cluster: KnownCluster) -> ReadyDocument:
        """The cluster's document, ready to be sent; NotFoundError if the cluster has gone meanwhile."""
        if self.verdict(cluster) and (ready := self._bodies.get(cluster.id)):
            self._bodies.move_to_end(cluster.id)
            return ready
        return await self._load(cluster)

    def _look(self) -> None:
        if self.is_fresh:
            return
        now, writes = self._clock(), self._writes
        with self._database.reading() as session:
            seen = digest(session)
            if seen != self._digest or self._must_read_all(now):
                self._remember(known_clusters(session), now)
        self._digest, self._looked_at, self._writes_seen = seen, now, writes

    def _must_read_all(self, now: datetime) -> bool:
        return self._read_all_at is None or abs(now - self._read_all_at) >= _READ_ALL_EVERY

    def _remember(self, clusters: dict[str, KnownCluster], now: datetime) -> None:
        self._by_slug = clusters
        self._slugs = {known.id: slug for slug, known in clusters.items()}
        self._read_all_at = now
        for gone in self._verdicts.keys() - self._slugs.keys():
            self._verdicts.pop(gone, None)

    async def _load(self, cluster: KnownCluster) -> ReadyDocument:
        name = ("load", cluster.id, cluster.configuration_change)
        ready = await self._flights.once(name, lambda: self._loaded(cluster))
        self._keep(cluster, ready)
        return ready

    def _loaded(self, cluster: KnownCluster) -> ReadyDocument:
        stored = self._documents.for_change(cluster.id, cluster.configuration_change)
        return ReadyDocument(
            etag=stored.etag,
            body=stored.body,
            gzipped=gzip.compress(stored.body, 6, mtime=0),
            files=frozenset(stored.parsed().file_hashes()),
        )

    def _keep(self, cluster: KnownCluster, ready: ReadyDocument) -> None:
        # It may be even newer than the change for which it was wanted: then it is only looked at twice.
        verdict = Verdict(cluster.configuration_change, ready.etag, ready.files)
        known = self._verdicts.get(cluster.id)
        if known is None or known.change <= verdict.change:
            self._verdicts[cluster.id] = verdict
            self._drop(cluster.id)
            self._bodies[cluster.id] = ready
            self._body_bytes += ready.size
        while self._body_bytes > _MAX_BODY_BYTES and len(self._bodies) > 1:
            self._drop(next(iter(self._bodies)))

    def _drop(self, cluster_id: UUID) -> None:
        if old := self._bodies.pop(cluster_id, None):
            self._body_bytes -= old.size
