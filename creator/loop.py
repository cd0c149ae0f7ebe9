"""The loop: one pass = settle what is left over → read clusters → decide for each → act → record."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import OperationalError

from common.contracts.clusters import DeploymentState
from common.encryption import EncryptionError
from creator.deployment.deployer import Deployer
from creator.deployment.descriptions import Descriptions
from creator.deployment.records import ClusterRecord, Records, UnfinishedDeployment
from creator.errors import CreatorStopsError
from creator.planner import Action, Pace, decide
from creator.recipe_checks import RecipeChecks
from creator.recovery import Recovery

Result = TypeVar("Result")

log = logging.getLogger(__name__)

# terraform gains nothing from more than one command per core, and a slow cluster must not block the others.
WORKERS = 2
_NEEDS_TERRAFORM = (Action.CHECK, Action.DEPLOY, Action.APPLY, Action.DESTROY)
_BAD = (DeploymentState.FAILED, DeploymentState.UNKNOWN)


@dataclass(frozen=True)
class Parts:
    """What the loop works with."""

    records: Records
    descriptions: Descriptions
    deployer: Deployer
    recovery: Recovery
    recipe_checks: RecipeChecks


class Loop:
    """Keeps every cluster as it is described; never two workers on one cluster."""

    def __init__(
        self, parts: Parts, *, pace: Pace, clock: Callable[[], datetime], stop: Event
    ) -> None:
        self._records = parts.records
        self._descriptions = parts.descriptions
        self._deployer = parts.deployer
        self._recovery = parts.recovery
        self._recipe_checks = parts.recipe_checks
        self._pace = pace
        self._clock = clock
        self._stop = stop
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="worker")
        # People wait for verdicts on recipes, so these do not stand in line behind deployments.
        self._checker = ThreadPoolExecutor(1, thread_name_prefix="checker")
        self._checking: Future[None] | None = None
        self._work: dict[UUID, Future[DeploymentState | None]] = {}
        self._not_before: dict[UUID, datetime] = {}
        self._database_is_away = False
        self.mistakes = 0

    def run(self, pause: timedelta) -> None:
        """Pass after pass, until told to stop; running terraforms are then left to themselves."""
        while not self._stop.is_set():
            try:
                self.start_pass()
            except OperationalError as error:
                # All of a pass may be repeated. Once per absence, not once per pass.
                if not self._database_is_away:
                    log.error("the database is away, Creator waits for it: %s", error)  # noqa: TRY400 - the traceback says nothing more
                self._database_is_away = True
            else:
                self._database_is_away = False
            self._stop.wait(pause.total_seconds())
        self.close()

    def run_once(self) -> bool:
        """One pass over what is due, to its end; whether everything went well."""
        mistakes = self.mistakes
        self._recipe_checks.run()
        self.start_pass()
        states = [future.result() for future in list(self._work.values())]
        return self.mistakes == mistakes and not any(state in _BAD for state in states)

    def close(self) -> None:
        """Wait for the workers, which see `stop` at once."""
        for pool in (self._workers, self._checker):
            pool.shutdown(wait=True, cancel_futures=True)

    def start_pass(self) -> None:
        """Give everything that is due to the workers, and return."""
        self._work = {key: work for key, work in self._work.items() if not work.done()}
        touched = {
            left.cluster_id for left in self._records.unfinished() if not self._settled(left)
        }
        for cluster in self._records.clusters():
            if cluster.id in touched or not self._is_free(cluster.id):
                continue
            described = self._guarded(cluster.id, partial(self._due, cluster))
            if described is not None:
                self._work[cluster.id] = self._workers.submit(self._work_on, cluster.id)
        self._start_checks()

    def _start_checks(self) -> None:
        if self._checking is not None:
            if not self._checking.done():
                return
            if error := self._checking.exception():  # a bug of ours; clusters go on
                self.mistakes += 1
                log.error("recipes could not be checked", exc_info=error)
        self._checking = self._checker.submit(self._recipe_checks.run)

    def _settled(self, left: UnfinishedDeployment) -> bool:
        if left.cluster_id in self._work:  # it is ours, and under way
            return False
        secrets = self._descriptions.secrets_left(left.cluster_id, left.agent_token_version)
        settle = self._recovery.settle
        return bool(self._guarded(left.cluster_id, partial(settle, left, secrets)))

    def _is_free(self, cluster_id: UUID) -> bool:
        not_before = self._not_before.get(cluster_id)
        return cluster_id not in self._work and (not_before is None or self._clock() >= not_before)

    def _work_on(self, cluster_id: UUID) -> DeploymentState | None:
        """One worker's step for one cluster; decides again, since it may have waited for its turn."""
        return self._guarded(cluster_id, partial(self._step, cluster_id))

    def _step(self, cluster_id: UUID) -> DeploymentState | None:
        if self._stop.is_set():
            return None
        found = self._records.clusters(only=[cluster_id])
        work = self._due(found[0]) if found else None
        return work() if work is not None else None

    def _due(self, cluster: ClusterRecord) -> Callable[[], DeploymentState | None] | None:
        """What is to be done about the cluster now, None = nothing."""
        description = self._descriptions.of(cluster)
        fingerprint = description.fingerprint if description else ""
        decision = decide(cluster.situation, fingerprint, self._clock(), pace=self._pace)
        log.debug("%s cluster=%s: %s", decision.action, cluster.slug, decision.reason)
        if decision.action is Action.FINISH_DESTROY:  # needs no recipe
            return partial(self._deployer.finish_destroy, cluster)
        if description is None or decision.action not in _NEEDS_TERRAFORM:
            return None
        return partial(self._deployer.deploy, description, decision)

    def _guarded(self, cluster_id: UUID, step: Callable[[], Result]) -> Result | None:
        """The edge: one bad cluster must not stop the others. It rests for a while, then is tried again."""
        try:
            return step()
        except CreatorStopsError:
            return None
        except OperationalError as error:
            log.warning("the database is away cluster_id=%s: %s", cluster_id, error)
        except EncryptionError as error:
            log.error("cannot open a secret cluster_id=%s: %s", cluster_id, error)  # noqa: TRY400 - the traceback says nothing more
        except Exception:  # a bug of ours, which this cluster has met
            log.exception("cannot deal with a cluster cluster_id=%s", cluster_id)
        self.mistakes += 1
        self._not_before[cluster_id] = self._clock() + self._pace.retry_delay
        return None
