"""Publishes documents and their files to object storage, for agents that cannot reach the API.

Files come first, then the document, then its signature: whoever reads a document finds all that it names.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from api.services import files, publications
from api.services.documents import Documents
from api.services.errors import NotFoundError
from api.services.known_clusters import Digest, digest
from api.services.publications import DuePublication
from common.agent_tokens import agent_token
from common.document_signature import signatures_for, signed_for
from common.errors import MrProberError
from common.published import DOCUMENT, SIGNATURE, publication_folder, published_file
from common.storages import Storages
from database.leases import HeldLease
from database.models import Publication

log = logging.getLogger(__name__)

_CLEAN_EVERY = timedelta(minutes=5)


class UnpublishedError(MrProberError):
    """Some clusters could not be published; the log has said why."""

    def __init__(self, cluster_ids: list[UUID]) -> None:
        super().__init__(
            f"{len(cluster_ids)} clusters are not published, the first: {cluster_ids[0]}"
        )


class Publisher:
    """The job that keeps publications equal to documents; one thread uses it."""

    def __init__(
        self,
        documents: Documents,
        storages: Storages,
        *,
        server_key: bytes,
    ) -> None:
        self._documents = documents
        self._database = documents.database
        self._storages = storages
        self._server_key = server_key
        self._clock = documents.clock
        self._published: Digest | None = None
        self._cleaned_at: datetime | None = None

    def run(self, lease: HeldLease) -> None:
        """Publish what changed since the last time; now and then take back what nobody needs."""
        with self._database.reading() as session:
            seen = digest(session)
            due = []
            if seen != self._published:
                due = publications.due_publications(session, self._storages.name)
        failed = [one.cluster_id for one in due if not self._is_published(one, lease)]
        self._published = None if failed else seen
        now = self._clock()
        if self._cleaned_at is None or abs(now - self._cleaned_at) >= _CLEAN_EVERY:
            self._clean(lease, now)
            self._cleaned_at = now
        if failed:
            raise UnpublishedError(failed)

    def _is_published(self, due: DuePublication, lease: HeldLease) -> bool:
        """Publish one cluster; one that lacks a file, or goes meanwhile, must not stop the others."""
        try:
            self._publish(due, lease)
        except NotFoundError as error:
            log.warning("not published cluster=%s: %s", due.cluster_id, error)
            return False
        return True

    def _publish(self, due: DuePublication, lease: HeldLease) -> None:
        document = self._documents.for_change(due.cluster_id, due.configuration_change)
        named = document.parsed().file_hashes()
        before = self._announce(due.cluster_id, named, lease)
        folder = publication_folder(self._server_key, due.cluster_id)
        for sha256 in publications.missing(before.files, named):
            content = files.content(self._storages.files, sha256)
            self._write(lease, f"{folder}/{published_file(sha256)}", content)
        if before.etag != document.etag:
            self._write(lease, f"{folder}/{DOCUMENT}", document.body)
        tokens = {
            version: agent_token(self._server_key, due.cluster_id, version=version)
            for version in due.token_versions
        }
        self._write(lease, f"{folder}/{SIGNATURE}", signatures_for(document.body, tokens))
        self._settle(due, document.etag, named, lease)
        log.info("published cluster=%s etag=%s", due.cluster_id, document.etag)

    def _write(self, lease: HeldLease, key: str, content: bytes) -> None:
        lease.keep()
        lease.require()
        self._storages.configurations.write(key, content)

    def _announce(self, cluster_id: UUID, named: set[str], lease: HeldLease) -> Publication:
        """What was published before, in this storage. From now on the row knows every file that may be there."""
        with self._database.writing() as session:
            lease.require(session)
            row = session.get(Publication, cluster_id)
            if row is None:
                row = Publication(cluster_id=cluster_id, files={}, etag="", signed_for="")
                session.add(row)
            if row.storage != self._storages.name:
                row.files, row.etag, row.storage = {}, "", self._storages.name
            before = Publication(etag=row.etag, files=dict(row.files))
            row.files = publications.announced(row.files, named)
            row.published_at = self._clock()
        return before

    def _settle(self, due: DuePublication, etag: str, named: set[str], lease: HeldLease) -> None:
        with self._database.writing() as session:
            lease.require(session)
            row = session.get_one(Publication, due.cluster_id)
            row.etag = etag
            row.signed_for = signed_for(due.token_versions)
            row.files = publications.settled(row.files, named, now=self._clock())
            row.published_at = self._clock()

    def _clean(self, lease: HeldLease, now: datetime) -> None:
        with self._database.reading() as session:
            gone = publications.orphaned_publications(session)
            rows = session.execute(select(Publication.cluster_id, Publication.files))
            old = {
                row.cluster_id: publications.expired(row.files, now=now)
                for row in rows
                if row.cluster_id not in set(gone)
            }
        for cluster_id in gone:
            self._take_back(cluster_id, lease)
        for cluster_id, hashes in old.items():
            if hashes:
                self._remove_files(cluster_id, hashes, lease)

    def _take_back(self, cluster_id: UUID, lease: HeldLease) -> None:
        """All of a cluster that is gone, the row last."""
        with self._database.reading() as session:
            published = session.get_one(Publication, cluster_id)
        folder = publication_folder(self._server_key, cluster_id)
        for name in (DOCUMENT, SIGNATURE, *map(published_file, published.files)):
            self._delete(lease, f"{folder}/{name}")
        with self._database.writing() as session:
            lease.require(session)
            session.delete(session.get_one(Publication, cluster_id))
        log.info("taken back cluster=%s", cluster_id)

    def _remove_files(self, cluster_id: UUID, hashes: list[str], lease: HeldLease) -> None:
        folder = publication_folder(self._server_key, cluster_id)
        for sha256 in hashes:
            self._delete(lease, f"{folder}/{published_file(sha256)}")
        with self._database.writing() as session:
            lease.require(session)
            row = session.get_one(Publication, cluster_id)
            row.files = {key: since for key, since in row.files.items() if key not in hashes}

    def _delete(self, lease: HeldLease, key: str) -> None:
        lease.keep()
        lease.require()
        self._storages.configurations.delete(key)
