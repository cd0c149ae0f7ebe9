"""Starts the agent: reads the settings, builds what the loop needs, ends it on SIGTERM."""

import argparse
import gc
import logging
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.accounts import Accounts
from agent.canaries import Canaries, StartCanary
from agent.clocks import Clocks, boot_ns, utc_now
from agent.configuration import Configuration, ConfigurationNews, Surroundings
from agent.control.desk import Desk
from agent.control.server import ControlServer
from agent.control.setup import ControlParts, control_server, uploads_told_to
from agent.control.survey import AgentFacts
from agent.control.trials import TrialRules
from agent.control.window import Window
from agent.ending import End
from agent.errors import AgentFolderError, ScrapePortError
from agent.folder_lock import lock_folder
from agent.identity import next_identity
from agent.in_force import PlanTaken
from agent.links import Link, Links
from agent.local_document import LocalDocument, NoReports
from agent.loop import AgentLoop
from agent.mailboxes import Mailbox, Waker
from agent.pauses import PauseFile
from agent.polling import follow
from agent.ports import AboutAgent, Ports
from agent.powers import Powers, told_missing_powers
from agent.pressure import cpu_pressure
from agent.publication import Publication, is_publication_address, shelf_at
from agent.recorder.recorder import Recorder
from agent.recorder.uploads import UploadPorts, Uploads
from agent.reports import ReportSender
from agent.rules import Rules, rules_in
from agent.running import kernel
from agent.running.group import kill_group, make_group, remove_group
from agent.running.launchers import Workplace
from agent.running.leftovers import end_leftovers
from agent.running.users import Users, users_of_this_host
from agent.running.wiper import Wiper
from agent.secret_values import kept_secrets
from agent.sinks.choice import (
    Destination,
    SpoolBounds,
    sinks_for,
    solomon_mistakes,
    token_source,
)
from agent.sinks.port import MetricSink
from agent.store import Store
from common.agent_api_client import AgentApiClient
from common.agent_transport import AgentTransport
from common.atomic_files import read_key, remove_drafts
from common.contracts.identifiers import HOST_PATTERN, is_slug
from common.contracts.resolution import Host
from common.errors import MrProberError
from common.logs import set_up_logging
from settings import AgentSettings

log = logging.getLogger(__name__)

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CLOSE_SECONDS = 4.0


def main() -> int:
    """The exit code: 0 after SIGTERM or SIGINT, 1 if the agent cannot start or a part of it failed."""
    nudged = threading.Event()
    document = _parsed_document(nudged)
    try:
        given: dict[str, Any] = {"cluster": document.cluster_slug()} if document else {}
        settings = AgentSettings(**given)
        _refuse_unusable(settings, needs_token=document is None)
    except ValidationError as error:
        sys.stderr.write("".join(f"{mistake}\n" for mistake in _mistakes(error)))
        return 1
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except MrProberError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    set_up_logging(settings.log_level, settings.log_format)
    kernel.keep_memory_together()
    # What importing has left behind makes room for the configuration.
    gc.collect()
    try:
        return _run(settings, document, nudged)
    except MrProberError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parsed_document(nudged: threading.Event) -> LocalDocument | None:
    lines = [
        f"  MR_PROBER_{name.upper():20} {field.description}"
        for name, field in AgentSettings.model_fields.items()
    ]
    parser = argparse.ArgumentParser(
        prog="agent/main.py",
        description="Runs the probers of one host. All settings come from the environment:",
        epilog="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help="run this configuration document instead of the API's; contents of files are beside it as files/<sha256>",
    )
    file: Path | None = parser.parse_args().document
    return LocalDocument(file.absolute(), nudged) if file else None


def _mistakes(error: ValidationError) -> list[str]:
    return [
        f"MR_PROBER_{'_'.join(str(part) for part in mistake['loc']).upper()}: {mistake['msg']}"
        for mistake in error.errors(include_url=False, include_input=False)
    ]


def _refuse_unusable(settings: AgentSettings, *, needs_token: bool) -> None:
    """ValueError with one line per mistake that the types do not show."""
    mistakes = []
    if not is_slug(settings.cluster):
        mistakes.append(f"MR_PROBER_CLUSTER: {settings.cluster!r} is not the slug of a cluster")
    if not re.fullmatch(HOST_PATTERN, settings.host):
        mistakes.append(f"MR_PROBER_HOST: {settings.host!r} is not the name of a host")
    has_token = settings.agent_token is not None or settings.agent_token_file is not None
    if needs_token and not has_token:
        mistakes.append("MR_PROBER_AGENT_TOKEN or MR_PROBER_AGENT_TOKEN_FILE: one must be set")
    if settings.fallback_url and not is_publication_address(settings.fallback_url):
        # Not shown: it is a secret of the cluster's agents.
        mistakes.append("MR_PROBER_FALLBACK_URL: expected https://… or file:///…")
    token = settings.solomon_token.get_secret_value() if settings.solomon_token else None
    mistakes += solomon_mistakes(
        settings.solomon_url, settings.metadata_url, dialect=settings.solomon_dialect, token=token
    )
    if mistakes:
        raise ValueError("\n".join(mistakes))


def _run(settings: AgentSettings, document: LocalDocument | None, nudged: threading.Event) -> int:
    root = settings.agent_dir.absolute()
    rules_file, user = settings.agent_rules, _users(settings).default_name
    rules = rules_in(rules_file, default_user=user) if rules_file else Rules()
    try:
        # The descriptor stays open until the process ends, and with it the lock.
        lock_folder(root)
        remove_drafts(root)
        identity = next_identity(root, host=settings.host, cluster=settings.cluster)
        about = AboutAgent(identity, settings.host, settings.cluster)
        # What a local document needs never meets what the API's does.
        store = Store(root / "local" if document else root)
        end_leftovers(root, store.temporary)
        store.wipe_temporary()
        store.remove_drafts()
    except OSError as error:
        raise AgentFolderError(root, error) from error
    adopts_orphans = kernel.adopt_orphans()
    # The loop's thread only: what it starts, threads and processes, does not inherit that; launchers go before it.
    kernel.put_first(-10)
    end = End(Waker(), nudged)
    end.listen()
    parts = _Parts(settings, store, end, _Sources(rules, document, about, adopts_orphans))
    log.info(
        "agent starts cluster=%s host=%s instance=%s boot=%d",
        settings.cluster, settings.host, about.identity.instance, about.identity.boot,
    )  # fmt: skip
    parts.run()
    log.info("agent ends")
    return end.exit_code


@dataclass(frozen=True)
class _Sources:
    """What is known before any part is built."""

    rules: Rules
    document: LocalDocument | None
    about: AboutAgent
    adopts_orphans: bool


class _Parts:
    """The loop and the threads around it."""

    def __init__(self, settings: AgentSettings, store: Store, end: End, sources: _Sources) -> None:
        self._settings = settings
        self._store = store
        self._end = end
        self._sources = sources
        self._token = "" if sources.document else _token(settings)
        self._news: Mailbox[ConfigurationNews] = Mailbox()
        self._taken: Mailbox[PlanTaken] = Mailbox()
        self._wiper = Wiper()
        self._folder = settings.agent_dir.absolute()
        self._accounts = Accounts(self._folder)
        self._links = Links()
        receiver = NoReports() if sources.document else self._api_client()
        self._reports = ReportSender(receiver, link=self._links.reports)
        earlier = self._accounts.earlier()
        handed_over = earlier.cell if earlier else 0
        self._sink = _sink(settings, self._links.solomon, handed_over)
        self._users = _users(settings)
        self._recorder = Recorder(
            self._folder,
            max_bytes=settings.recorder_max_bytes,
            boot=sources.about.identity.boot,
            default_user=self._users.default_name,
        )
        self._desk: Desk[Window] = Desk(end.waker.wake)
        self._uploads = None
        if not sources.document:
            user = self._users.default_name
            ports = UploadPorts(settings.host, user, self._api_client, uploads_told_to(self._desk))
            self._uploads = Uploads(ports)
            self._recorder.on_kept = self._uploads.consider

    def run(self) -> None:
        """Until the end is asked for; what is left to send then gets a few seconds."""
        pauses = PauseFile(self._folder)
        ports = Ports(
            self._news, self._end.waker, self._sink, self._reports.send, self._accounts,
            desk=self._desk, record_flight=self._recorder.take, pauses=pauses.pauses(),
            canaries=self._canaries, plan_taken=self._taken.put,
        )  # fmt: skip
        path = f"{Path(sys.executable).parent}:{_SYSTEM_PATH}"
        group = make_group(self._folder)
        workplace = Workplace(
            self._store.temporary, path, self._users, self._wiper, group,
            warm_parents=self._settings.agent_warm_parents,
        )  # fmt: skip
        slots = self._settings.agent_slots
        loop = AgentLoop(self._sources.about, ports, workplace, clocks=Clocks(), slots=slots)
        stopping = threading.Event()
        control = self._control(pauses, has_group=group is not None)
        self._start_threads(stopping)
        if control:
            control.start()
        loop.run(self._end.is_asked)
        if control:
            control.close()
        if group:
            kill_group(group)
            remove_group(group)
        stopping.set()
        self._end.nudged.set()
        self._close()

    def _canaries(self, start: StartCanary, now_ns: int) -> Canaries:
        interval = self._settings.agent_canary_interval
        return Canaries(interval, rules=self._sources.rules, now_ns=now_ns, start=start)

    def _control(self, pauses: PauseFile, *, has_group: bool) -> ControlServer | None:
        facts = self._facts(has_group=has_group)
        host = Host(facts.host)
        trial_rules = TrialRules(self._sources.rules, self._users, host, kept_secrets(self._store))
        records = (self._recorder, self._uploads)
        return control_server(
            ControlParts(facts, self._desk, self._links, pauses, trial_rules, *records)
        )

    def _facts(self, *, has_group: bool) -> AgentFacts:
        settings, about, users = self._settings, self._sources.about, self._users
        powers = Powers(
            may_change_user=users.may_change,
            user=users.own,
            adopts_orphans=self._sources.adopts_orphans,
            has_group=has_group,
            sees_pressure=bool(cpu_pressure()),
        )
        return AgentFacts(
            identity=about.identity,
            cluster=about.cluster_slug,
            host=about.host,
            environment=settings.environment,
            folder=self._folder,
            user=users.own,
            default_user=users.default_name,
            slots=settings.agent_slots,
            api_url="" if self._sources.document else settings.api_url,
            # Its address is a secret of the cluster's agents.
            has_storage=bool(settings.fallback_url) and self._sources.document is None,
            solomon_url=settings.solomon_url,
            missing_powers=told_missing_powers(powers),
            started_at=utc_now(),
        )

    def _close(self) -> None:
        """All at the same time, so that one slow server does not take the time of the other."""
        closes = [part.close for part in (self._reports, self._sink, self._wiper, self._recorder)]
        closes += [self._uploads.close] if self._uploads else []
        arguments = {"time_limit_seconds": _CLOSE_SECONDS}
        closings = [threading.Thread(target=close, kwargs=arguments) for close in closes]
        for closing in closings:
            closing.start()
        for closing in closings:
            closing.join()

    def _start_threads(self, stopping: threading.Event) -> None:
        self._reports.start()
        self._sink.start()
        self._recorder.start()
        if self._uploads:
            self._uploads.start()
        arguments = {
            "wait": self._settings.agent_poll_interval,
            "stopping": stopping,
            "nudged": self._end.nudged,
            "deliver": self._deliver,
        }
        threading.Thread(
            target=follow,
            args=(self._configuration(),),
            kwargs=arguments,
            name="configuration",
            daemon=True,
        ).start()

    def _configuration(self) -> Configuration:
        settings, local = self._settings, self._sources.document
        publication = None
        if settings.fallback_url and not local:
            shelf = shelf_at(settings.fallback_url)
            publication = Publication(shelf, self._token, link=self._links.storage)
        surroundings = Surroundings(
            settings.cluster,
            settings.host,
            boot_ns,
            rules=self._sources.rules,
            is_local=local is not None,
        )
        source = local or self._api_client()
        return Configuration(
            source, self._store, surroundings, publication=publication, link=self._links.api,
            taken=self._taken,
        )  # fmt: skip

    def _deliver(self, news: ConfigurationNews) -> None:
        self._news.put(news)
        self._end.waker.wake()

    def _api_client(self) -> AgentApiClient:
        """One per thread."""
        settings = self._settings
        transport = AgentTransport(
            settings.api_url, self._token, authorities=settings.api_authorities
        )
        return AgentApiClient(transport, settings.cluster)


def _token(settings: AgentSettings) -> str:
    """The token itself wins; that one of them is set has been checked."""
    if settings.agent_token is not None:
        return settings.agent_token.get_secret_value()
    return read_key(settings.agent_token_file or Path())


def _users(settings: AgentSettings) -> Users:
    allowed = settings.agent_allowed_users.replace(",", " ").split()
    return users_of_this_host(settings.agent_user, frozenset(allowed))


def _sink(settings: AgentSettings, link: Link, handed_over: int) -> MetricSink:
    bounds = SpoolBounds(
        settings.agent_dir.absolute() / "spool",
        settings.spool_max_bytes,
        settings.spool_max_age,
        settings.spool_requests_per_second,
        handed_over,
    )
    try:
        return sinks_for(
            settings.host,
            destination=_destination(settings, link),
            bounds=bounds,
            scrape_port=settings.scrape_port,
        )
    except OSError as error:
        raise ScrapePortError(settings.scrape_port, error.strerror) from error


def _destination(settings: AgentSettings, link: Link) -> Destination | None:
    if not settings.solomon_url:
        return None
    token = settings.solomon_token.get_secret_value() if settings.solomon_token else None
    return Destination(
        settings.solomon_url,
        settings.solomon_dialect,
        token_source(token, settings.metadata_url),
        project=settings.solomon_project,
        cluster=settings.environment,
        service=settings.solomon_service,
        link=link,
    )


if __name__ == "__main__":
    sys.exit(main())
