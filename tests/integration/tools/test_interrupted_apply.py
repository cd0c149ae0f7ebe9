"""An apply that breaks off at every request in turn ends as one that never did: the real API, on both databases."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from common.errors import ApiUnreachableError
from tests.fakes.api import ApiInMemory, Interrupted
from tests.integration.tools.conftest import RunningApi
from tests.integration.tools.test_fake_api import state
from tools.synchronize.apply import apply
from tools.synchronize.current import read_current
from tools.synchronize.differences import Choices, differences
from tools.synchronize.files import read_repository
from tools.synchronize.objects import MANAGER, Desired
from tools.synchronize.plan import Plan
from tools.synchronize.workers import Workers

FORCED = Choices(force=True)
# Reading is four lists, and up to two old files.
MOST_READS = 6


def applied(wanted: Desired, api: Any) -> None:
    workers: Workers[Any] = Workers(lambda: api)
    apply(differences(wanted, read_current(workers, wanted), FORCED), wanted, workers)


def _always(api: Any) -> Callable[[], Any]:
    return lambda: api


def changed(configs: Path) -> None:
    """Something new, something else and something gone of each kind that goes at once."""
    shutil.rmtree(configs / "probers/pong")
    for path, content in {
        "recipes/more/main.tf": "# more\n",
        "recipes/vms/main.tf": 'output "mr_prober_hosts" { value = null }\n',
        "probers/new/prober.yaml": "command: [a]\nconfigs: {all: {clusters: ['*']}}\n",
        "probers/ping/probe.py": "print('two')\n",
        "probers/ping/prober.yaml": "command: [./probe.py]\nowner: o\nconfigs: {all: {clusters: [demo]}}\n",
        "environments/local/clusters/demo.yaml": "recipe: vms\ndeploy_policy: plan_only\nvariables: {hosts: 4, extra: [1]}\n",
        "environments/local/clusters/second.yaml": "recipe: more\nvariables: {a: 1}\n",
    }.items():
        (configs / path).parent.mkdir(parents=True, exist_ok=True)
        (configs / path).write_text(content)


@pytest.mark.parametrize("api", ["sqlite", "postgresql"], indirect=True)
def test_broken_off_at_each_request_it_ends_as_if_it_never_was(
    api: RunningApi, configs: Path
) -> None:
    real, straight = api.client(manager=MANAGER), ApiInMemory()
    first = read_repository(configs, "local")
    for one in (real, straight):
        applied(first, one)
    changed(configs)
    wanted = read_repository(configs, "local")
    applied(wanted, straight)

    for reads in range(MOST_READS):  # nothing is changed, or what one call changes
        with suppress(ApiUnreachableError):
            applied(wanted, Interrupted(real, after=reads))
    broken = 0
    for number in range(100):
        workers: Workers[Any] = Workers(lambda: real)
        plan = differences(wanted, read_current(workers, wanted), FORCED)
        if plan == Plan():
            break
        # The first call of what is left arrives and its answer is lost; or the second one never arrives.
        is_lost = number % 2 == 0
        cut: Any = Interrupted(real, after=0 if is_lost else 1, is_lost=is_lost)
        apply(plan, wanted, Workers(_always(cut)))
        broken += 1
    assert broken >= 12, "each of its calls was the last one of a run"
    assert state(real) == state(straight)
