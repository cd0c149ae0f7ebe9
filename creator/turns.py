"""Act: one worker's turn with one cluster: claim it, read it again, decide again, act, let it go."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from threading import Event
from typing import TypeVar
from uuid import UUID

from common.contracts.clusters import DeploymentState
from common.encryption import EncryptionError
from common.object_storage import ObjectStorageError
from creator.deployment.deployer import Deployer
from creator.deployment.descriptions import Descriptions
from creator.deployment.records import ClusterRecord, Records
from creator.errors import CreatorStopsError
from creator.leases import CreatorLease, Leases
from creator.outcomes import Outcome, newest_outcome
from creator.planner import Action, Pace, decide
from creator.pulse import lease_name
from creator.situations import Silence
from creator.steps.orders import Unreachable
from database.leases import LeaseLostError
from database.session import DATABASE_IS_AWAY, Database

Result = TypeVar("Result")

log = logging.getLogger(__name__)

BAD_STATES = (DeploymentState.FAILED, DeploymentState.UNKNOWN)


@dataclass(frozen=True)
class Parts:
    """What turns work with."""

    database: Database
    records: Records
    descriptions: Descriptions
    deployer: Deployer
    leases: Leases


class Mishap(StrEnum):
    """What went wrong that is no deployment's end."""

    LEASE_LOST = "lease_lost"
    DATABASE = "database"
    STORAGE = "storage"
    SECRET = "secret"  # noqa: S105 - a word, not a secret
    BUG = "bug"


# They pass by themselves.
_PASSING: dict[type[Exception], Mishap] = {
    LeaseLostError: Mishap.LEASE_LOST,
    **dict.fromkeys(DATABASE_IS_AWAY, Mishap.DATABASE),
    ObjectStorageError: Mishap.STORAGE,
}


@dataclass(frozen=True)
class Turn:
    """What came of a turn."""

    state: DeploymentState | None = None  # of the deployment that it made, if it made one
    mishap: Mishap | None = None
    is_taken: bool = False  # by another Creator
    is_unsettled: bool = False  # a terraform of before still runs
    has_acted: bool = False
    # Of the deployment that the turn ended.
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def went_well(self) -> bool:
        """Whether nobody needs to look at it."""
        return not self.mishap and self.state not in BAD_STATES


def guarded(cluster_id: UUID, step: Callable[[], Result]) -> Result | Mishap:
    """The edge: one bad cluster must not stop the others."""
    try:
        return step()
    except tuple(_PASSING) as error:
        mishap = next(one for kind, one in _PASSING.items() if isinstance(error, kind))
        log.warning("%s cluster_id=%s: %s", mishap, cluster_id, error)
        return mishap
    except EncryptionError as error:
        log.error("cannot open a secret cluster_id=%s: %s", cluster_id, error)  # noqa: TRY400 - the traceback says nothing more
        return Mishap.SECRET
    except Exception:  # a bug of ours, which this cluster has met
        log.exception("cannot deal with a cluster cluster_id=%s", cluster_id)
        return Mishap.BUG


@dataclass(frozen=True)
class _Due:
    """The cluster whose turn it is."""

    cluster_id: UUID
    silence: Silence | None
    terraform_is_over: Callable[[], None]


class Turns:
    """May be used by several threads, never by two for one cluster."""

    def __init__(
        self, parts: Parts, *, pace: Pace, clock: Callable[[], datetime], stop: Event
    ) -> None:
        self._parts = parts
        self._pace = pace
        self._clock = clock
        self._stop = stop
        self._only_going_on = Event()

    def begin_nothing(self) -> None:
        """From now on turns only bring to their end what is under way."""
        self._only_going_on.set()

    def take(
        self,
        cluster_id: UUID,
        silence: Silence | None = None,
        terraform_is_over: Callable[[], None] = lambda: None,
    ) -> Turn:
        """Do what is due about the cluster now; `silence` as it was when that was decided.

        `terraform_is_over` may be told before the end, when the turn will start no terraform any more.
        """
        due = _Due(cluster_id, silence, terraform_is_over)
        done = guarded(cluster_id, lambda: self._with_outcome(due))
        return Turn(mishap=done) if isinstance(done, Mishap) else done

    def _with_outcome(self, due: "_Due") -> Turn:
        turn = self._with_lease(due)
        if turn.state is None:
            return turn
        return replace(turn, outcome=newest_outcome(self._parts.database, due.cluster_id))

    def _with_lease(self, due: "_Due") -> Turn:
        if self._stop.is_set():
            return Turn()
        lease = self._parts.leases.claim(lease_name(due.cluster_id))
        if lease is None:
            return Turn(is_taken=True)
        try:
            return self._held(due, lease)
        except CreatorStopsError:
            return Turn()
        finally:
            self._parts.leases.give_up(lease)

    def _held(self, due: "_Due", lease: CreatorLease) -> Turn:
        before = self._gone_on(due.cluster_id, lease)
        if before.is_unsettled or self._only_going_on.is_set():
            return before
        found = self._parts.records.clusters(only=[due.cluster_id])
        turn = self._act(found[0], lease, due) if found else Turn()
        return turn if turn.has_acted else before

    def _gone_on(self, cluster_id: UUID, lease: CreatorLease) -> Turn:
        """Go on with what another Creator left behind, if anything."""
        turn = Turn()
        for deployment_id in self._parts.records.unfinished(cluster_id):
            state = self._parts.deployer.resume(deployment_id, lease)
            if isinstance(state, Unreachable):
                return Turn(is_unsettled=True)
            turn = Turn(state, has_acted=True)
        return turn

    def _act(self, cluster: ClusterRecord, lease: CreatorLease, due: "_Due") -> Turn:
        description = self._parts.descriptions.of(cluster)
        fingerprint = description.fingerprint if description else ""
        situation = replace(cluster.situation, silence=due.silence)
        decision = decide(situation, fingerprint, self._clock(), pace=self._pace)
        log.debug("%s cluster=%s: %s", decision.action, cluster.slug, decision.reason)
        if decision.is_idle:
            return Turn()
        lease.require()
        if decision.action is Action.FINISH_DESTROY:  # needs no recipe
            self._parts.deployer.finish_destroy(cluster, lease)
            return Turn(has_acted=True)
        if description is None:
            raise AssertionError("the planner acts on no cluster without a revision")
        state = self._parts.deployer.deploy(
            description, decision, lease, terraform_is_over=due.terraform_is_over
        )
        return Turn(state, has_acted=True)
