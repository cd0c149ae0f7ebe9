"""Calls of the API about probers, their revisions and their configs."""

from common.api.calls import Calls, path_of
from common.contracts.probers import (
    Prober,
    ProberConfig,
    ProberConfigPut,
    ProberCreate,
    ProberStart,
    ProberStop,
    ProberUpdate,
    Severity,
)
from common.contracts.recipes import AddedRevision, Revision, RevisionCreate


class ProberCalls(Calls):
    """Probers, their revisions and files, and where they run."""

    def probers(
        self,
        *,
        owner: str = "",
        severity: Severity | None = None,
        managed_by: str = "",
        sort: str = "",
    ) -> list[Prober]:
        """Probers, all of them or those that match all that is said, each with its newest revision and its configs."""
        query = {"owner": owner, "severity": severity, "managed_by": managed_by, "sort": sort}
        return self.listed("/probers", Prober, query)

    def prober(self, slug: str) -> Prober:
        """One prober."""
        return self.got(path_of("probers", slug), Prober)

    def create_prober(self, body: ProberCreate) -> Prober:
        """A new prober; its files become revision 1."""
        return self.sent("POST", "/probers", body, Prober)

    def change_prober(self, slug: str, body: ProberUpdate, *, etag: str) -> Prober:
        """Change the fields that are set in the body."""
        return self.changed("PATCH", path_of("probers", slug), body, etag, Prober)

    def delete_prober(self, slug: str, *, etag: str) -> None:
        """Delete a prober."""
        self.deleted(path_of("probers", slug), etag)

    def prober_revisions(self, slug: str) -> list[Revision]:
        """All revisions of a prober."""
        return self.listed(path_of("probers", slug, "revisions"), Revision)

    def prober_revision(self, slug: str, number: int) -> Revision:
        """One revision of a prober."""
        return self.got(path_of("probers", slug, "revisions", number), Revision)

    def prober_file(self, slug: str, number: int, path: str) -> bytes:
        """The content of one file of a prober's revision."""
        parts = path.split("/")
        return self.answer(path_of("probers", slug, "revisions", number, "files", *parts)).content

    def add_prober_revision(self, slug: str, body: RevisionCreate, *, etag: str) -> AddedRevision:
        """A new revision, or the newest one if the content is the same; both ETags are the prober's."""
        path = path_of("probers", slug, "revisions")
        return self.changed("POST", path, body, etag, AddedRevision)

    def upload_prober_revision(self, slug: str, archive: bytes, *, etag: str) -> AddedRevision:
        """The same from a tar archive, not compressed, of the whole folder."""
        path = path_of("probers", slug, "revisions")
        return self.changed("POST", path, archive, etag, AddedRevision)

    def stop_prober(self, slug: str, body: ProberStop) -> Prober:
        """Stop a prober everywhere, or one revision of it."""
        return self.switched("POST", path_of("probers", slug, "stop"), body, Prober)

    def start_prober(self, slug: str, body: ProberStart | None = None) -> Prober:
        """Let it, or one revision of it, run again."""
        return self.switched("POST", path_of("probers", slug, "start"), body, Prober)

    def configs(self, prober: str) -> list[ProberConfig]:
        """All configs of a prober."""
        return self.listed(path_of("probers", prober, "configs"), ProberConfig)

    def config(self, prober: str, slug: str) -> ProberConfig:
        """One config of a prober."""
        return self.got(path_of("probers", prober, "configs", slug), ProberConfig)

    def put_config(
        self, prober: str, slug: str, body: ProberConfigPut, *, etag: str = ""
    ) -> ProberConfig:
        """Replace a config; without `etag` create it, 412 if it is there."""
        path = path_of("probers", prober, "configs", slug)
        return self.changed("PUT", path, body, etag, ProberConfig)

    def delete_config(self, prober: str, slug: str, *, etag: str) -> None:
        """Delete a config."""
        self.deleted(path_of("probers", prober, "configs", slug), etag)
