"""Keeps the host's plan equal to the newest believable configuration document: *read*.

A document is checked whole before it is used; otherwise the last good one stays and the problem is reported.
The agent starts from what is on disk and goes on with it for as long as the API is away.
Meanwhile it reads what is published in object storage.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol

from pydantic import JsonValue

from agent.documents import checked_document
from agent.errors import (
    DocumentRefusedError,
    FileDamagedError,
    OlderDocumentError,
    PublicationUnreadableError,
    UnexpectedError,
)
from agent.in_force import InForce, PlanTaken
from agent.links import Link
from agent.mailboxes import Mailbox
from agent.plan import HostPlan, PlannedProber, planned_prober, secrets_of
from agent.publication import Publication
from agent.rules import Rules
from agent.secret_values import SecretSource, SecretValues
from agent.store import Store
from common.contracts.configuration import ConfigurationDocument, etag_of
from common.contracts.files import FileReference
from common.contracts.references import secrets_in
from common.contracts.resolution import EffectiveProber, Host, resolved_one_by_one
from common.errors import ApiError, ApiRefusedError, ApiUnreachableError

log = logging.getLogger(__name__)

_PATIENCE = timedelta(seconds=5)
_MAX_PROBLEM_LENGTH = 1000
# So long may a loop that starts take for the first plan, before we ask the API.
_LOOP_SECONDS = 60.0

ConfigurationOrigin = Literal["none", "disk", "api", "object storage", "file"]


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
    source: ConfigurationOrigin = "none"
    # What the plan was made of, with its large values in place.
    document: ConfigurationDocument | None = None
    # It stands in for a newer one that cannot be put in force.
    is_fallback: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What a configuration depends on beside its sources."""

    cluster_slug: str
    host: str
    clock_ns: Callable[[], int]
    rules: Rules = field(default=Rules())
    # A local document: nothing of it is remembered, and its revision may be any.
    is_local: bool = False


class Configuration:
    """The newest good document of one host; used by one thread."""

    def __init__(
        self,
        source: ConfigurationSource,
        store: Store,
        surroundings: Surroundings,
        *,
        publication: Publication | None = None,
        link: Link | None = None,
        taken: Mailbox[PlanTaken] | None = None,
    ) -> None:
        """`publication` is read while the `source`, the API, is away; `taken` is what the loop says of plans, None: it takes all."""
        self._source = source
        self._publication = publication
        self._store = store
        self._surroundings = surroundings
        self._host = Host(surroundings.host)
        self._secrets = SecretValues(source, store)
        self._document: ConfigurationDocument | None = None
        self._in_force = InForce(taken)
        self._fallback: ConfigurationNews | None = None
        # With large values in place: what was planned last, and what is in use.
        self._planned_from: ConfigurationDocument | None = None
        self._filled: ConfigurationDocument | None = None
        self._link = link or Link()
        self.etag = ""
        self._plan: HostPlan | None = None
        self._incomplete = False
        self._problem = ""
        self._confirmed_ns: int | None = None
        self._origin: ConfigurationOrigin = "none"
        self._api_is_away = False
        self._logged = ""
        self.failures = 0

    def start_from_disk(self) -> ConfigurationNews:
        """Take up the last good document; nothing is fetched, so that it is there at once."""
        if not self._surroundings.is_local:
            self._guarded(self._take_from_disk)
        return self._news()

    def _take_from_disk(self) -> None:
        try:
            content = self._store.document()
            if content is not None:
                document = checked_document(
                    content, cluster_slug=self._surroundings.cluster_slug, current=None
                )
                plan = self._planned(document, files_from_disk_only=True)
                self._use(document, content, plan)
                self._origin = "disk"
                log.info("start from disk revision=%d", document.revision)
        except (DocumentRefusedError, OSError) as error:
            self._fail(error)

    def stand_in(self, deliver: Callable[[ConfigurationNews], None]) -> None:
        """After the start from disk: if the loop cannot put that in force, deliver what was in force before; the loop's word is waited for."""
        if self._plan is None or self._in_force.listen(self._plan, self._document, _LOOP_SECONDS):
            return
        self._guarded(self._plan_fallback)
        fallback, self._fallback = self._fallback, None
        if fallback:
            deliver(fallback)
            # The next news would take its place, if the loop had not got it yet.
            self._in_force.listen(fallback.plan, self._in_force.document, _LOOP_SECONDS)

    def _plan_fallback(self) -> None:
        content = self._store.fallback()
        if content is None:
            return
        slug = self._surroundings.cluster_slug
        document = checked_document(content, cluster_slug=slug, current=None)
        incomplete, planned_from = self._incomplete, self._planned_from
        plan = self._planned(document, files_from_disk_only=True)
        filled = self._planned_from
        # What comes next is about the newest one again.
        self._incomplete, self._planned_from = incomplete, planned_from
        self._in_force.document = document
        self._fallback = ConfigurationNews(plan, "", None, "disk", filled, is_fallback=True)

    def _guarded(self, step: Callable[[], None]) -> None:
        """A mistake of ours about one document, wherever it shows, is reported and costs nobody the last good one."""
        try:
            step()
        except Exception as error:
            log.exception("a step of the configuration failed")
            self._fail(UnexpectedError(error))

    def poll(self, wait: timedelta = timedelta()) -> ConfigurationNews:
        """Ask once for a newer document and let the API hold the question that long; no mishap is raised, each one is told in the news or in the log."""
        self._guarded(lambda: self._look(wait))
        return self._news()

    def _look(self, wait: timedelta) -> None:
        self._api_is_away = False
        try:
            self._ask_api(wait)
        except (DocumentRefusedError, ApiError, OSError) as error:
            self._fail(error)
            self._api_is_away = _is_away(error)
        else:
            self._succeed()
        if self._publication:
            if self._api_is_away:
                self._read_publication(self._publication)
            else:
                self._publication.look_if_due()

    def _ask_api(self, wait: timedelta) -> None:
        # Missing files may come any moment, and no new document tells of them.
        patience = min(wait, _PATIENCE) if self._incomplete else wait
        content = self._source.configuration(self.etag, wait=patience)
        if content is not None:
            self._take(content)
        elif self._incomplete and self._document:
            self._complete(self._document)
        self._origin = "file" if self._surroundings.is_local else "api"

    def _read_publication(self, publication: Publication) -> None:
        """Use what is published, if it is newer; a later one than ours may come any time, an older one is just late."""
        try:
            # What is incomplete is read again: its files may have come.
            known = None if self._incomplete else self._store.document()
            content = publication.configuration(known if self._document else None)
            if content is not None:
                self._take(content)
                self._problem = ""
                self._origin = "object storage"
        except OlderDocumentError as error:
            log.debug("object storage is late: %s", error)
        except PublicationUnreadableError as error:
            log.info("object storage does not help: %s", error)
        except (DocumentRefusedError, ApiError, OSError) as error:
            log.warning("what is in object storage is not used: %s", error)
            self._problem = str(error)[:_MAX_PROBLEM_LENGTH]

    def _take(self, content: bytes) -> None:
        self._in_force.listen(self._plan, self._document)
        is_local = self._surroundings.is_local
        document = checked_document(
            content,
            cluster_slug=self._surroundings.cluster_slug,
            current=None if is_local else self._document,
        )
        plan = self._planned(document, files_from_disk_only=False)
        before = self._document
        if not is_local:
            was_in_force = before is not None and before == self._in_force.document
            self._store.keep_document(content, was_in_force=was_in_force)
        if etag_of(content) != self.etag:
            log.info("configuration in use revision=%d", document.revision)
        self._use(document, content, plan if plan != self._plan else self._plan)
        # What the document before names stays once more: its runs may still be ending.
        self._clean_up([one for one in (document, before, self._in_force.document) if one])

    def _complete(self, document: ConfigurationDocument) -> None:
        """Ask again for files that could not be had; the plan is another one only if that changed something."""
        plan = self._planned(document, files_from_disk_only=False)
        if plan != self._plan:
            self._plan, self._filled = plan, self._planned_from

    def _clean_up(self, documents: Sequence[ConfigurationDocument]) -> None:
        if not (self._in_force.document or self._surroundings.is_local):
            return  # what is on disk from before may be needed once more
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

    def _use(self, document: ConfigurationDocument, content: bytes, plan: HostPlan | None) -> None:
        self._document, self._filled = document, self._planned_from
        self.etag = etag_of(content)
        self._plan = plan

    def _planned(self, document: ConfigurationDocument, *, files_from_disk_only: bool) -> HostPlan:
        self._incomplete = False
        secrets = self._secrets.values(
            secrets_in(document.variables),
            from_disk_only=files_from_disk_only or self._api_is_away,
        )
        values = self._large_values(document, files_from_disk_only=files_from_disk_only)
        filled = document.filled(values) if document.variable_files else document
        probers = tuple(
            self._planned_or_broken(prober, secrets, files_from_disk_only=files_from_disk_only)
            for prober in resolved_one_by_one(filled, self._host)
        )
        self._planned_from = filled
        until = document.applying_until
        return HostPlan(
            document.cluster.id, document.cluster.slug, document.revision, probers,
            applying_until=until.timestamp() if until else None,
        )  # fmt: skip

    def _large_values(
        self, document: ConfigurationDocument, *, files_from_disk_only: bool
    ) -> dict[str, JsonValue]:
        """Values that are files, by SHA-256, as far as they can be had; what needs the others is broken meanwhile."""
        values: dict[str, JsonValue] = {}
        for sha256 in sorted({file.sha256 for file in document.variable_files.values()}):
            try:
                if not files_from_disk_only and not self._store.has_file(sha256):
                    self._store.keep_file(sha256, self._fetched(sha256))
                values[sha256] = json.loads(self._store.file(sha256))
            except (ApiRefusedError, FileDamagedError, FileNotFoundError, ValueError):
                self._incomplete = True  # `resolve` says so of each prober that needs it
        return values

    def _planned_or_broken(
        self,
        prober: EffectiveProber,
        secrets: Mapping[str, JsonValue],
        *,
        files_from_disk_only: bool,
    ) -> PlannedProber:
        try:
            return self._with_secrets(prober, secrets, files_from_disk_only=files_from_disk_only)
        except (ApiError, OSError):
            raise
        # One of the three edges: whatever is wrong with one prober must not stop the others.
        except Exception as error:
            log.exception("prober=%s cannot be planned", prober.slug)
            return planned_prober(prober, folder=None, problem=str(UnexpectedError(error)))

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
        if problem := prober.problem or self._surroundings.rules.problem_of(prober):
            return planned_prober(prober, folder=None, problem=problem)
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
                self._store.keep_file(sha256, self._fetched(sha256))

    def _fetched(self, sha256: str) -> bytes:
        """The content of a file, not checked, from wherever the document came."""
        if not (self._api_is_away and self._publication):
            return self._source.file(sha256)
        try:
            return self._publication.file(sha256)
        except PublicationUnreadableError as error:
            raise FileNotFoundError(str(error)) from error

    def _succeed(self) -> None:
        self.failures = 0
        self._problem = ""
        self._link.succeeded()
        self._confirmed_ns = self._surroundings.clock_ns()
        if self._logged:
            log.info("configuration is up to date again")
        self._logged = ""

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        self._link.failed(error)
        if not isinstance(error, ApiUnreachableError):
            self._problem = str(error)[:_MAX_PROBLEM_LENGTH]
        # Once per kind of mishap, not at each poll; the text of a network error differs each time.
        kind = type(error).__name__
        kind += f"{error.status}" if isinstance(error, ApiRefusedError) else ""
        if kind != self._logged:
            log.warning("going on with the last good configuration: %s", error)
        self._logged = kind

    def _news(self) -> ConfigurationNews:
        return ConfigurationNews(
            self._plan, self._problem, self._confirmed_ns, self._origin, self._filled
        )


def _is_away(error: Exception) -> bool:
    """Whether the API does not work, rather than saying no."""
    if isinstance(error, ApiRefusedError):
        return error.status >= 500
    return isinstance(error, ApiError)
