"""Act: look into a state, free a lock, have a resource made anew; each under the cluster's lease and with an audit entry."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.contracts.deployments import StateLock
from common.contracts.identifiers import new_id
from common.contracts.values import Wire
from common.masking import without_secrets
from creator.break_glass.errors import (
    BusyClusterError,
    LockOfProcessError,
    NoLockError,
    NoSuchClusterError,
    NoSuchResourceError,
    NothingAppliedError,
    OtherLockError,
    StateThereError,
)
from creator.deployment.assembly import Deployments, Ground
from creator.deployment.leased import under
from creator.deployment.preparation import secrets_of
from creator.deployment.records import LOCAL_STATE, ClusterRecord
from creator.deployment.terraform import Kind, error_in
from creator.deployment.workspaces import Workspace, prepare
from creator.errors import TerraformRefusedError
from creator.leases import CreatorLease, Leases
from creator.pulse import lease_name
from creator.steps.orders import StepOrder
from creator.steps.users import hand_over, open_the_way
from database.audit_log import Author, Subject, Written, record
from database.models import Cluster, Deployment


class _Done(Wire):
    """What the audit log keeps of a command."""

    details: dict[str, JsonValue] = {}


@dataclass(frozen=True)
class ShownState:
    """A state for people's eyes."""

    cluster: str
    state_key: str
    lock: StateLock | None
    addresses: list[str]
    text: str = field(repr=False)


@dataclass(frozen=True)
class BreakGlass:
    """The commands; `operator` is who runs them."""

    ground: Ground
    deployments: Deployments
    leases: Leases
    operator: str

    def show(self, slug: str) -> ShownState:
        """The state without what terraform marks as sensitive, and with our masking over it."""
        cluster = self._cluster(slug)
        with self._workplace(cluster) as (folder, secrets):
            text = self._asked(folder, Kind.SHOW, self._words("show", "-no-color"))
            addresses = self._addresses(folder)
        self._noted(cluster, "show state", {})
        return ShownState(
            cluster=slug,
            state_key=cluster.state_key,
            lock=self._lock(cluster),
            addresses=[without_secrets(one, secrets) for one in addresses],
            text=without_secrets(text, secrets),
        )

    def unlock(self, slug: str, lock_id: str) -> StateLock:
        """Free this lock and no other one; the lock that it was."""
        cluster = self._cluster(slug)
        with self._lease(cluster) as lease:
            lock = self._lock(cluster)
            if lock is None:
                raise NoLockError(slug)
            if lock.id != lock_id:
                raise OtherLockError(slug, lock)
            if cluster.state_key == LOCAL_STATE:
                raise LockOfProcessError(slug, lock)
            self._refuse_under_way(cluster)
            with self._workplace(cluster) as (folder, _):
                self._freed(folder, cluster, lock, lease)
        return lock

    def _freed(
        self, folder: Path, cluster: ClusterRecord, lock: StateLock, lease: CreatorLease
    ) -> None:
        """A step of the newest deployment, announced with the audit entry: in the history, whatever becomes of us."""

        def announced(session: Session) -> None:
            lease.require(session)  # `init` may have taken its time
            self._audit(session, cluster, "unlock state", {"lock": lock.model_dump()})

        arguments = self.ground.engine.arguments.force_unlock(lock.id)
        order = self._order(folder, Kind.UNLOCK, arguments)
        deployment_id = self._newest_deployment(cluster)
        step = self.deployments.steps.start(deployment_id, order, require=announced)
        end = step.wait(stop=Event().is_set, meanwhile=lambda: None)
        if end.exit_code != 0:
            said = (end.output / "stderr").read_text(errors="replace")
            raise TerraformRefusedError("unlock", end.exit_code or -1, error_in(said) or said)

    def _newest_deployment(self, cluster: ClusterRecord) -> UUID:
        query = select(Deployment.id).where(Deployment.cluster_id == cluster.id)
        with self.ground.database.reading() as session:
            found = session.scalar(query.order_by(Deployment.id.desc()).limit(1))
        if found is None:
            raise NothingAppliedError(cluster.slug)
        return found

    def replace(self, slug: str, address: str) -> None:
        """Have the next deployment make the resource anew, through gates and policy; it is asked for at once."""
        cluster = self._cluster(slug)
        with self._workplace(cluster) as (folder, _):
            addresses = self._addresses(folder)
        if address not in addresses:
            raise NoSuchResourceError(slug, address, addresses)
        now = self.ground.clock()
        with self.ground.database.writing() as session:
            row = session.get_one(Cluster, cluster.id, with_for_update=True)
            row.replace_addresses = sorted({*row.replace_addresses, address})
            row.deploy_requested_at, row.deploy_requested_by = now, self.operator
            self._audit(session, cluster, "replace resource", {"address": address})

    def forget_state(self, slug: str) -> None:
        """Nothing of the cluster exists any more, and its state is gone: the next deployment makes everything anew."""
        cluster = self._cluster(slug)
        with self._lease(cluster) as lease:
            self._refuse_under_way(cluster)
            if not self.ground.states.is_missing(cluster.id, cluster.state_key):
                raise StateThereError(slug, cluster.state_key)
            with under(self.ground.database, lease) as session:
                row = session.get_one(Cluster, cluster.id, with_for_update=True)
                row.has_state = False
                row.deploy_requested_at = self.ground.clock()
                row.deploy_requested_by = self.operator
                self._audit(session, cluster, "forget state", {"state": cluster.state_key})

    def _refuse_under_way(self, cluster: ClusterRecord) -> None:
        if self.deployments.clusters.unfinished(cluster.id):
            reason = "a deployment of Creator's is under way, or is to be gone on with"
            raise BusyClusterError(cluster.slug, reason)

    def _cluster(self, slug: str) -> ClusterRecord:
        query = select(Cluster.id).where(Cluster.slug == slug, Cluster.deleted_at.is_(None))
        with self.ground.database.reading() as session:
            cluster_id = session.scalar(query)
        found = self.deployments.clusters.clusters(only=[cluster_id]) if cluster_id else []
        if not found:
            raise NoSuchClusterError(slug)
        if not found[0].state_key:
            raise NothingAppliedError(slug)
        return found[0]

    @contextmanager
    def _lease(self, cluster: ClusterRecord) -> Iterator[CreatorLease]:
        lease = self.leases.claim(lease_name(cluster.id))
        if lease is None:
            raise BusyClusterError(cluster.slug, "a Creator works on it just now")
        done = Event()
        self.leases.keep_renewing(done)
        try:
            yield lease
        finally:
            done.set()
            self.leases.give_up(lease)

    @contextmanager
    def _workplace(self, cluster: ClusterRecord) -> Iterator[tuple[Path, tuple[str, ...]]]:
        """A folder of our own, prepared with what was applied last, and what nobody may see; Creator's stays as it is."""
        description = self.deployments.descriptions.of(cluster)
        if description is None:
            raise NothingAppliedError(cluster.slug)
        material = self.deployments.descriptions.applied_material(description)
        backend = self.ground.states.backend(cluster.id, cluster.state_key)
        scratch = self.ground.data_folder / "break-glass" / str(new_id())
        workspace = Workspace(root=scratch, state_folder=scratch / "state")
        try:
            prepare(workspace, material, backend, deployment_id=cluster.id)
            user = self.ground.commands.user
            hand_over(workspace.recipe, user)
            open_the_way(workspace.root, self.ground.data_folder, user)
            self._asked(workspace.recipe, Kind.INIT, self.ground.engine.arguments.init())
            yield workspace.recipe, (*description.secrets, *secrets_of(material))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _addresses(self, folder: Path) -> list[str]:
        return self._asked(folder, Kind.LIST, self.ground.engine.arguments.state_list()).split(
            "\n"
        )[:-1]

    def _lock(self, cluster: ClusterRecord) -> StateLock | None:
        reader = self.ground.states.lock_reader(cluster.id, cluster.state_key)
        return reader.read() if reader else None

    def _words(self, *words: str) -> list[str]:
        return [self.ground.engine.arguments.executable, *words]

    def _asked(self, folder: Path, kind: Kind, arguments: list[str]) -> str:
        """What the command says; TerraformRefusedError."""
        order = self._order(folder, kind, arguments)
        end = self.ground.commands.run(order, stop=Event().is_set)
        said = (end.output / "stderr").read_text(errors="replace")
        if end.exit_code != 0:
            raise TerraformRefusedError(
                kind.value, end.exit_code or -1, error_in(said) or said.strip()
            )
        return (end.output / "stdout").read_text(errors="replace")

    def _order(self, folder: Path, kind: Kind, arguments: list[str]) -> StepOrder:
        return StepOrder(
            kind=kind.value,
            arguments=tuple(arguments),
            folder=folder.parent / "run",
            working_directory=folder,
            environment=self.ground.engine.environment,
            time_limit=self.ground.engine.step_time_limit,
        )

    def _noted(self, cluster: ClusterRecord, action: str, details: dict[str, JsonValue]) -> None:
        with self.ground.database.writing() as session:
            self._audit(session, cluster, action, details)

    def _audit(
        self, session: Session, cluster: ClusterRecord, action: str, details: dict[str, JsonValue]
    ) -> None:
        author = Author(name=self.operator, role="creator")
        subject = Subject("cluster", cluster.id, cluster.slug, cluster_id=cluster.id)
        written = Written(subject, None, _Done(details=details), action=action)
        record(session, author, written, now=self.ground.clock())
