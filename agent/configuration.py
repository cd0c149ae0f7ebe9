"""Keeps the host's plan equal to the newest believable configuration document: *read*.

A document is checked whole before it is used; otherwise the last good one stays and the problem is reported.
The agent starts from what is on disk and goes on with it for as long as the API is away.
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from pydantic import JsonValue, ValidationError

from agent.errors import DocumentRefusedError, FileDamagedError
from agent.plan import HostPlan, PlannedProber, planned_prober, secrets_of
from agent.secret_values import SecretSource, SecretValues
from agent.store import Store
from common.contracts.configuration import ConfigurationDocument, etag_of
from common.contracts.files import FileReference
from common.contracts.references import secrets_in
from common.contracts.resolution import EffectiveProber, Host, resolve
from common.errors import ApiError, ApiRefusedError, ApiUnreachableError

log = logging.getLogger(__name__)

_LONGEST_BACK_OFF = timedelta(seconds=15)
_PAUSE = timedelta(seconds=5)
_PAUSE_AFTER_NEWS = timedelta(seconds=0.5)
# Of the wait: what an API that rounds or ends early for its own reasons may be short of.
_HELD_SHARE = 0.9
_MAX_PROBLEM_LENGTH = 1000


class ConfigurationSource(SecretSource, Protocol):
    """Where documents, files and secrets come from; ApiError if they do not."""

    def configuration(self, etag: str, *, wait: timedelta) -> bytes | None:
        """The document's bytes, or None if it is still the one with this ETag, after waiting for another one."""

    def file(self, sha256: str) -> bytes:
        """The content of a file, not checked."""


@dataclass(frozen=True)
class ConfigurationNews:
    """What the loop gets: the plan in force, and what is wrong with the newest document, if anything."""

    plan: HostPlan | None
    problem: str
    # When the plan was last known to be the newest, by the scheduler's clock; None: never since the start.
    confirmed_ns: int | None


def checked_document(
    content: bytes, *, cluster_slug: str, current: ConfigurationDocument | None
) -> ConfigurationDocument:
    """The document behind the bytes, if it may follow the current one; DocumentRefusedError."""
    try:
        document = ConfigurationDocument.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise DocumentRefusedError(
            f"{error.error_count()} mistakes, the first one at {path or 'its beginning'}: {first['msg']}"
        ) from error
    if document.cluster.slug != cluster_slug:
        raise DocumentRefusedError(f"it is for cluster {document.cluster.slug}")
    if current and document.cluster.id != current.cluster.id:
        raise DocumentRefusedError(
            f"cluster {cluster_slug} had the id {current.cluster.id} and now has {document.cluster.id};"
            " if it really is a new cluster, remove the agent's folder"
        )
    if current and document.revision < current.revision:
        raise DocumentRefusedError(
            f"its revision {document.revision} is older than {current.revision}"
        )
    return document


def poll_delay(
    wait: timedelta, *, took: timedelta, changed: bool, failures: int, jitter: float
) -> timedelta:
    """The pause before the next question; `jitter` is from 0 to 1 and adds ±10 %.

    Zero if the API held the last one for as long as it was asked to.
    Short after news, so that the next ones are not missed; longer if an API without `wait`,
    or one that holds too many, answered at once; longer and longer after failures.
    """
    pause = min(wait, _PAUSE)
    if failures:
        longest = max(pause, _LONGEST_BACK_OFF)
        pause = min(longest, pause * 2.0 ** min(failures - 1, 10))
    elif changed:
        pause = min(wait, _PAUSE_AFTER_NEWS)
    elif took >= wait * _HELD_SHARE:
        return timedelta()
    return pause * (0.9 + 0.2 * jitter)


def follow(
    configuration: "Configuration",
    *,
    wait: timedelta,
    stopping: threading.Event,
    deliver: Callable[[ConfigurationNews], None],
) -> None:
    """Deliver what is on disk, then poll until told to stop; the body of a thread."""
    deliver(configuration.start_from_disk())
    while not stopping.is_set():
        started = time.monotonic()
        etag = configuration.etag
        deliver(configuration.poll(wait))
        delay = poll_delay(
            wait,
            took=timedelta(seconds=time.monotonic() - started),
            changed=configuration.etag != etag,
            failures=configuration.failures,
            jitter=random.random(),  # noqa: S311 - no secret
        )
        stopping.wait(delay.total_seconds())


class Configuration:
    """The newest good document of one host; used by one thread."""

    def __init__(
        self,
        source: ConfigurationSource,
        store: Store,
        *,
        cluster_slug: str,
        host: str,
        clock_ns: Callable[[], int],
    ) -> None:
        self._source = source
        self._store = store
        self._cluster_slug = cluster_slug
        self._host = Host(host)
        self._secrets = SecretValues(source, store)
        self._clock_ns = clock_ns
        self._document: ConfigurationDocument | None = None
        self.etag = ""
        self._plan: HostPlan | None = None
        self._incomplete = False
        self._problem = ""
        self._confirmed_ns: int | None = None
        self._logged = ""
        self.failures = 0

    def start_from_disk(self) -> ConfigurationNews:
        """Take up the last good document; nothing is fetched, so that it is there at once."""
        try:
            content = self._store.document()
            if content is not None:
                document = checked_document(content, cluster_slug=self._cluster_slug, current=None)
                plan = self._planned(document, files_from_disk_only=True)
                self._use(document, content, plan)
                log.info("start from disk revision=%d", document.revision)
        except (DocumentRefusedError, OSError) as error:
            self._fail(error)
        return self._news()

    def poll(self, wait: timedelta = timedelta()) -> ConfigurationNews:
        """Ask once for a newer document and let the API hold the question that long; no mishap is raised, each one is told in the news or in the log."""
        try:
            # Missing files may come any moment, and no new document tells of them.
            patience = min(wait, _PAUSE) if self._incomplete else wait
            content = self._source.configuration(self.etag, wait=patience)
            if content is not None:
                self._take(content)
            elif self._incomplete and self._document:
                self._complete(self._document)
        except (DocumentRefusedError, ApiError, OSError) as error:
            self._fail(error)
        else:
            self._succeed()
        return self._news()

    def _take(self, content: bytes) -> None:
        document = checked_document(
            content, cluster_slug=self._cluster_slug, current=self._document
        )
        plan = self._planned(document, files_from_disk_only=False)
        self._store.keep_document(content)
        before = self._document
        self._use(document, content, plan)
        log.info("configuration in use revision=%d", document.revision)
        # What the document before names stays once more: its runs may still be ending.
        self._clean_up([document, before] if before else [document])

    def _complete(self, document: ConfigurationDocument) -> None:
        """Ask again for files that could not be had; the plan is another one only if that changed something."""
        plan = self._planned(document, files_from_disk_only=False)
        if plan != self._plan:
            self._plan = plan

    def _clean_up(self, documents: Sequence[ConfigurationDocument]) -> None:
        try:
            self._store.forget_all_but(
                [
                    files
                    for document in documents
                    for prober in document.probers
                    for files in prober.revisions.values()
                ],
                single=[file.sha256 for one in documents for file in one.variable_files.values()],
            )
        except OSError as error:
            log.warning("files that nobody needs any more stay on the disk: %s", error)

    def _use(self, document: ConfigurationDocument, content: bytes, plan: HostPlan) -> None:
        self._document = document
        self.etag = etag_of(content)
        self._plan = plan

    def _planned(self, document: ConfigurationDocument, *, files_from_disk_only: bool) -> HostPlan:
        self._incomplete = False
        secrets = self._secrets.values(
            secrets_in(document.variables), from_disk_only=files_from_disk_only
        )
        values = self._large_values(document, files_from_disk_only=files_from_disk_only)
        probers = tuple(
            self._with_secrets(prober, secrets, files_from_disk_only=files_from_disk_only)
            for prober in resolve(document.filled(values), self._host)
        )
        return HostPlan(document.cluster.id, document.cluster.slug, document.revision, probers)

    def _large_values(
        self, document: ConfigurationDocument, *, files_from_disk_only: bool
    ) -> dict[str, JsonValue]:
        """Values that are files, by SHA-256, as far as they can be had; what needs the others is broken meanwhile."""
        values: dict[str, JsonValue] = {}
        for sha256 in sorted({file.sha256 for file in document.variable_files.values()}):
            try:
                if not files_from_disk_only and not self._store.has_file(sha256):
                    self._store.keep_file(sha256, self._source.file(sha256))
                values[sha256] = json.loads(self._store.file(sha256))
            except (ApiRefusedError, FileDamagedError, FileNotFoundError, ValueError):
                self._incomplete = True  # `resolve` says so of each prober that needs it
        return values

    def _with_secrets(
        self,
        prober: EffectiveProber,
        secrets: Mapping[str, JsonValue],
        *,
        files_from_disk_only: bool,
    ) -> PlannedProber:
        if missing := sorted(secrets_of(prober) - secrets.keys()):
            self._incomplete = True
            reason = self._secrets.refusal or "the API did not give it"
            problem = f"its secret {', '.join(missing)} cannot be had: {reason}"
            return planned_prober(prober, folder=None, problem=problem)
        return self._planned_prober(prober, secrets, files_from_disk_only=files_from_disk_only)

    def _planned_prober(
        self,
        prober: EffectiveProber,
        secrets: Mapping[str, JsonValue],
        *,
        files_from_disk_only: bool,
    ) -> PlannedProber:
        if prober.problem:
            return planned_prober(prober, folder=None)
        try:
            folder = self._store.unpacked(prober.files)
            if folder is None and not files_from_disk_only:
                self._fetch_missing(prober.files)
            folder = folder or self._store.unpack(prober.files)
            return planned_prober(prober, folder=folder, secrets=secrets)
        # Without the API the whole document waits: a prober that runs is better than one without its new files.
        except (ApiRefusedError, FileDamagedError, FileNotFoundError) as error:
            self._incomplete = True
            problem = f"its files cannot be had: {error}"
            return planned_prober(prober, folder=None, problem=problem)

    def _fetch_missing(self, files: Iterable[FileReference]) -> None:
        for sha256 in sorted({file.sha256 for file in files}):
            if not self._store.has_file(sha256):
                self._store.keep_file(sha256, self._source.file(sha256))

    def _succeed(self) -> None:
        self.failures = 0
        self._problem = ""
        self._confirmed_ns = self._clock_ns()
        if self._logged:
            log.info("configuration is up to date again")
        self._logged = ""

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        if not isinstance(error, ApiUnreachableError):
            self._problem = str(error)[:_MAX_PROBLEM_LENGTH]
        # Once per kind of mishap, not at each poll; the text of a network error differs each time.
        kind = type(error).__name__
        kind += f"{error.status}" if isinstance(error, ApiRefusedError) else ""
        if kind != self._logged:
            log.warning("going on with the last good configuration: %s", error)
        self._logged = kind

    def _news(self) -> ConfigurationNews:
        return ConfigurationNews(self._plan, self._problem, self._confirmed_ns)
