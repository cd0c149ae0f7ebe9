"""From what is set to the sinks that an agent has; a new sink is one more line in `sinks_for`."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from agent.links import Link
from agent.sinks.pace import Pace
from agent.sinks.port import MetricSink, SeveralSinks
from agent.sinks.solomon import Deliverer, SinkClocks, SolomonSink, send_offset_seconds
from agent.sinks.spool import Spool
from common.deadline_http import is_http_address
from common.solomon.classic import ClassicDialect
from common.solomon.client import HttpSolomonClient, PushAddress, classic_address, cloud_address
from common.solomon.cloud import CloudDialect
from common.solomon.encoder import Dialect, PushEncoder
from common.solomon.tokens import FixedToken, MetadataToken, TokenSource

DialectName = Literal["classic", "cloud"]


@dataclass(frozen=True)
class Destination:
    """Which Solomon, and as whom; `project` is the folder's id in the cloud dialect, which has no `cluster`."""

    url: str
    dialect: DialectName
    tokens: TokenSource
    project: str
    cluster: str
    service: str
    link: Link | None = None  # takes notes about its answers


@dataclass(frozen=True)
class SpoolBounds:
    """How much may wait on disk and for how long, and how fast it goes out when Solomon is back."""

    folder: Path
    max_bytes: int
    max_age: timedelta
    requests_per_second: float
    # The last cell that an earlier agent has handed over.
    handed_over: int = 0


def solomon_mistakes(
    url: str, metadata_url: str, *, dialect: DialectName, token: str | None
) -> list[str]:
    """What is wrong with the settings of Solomon, one line for each; nothing is if it is not used."""
    if not url:
        return []
    mistakes = [
        f"{name}: {address!r} is not the address of an HTTP server"
        for name, address in (
            ("MR_PROBER_SOLOMON_URL", url),
            ("MR_PROBER_METADATA_URL", metadata_url),
        )
        if not is_http_address(address)
    ]
    if token is None and dialect == "classic":
        mistakes.append("MR_PROBER_SOLOMON_TOKEN: must be set, since MR_PROBER_SOLOMON_URL is")
    elif token and not (token.isascii() and token.isprintable()):
        mistakes.append("MR_PROBER_SOLOMON_TOKEN: has letters that no HTTP header carries")
    return mistakes


def token_source(token: str | None, metadata_url: str) -> TokenSource:
    """The token that is set, else the VM's own."""
    return FixedToken(token) if token else MetadataToken(metadata_url)


def solomon_sink(
    destination: Destination, bounds: SpoolBounds, *, offset_seconds: float
) -> SolomonSink:
    """Solomon with its spool; ValueError if the address is none."""
    dialect, address = _dialect_and_address(destination)
    clocks = SinkClocks()
    deliverer = Deliverer(
        HttpSolomonClient(address, destination.tokens),
        PushEncoder(dialect),
        Spool(
            bounds.folder,
            max_bytes=bounds.max_bytes,
            max_age_seconds=bounds.max_age.total_seconds(),
        ),
        Pace(replays_per_second=bounds.requests_per_second),
        clocks=clocks,
        link=destination.link,
    )
    return SolomonSink(
        deliverer, offset_seconds=offset_seconds, clocks=clocks, handed_over=bounds.handed_over
    )


def sinks_for(
    host: str, *, destination: Destination | None, bounds: SpoolBounds, scrape_port: int | None
) -> MetricSink:
    """What an agent gives its points to; OSError if the port of the scrape is taken."""
    sinks: list[MetricSink] = []
    if destination is not None:
        sinks.append(solomon_sink(destination, bounds, offset_seconds=send_offset_seconds(host)))
    if scrape_port is not None:
        # Here and not on top: only agents that are scraped pay for the server's memory.
        from agent.sinks.scrape import ScrapeSink  # noqa: PLC0415

        sinks.append(ScrapeSink(scrape_port))
    return SeveralSinks(sinks)


def _dialect_and_address(destination: Destination) -> tuple[Dialect, PushAddress]:
    if destination.dialect == "cloud":
        service = destination.service or "custom"
        return CloudDialect(), cloud_address(
            destination.url, folder_id=destination.project, service=service
        )
    return ClassicDialect(), classic_address(
        destination.url,
        project=destination.project,
        cluster=destination.cluster,
        service=destination.service or "mr_prober",
    )
