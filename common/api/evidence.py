"""Calls of the API about evidence of runs, which agents upload and people read."""

from uuid import UUID

from common.api.calls import Calls, path_of
from common.contracts.evidence import Evidence


class EvidenceCalls(Calls):
    """Uploads of a cluster's agents."""

    def evidence(
        self, cluster: str, *, host: str = "", prober: str = "", sort: str = ""
    ) -> list[Evidence]:
        """What agents of a cluster uploaded, newest first; of one host, of one prober."""
        query = {"host": host, "prober": prober, "sort": sort}
        return self.listed(path_of("clusters", cluster, "uploads"), Evidence, query)

    def one_evidence(self, cluster: str, evidence_id: UUID) -> Evidence:
        """One upload, without its content."""
        return self.got(path_of("clusters", cluster, "uploads", evidence_id), Evidence)

    def evidence_content(self, cluster: str, evidence_id: UUID) -> bytes:
        """What was uploaded."""
        path = path_of("clusters", cluster, "uploads", evidence_id, "content")
        return self.answer(path).content
