"""The job that removes what nobody needs any more: in small steps, each of which may be the last before a crash."""

import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from api.context import Context
from api.services.evidence import evidence_key
from api.services.retention import (
    REMOVALS,
    Expiry,
    Policy,
    Removal,
    due_evidence,
    remove_evidence,
    unnamed_files,
)
from common.object_storage import ListedStorage, file_key
from database.leases import HeldLease

log = logging.getLogger(__name__)

_EVERY = timedelta(hours=6)
# The publisher waits for us, and so may a writer: a run ends soon, and goes on a second later.
_STEPS_PER_RUN = 10
_FILES_PER_STEP = 20
_FOLDERS = [f"{number:02x}" for number in range(256)]

# Whether there may be more of the same to do.
Step = Callable[[HeldLease], bool]


class Cleaner:
    """Goes through the database and the contents of files every few hours; one thread uses it."""

    def __init__(self, context: Context, files: ListedStorage, policy: Policy) -> None:
        self._context = context
        self._files = files
        self._policy = policy
        self._begun_at: datetime | None = None
        self._steps: deque[Step] = deque()

    def run(self, lease: HeldLease) -> None:
        """A few steps of the pass that goes on, or that is due."""
        if not self._steps and self._is_due():
            self._begun_at = self._context.clock()
            # Before the clusters to which it belongs.
            self._steps.append(self._remove_evidence)
            self._steps.extend(partial(self._remove, removal) for removal in REMOVALS)
            self._steps.extend(partial(self._remove_files, folder) for folder in _FOLDERS)
        for _ in range(min(_STEPS_PER_RUN, len(self._steps))):
            # One that fails waits for the next pass: it must not keep the others from their turn.
            step = self._steps.popleft()
            lease.keep()
            if step(lease):
                self._steps.appendleft(step)

    @property
    def is_done(self) -> bool:
        """Whether the pass is over."""
        return not self._steps

    def _is_due(self) -> bool:
        return self._begun_at is None or abs(self._context.clock() - self._begun_at) >= _EVERY

    def _remove(self, removal: Removal, lease: HeldLease) -> bool:
        # In line with those who describe: nobody pins or stops a revision meanwhile.
        with self._context.describing() as session:
            lease.require(session)
            count = removal(session, Expiry(self._policy, self._context.clock()))
        if count:
            log.info("%s count=%d", removal.__name__.replace("_", " "), count)
        return count > 0

    def _remove_evidence(self, lease: HeldLease) -> bool:
        """Contents before rows: after a crash in between we still know what to remove."""
        if self._context.logs is None:
            return False
        with self._context.database.reading() as session:
            due = due_evidence(session, Expiry(self._policy, self._context.clock()))
        for cluster_id, evidence_id in due:
            self._context.logs.delete(evidence_key(cluster_id, evidence_id))
        if due:
            with self._context.database.writing() as session:
                lease.require(session)
                remove_evidence(session, [evidence_id for _, evidence_id in due])
            log.info("remove evidence count=%d", len(due))
        return bool(due)

    def _remove_files(self, folder: str, lease: HeldLease) -> bool:
        """Contents that no revision names, from one folder; one that was stored lately may be about to be named."""
        oldest_kept = self._context.clock() - self._policy.files
        old = [
            one.key.rpartition("/")[2]
            for one in self._files.listed(file_key(folder).rpartition("/")[0])
            if one.stored_at < oldest_kept
        ]
        with self._context.database.reading() as session:
            due = unnamed_files(session, old)[:_FILES_PER_STEP]
        if not due:
            return False
        # Whoever commits a revision after us looks whether its contents are still there.
        with self._context.describing() as session:
            lease.require(session)
            for sha256 in unnamed_files(session, due):
                self._files.delete(file_key(sha256))
        log.info("removed contents of files count=%d", len(due))
        return True
