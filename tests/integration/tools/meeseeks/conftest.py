"""The built proto specs, a Compute Admin API, and meeseeks as its user runs it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common import processes
from tests.integration.tools.conftest import RunningApi
from tests.integration.tools.meeseeks.compute_admin import ComputeAdmin
from tools.meeseeks.main import run
from tools.meeseeks.node_service import Specs, load_specs

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="session")
def built_specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `./build_proto_specs.sh` makes, in a temporary folder: whatever the checkout holds stays as it is."""
    folder = tmp_path_factory.mktemp("specs")
    process = processes.start(
        [str(ROOT / "build_proto_specs.sh"), "--into", str(folder)],
        environment={"PATH": "/usr/bin:/bin", "VIRTUAL_ENV": sys.prefix},
        cwd=folder,
        stderr=processes.PIPE,
    )
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors.decode()
    return folder


@pytest.fixture(scope="session")
def specs(built_specs: Path) -> Specs:
    """The generated code; before a build that the checkout may hold."""
    sys.path.insert(0, str(built_specs))
    try:
        return load_specs(built_specs)
    finally:
        sys.path.remove(str(built_specs))


@pytest.fixture
def admin(specs: Specs) -> Iterator[ComputeAdmin]:
    """A Compute Admin API without TLS."""
    made = ComputeAdmin(specs)
    yield made
    made.stop()


@pytest.fixture
def admin_environment(built_specs: Path, admin: ComputeAdmin) -> dict[str, str]:
    """The settings for the Compute Admin API."""
    return {
        "MR_PROBER_COMPUTE_ADMIN_ENDPOINT": admin.address,
        "MR_PROBER_COMPUTE_ADMIN_PLAINTEXT": "true",
        "MR_PROBER_COMPUTE_ADMIN_TOKEN": "planted-token",
        "MR_PROBER_PROTO_SPECS": str(built_specs),
    }


@pytest.fixture
def meeseeks_environment(admin_environment: dict[str, str], api: RunningApi) -> dict[str, str]:
    """The settings for both APIs."""
    return admin_environment | {
        "MR_PROBER_API_URL": api.url,
        "MR_PROBER_API_KEY_FILE": str(api.key_file),
    }


@pytest.fixture
def meeseeks(
    meeseeks_environment: dict[str, str], specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Run the command in this process; gives its exit code."""
    assert specs.messages
    for name, value in meeseeks_environment.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: run([*arguments])


@pytest.fixture
def meeseeks_without_api(
    admin_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """The same, without an API of ours."""
    for name, value in (admin_environment | {"MR_PROBER_API_KEY": "k"}).items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: run([*arguments])
