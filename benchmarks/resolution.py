"""How long an agent needs from the bytes of a document to what runs on its host."""

import json
from datetime import UTC, datetime
from uuid import UUID

from benchmarks.measurement import Measurement, best_cpu_milliseconds
from common.contracts.clusters import HostDescription
from common.contracts.configuration import (
    ConfigurationDocument,
    DocumentCluster,
    DocumentConfig,
    DocumentProber,
)
from common.contracts.files import FileReference
from common.contracts.resolution import Host, resolve


def measure() -> list[Measurement]:
    """Documents of a small and of a large cluster; the floor only parses the same bytes as JSON."""
    return [_measured(hosts=10, probers=10), _measured(hosts=10_000, probers=200)]


def _measured(*, hosts: int, probers: int) -> Measurement:
    content = _document(hosts=hosts, probers=probers).canonical_bytes()
    host = Host("host-1")
    return Measurement(
        what=f"document of {hosts:,} hosts and {probers} probers ({len(content) / 1e6:.2f} MB): validate and resolve",
        floor="json.loads",
        floor_milliseconds=best_cpu_milliseconds(lambda: json.loads(content)),
        our_milliseconds=best_cpu_milliseconds(
            lambda: resolve(ConfigurationDocument.model_validate_json(content), host)
        ),
    )


def _document(*, hosts: int, probers: int) -> ConfigurationDocument:
    return ConfigurationDocument(
        format=1,
        revision=1,
        cluster=DocumentCluster(id=UUID(int=1), slug="bench"),
        applying_until=datetime(2026, 1, 1, tzinfo=UTC),
        hosts={
            f"host-{number}": HostDescription(address="10.0.0.1", labels={"rack": str(number % 40)})
            for number in range(hosts)
        },
        variables={"targets": [f"target-{number}" for number in range(20)]},
        probers=[_prober(number) for number in range(probers)],
    )


def _prober(number: int) -> DocumentProber:
    return DocumentProber(
        id=UUID(int=number),
        slug=f"prober-{number}",
        command=["python3", "probe.py", "${target}"],
        defaults={"interval_seconds": 5, "variables": {"port": 80}},
        revision=1,
        revisions={1: [FileReference(path="probe.py", mode="0755", sha256="0" * 64, size=100)]},
        configs=[
            DocumentConfig(
                slug="everywhere",
                settings={"matrix": {"target": {"values": "${cluster.variables.targets}"}}},
            ),
            DocumentConfig(slug="rack", hosts=["host-1*"], settings={"time_limit_seconds": 2}),
        ],
    )
