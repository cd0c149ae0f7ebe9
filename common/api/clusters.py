"""Calls of the API about clusters and their variables."""

from common.api.calls import Calls, forced, parsed, path_of
from common.contracts.clusters import (
    Cluster,
    ClusterCreate,
    ClusterState,
    ClusterUpdate,
    PauseRequest,
    TokenRotation,
    Variable,
    VariableOfCluster,
    VariablePut,
)
from common.contracts.values import Input


class ClusterCalls(Calls):
    """Clusters, what people ask of them, and their variables."""

    def clusters(
        self,
        *,
        recipe: str = "",
        state: ClusterState | None = None,
        managed_by: str = "",
        sort: str = "",
    ) -> list[Cluster]:
        """Living clusters, all of them or those that match all that is said."""
        query = {"recipe": recipe, "state": state, "managed_by": managed_by, "sort": sort}
        return self.listed("/clusters", Cluster, query)

    def cluster(self, slug: str) -> Cluster:
        """One cluster."""
        return self.got(path_of("clusters", slug), Cluster)

    def create_cluster(self, body: ClusterCreate) -> Cluster:
        """A new cluster; Creator makes it real."""
        return self.sent("POST", "/clusters", body, Cluster)

    def change_cluster(
        self, slug: str, body: ClusterUpdate, *, etag: str, force: bool = False
    ) -> Cluster:
        """Change the fields that are set in the body; forced also to a revision that the values do not fit yet."""
        path = path_of("clusters", slug) + forced(force)
        return self.changed("PATCH", path, body, etag, Cluster)

    def delete_cluster(self, slug: str, *, etag: str) -> Cluster:
        """Ask for the end of a cluster: it stays in state `deleting` until Creator has destroyed it."""
        return parsed(self.deleted(path_of("clusters", slug), etag), Cluster)

    def protect_cluster(self, slug: str, *, etag: str, protected: bool = True) -> Cluster:
        """Refuse its deletion from now on, or allow it again."""
        return self.change_cluster(slug, ClusterUpdate(protected=protected), etag=etag)

    def undelete_cluster(self, slug: str) -> Cluster:
        """Take its deletion back; 409 as soon as Creator destroys it."""
        return self._asked_for(slug, "undelete")

    def pause_cluster(self, slug: str, request: PauseRequest) -> Cluster:
        """Have Creator leave it alone."""
        return self._asked_for(slug, "pause", request)

    def resume_cluster(self, slug: str) -> Cluster:
        """End its pause."""
        return self._asked_for(slug, "resume")

    def deploy_cluster(self, slug: str) -> Cluster:
        """Have Creator plan it in its next pass, and deploy it by its policy."""
        return self._asked_for(slug, "deploy")

    def rotate_agent_token(self, slug: str, *, force: bool = False) -> Cluster:
        """Give its agents a new token; forced also while some use the one before the last, which ends then."""
        path = path_of("clusters", slug, "agent-token", "rotate")
        return self.sent("POST", path, TokenRotation(force=force), Cluster)

    def variables(self, cluster: str) -> list[Variable]:
        """All variables of a cluster."""
        return self.listed(path_of("clusters", cluster, "variables"), Variable)

    def all_variables(self, *, sort: str = "") -> list[VariableOfCluster]:
        """Variables of all living clusters."""
        return self.listed("/variables", VariableOfCluster, {"sort": sort})

    def variable(self, cluster: str, name: str) -> Variable:
        """One variable of a cluster."""
        return self.got(path_of("clusters", cluster, "variables", name), Variable)

    def put_variable(
        self, cluster: str, name: str, body: VariablePut, *, etag: str = ""
    ) -> Variable:
        """Replace a variable; without `etag` create it, 412 if it is there."""
        path = path_of("clusters", cluster, "variables", name)
        return self.changed("PUT", path, body, etag, Variable)

    def delete_variable(self, cluster: str, name: str, *, etag: str) -> None:
        """Delete a variable."""
        self.deleted(path_of("clusters", cluster, "variables", name), etag)

    def _asked_for(self, slug: str, word: str, body: Input | None = None) -> Cluster:
        return self.switched("POST", path_of("clusters", slug, word), body, Cluster)
