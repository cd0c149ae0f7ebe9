"""One private Docker daemon for all tests of this folder, with all images built in it."""

import os
import subprocess
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from tests.containers.compose import Compose
from tests.containers.daemon import (
    AUTHORITIES,
    BASE_IMAGE,
    BASE_PACKAGES,
    ROOT,
    Daemon,
    index_secret,
    make_base_image,
    missing_programs,
    start_relay,
)
from tests.containers.evidence import evidence
from tests.containers.namespaces import inside_network
from tests.integration.needs import need

IMAGES = ("agent", "api", "creator", "solomon_stand_in", "tools", "postgresql", "s3")
# Another list of packages is another archive.
_ARCHIVE = (
    ROOT / ".cache/containers" / f"base-{sha256(BASE_PACKAGES.encode()).hexdigest()[:12]}.tar"
)


def _network_of_this_machine() -> dict[str, str]:
    """What the tests must leave as it was."""
    commands = (["iptables-save"], ["ip6tables-save"], ["ip", "-oneline", "link"], ["ip", "route"])
    said = {
        command[0]: subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for command in commands
    }
    rules = {
        name: [line for line in text.splitlines() if line[:1] in "*-"]
        for name, text in said.items()
    }
    return {name: "\n".join(lines) for name, lines in rules.items() if name.endswith("-save")} | {
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text()
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What failed is read where nobody can look at the containers any more: their last lines belong to it."""
    report = yield
    if report.failed and isinstance(running := getattr(item, "funcargs", {}).get("daemon"), Daemon):
        report.sections.append(("what the containers said last", evidence(running)))
    return report


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """The daemon, with the base image; this thread is in its network, so its loopback is ours."""
    need(os.geteuid() == 0, "root, for a Docker daemon of its own")
    need(not missing_programs(), f"programs of Debian: {', '.join(missing_programs())}")
    before = _network_of_this_machine()
    daemon = Daemon()
    try:
        with ThreadPoolExecutor() as beside:
            making = beside.submit(make_base_image, _ARCHIVE)
            daemon.wait_for_start()
            making.result()
        daemon.docker("import", str(_ARCHIVE), BASE_IMAGE)
        relay, port = start_relay(daemon)
        try:
            secret = daemon.folder / "index"
            secret.write_text(index_secret(port))
            with inside_network(daemon.first_process):
                yield daemon
        finally:
            relay.kill()
            relay.communicate()
    finally:
        daemon.stop()
    assert _network_of_this_machine() == before


@pytest.fixture(scope="session")
def build_arguments(daemon: Daemon) -> list[str]:
    """What this machine needs so that builds find packages."""
    secrets = ["--secret", f"id=index,src={daemon.folder / 'index'}"]
    if AUTHORITIES.exists():
        secrets += ["--secret", f"id=authorities,src={AUTHORITIES}"]
    return ["--network", "host", *secrets]


@pytest.fixture(scope="session")
def images(daemon: Daemon, build_arguments: list[str]) -> dict[str, str]:
    """Every image, built by the script: name → reference."""
    said = daemon.run("./build_docker_images.sh", *IMAGES, "--", *build_arguments, seconds=900)
    built = [line.split()[-1] for line in said.splitlines() if ": built mr-prober-" in line]
    return {
        name: next(
            reference
            for reference in built
            if reference.startswith(f"mr-prober-{name.replace('_', '-')}:")
        )
        for name in IMAGES
    }


@pytest.fixture(scope="session")
def compose(
    daemon: Daemon, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compose]:
    """The compose file in a folder of its own, as in a clean clone, started by the one command of its README."""
    compose = Compose(daemon, tmp_path_factory.mktemp("clone"))
    yield compose
    # Whatever has gone wrong: nobody waits for what does not end.
    compose.down("--timeout", "5")
