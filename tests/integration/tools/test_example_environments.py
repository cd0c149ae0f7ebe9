"""The example environments fit the example recipes and probers: the real API takes each of them, and nothing is left to change."""

from collections.abc import Callable

import pytest

from tests.integration.tools.conftest import ROOT, RunningApi

ENVIRONMENTS = sorted(path.name for path in (ROOT / "configs/environments").iterdir())


def test_the_promised_ones_are_there() -> None:
    assert set(ENVIRONMENTS) >= {"local", "preprod", "prod"}


@pytest.mark.parametrize("environment", ["preprod", "prod"])
def test_the_api_takes_all_of_it(
    api: RunningApi,
    synchronize: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
) -> None:
    monkeypatch.setenv("MR_PROBER_CONFIGS", str(ROOT / "configs"))
    monkeypatch.setenv("MR_PROBER_ENVIRONMENT", environment)
    assert synchronize("apply") == 0
    assert synchronize("plan") == 0
    clusters = api.client().clusters()
    folder = ROOT / "configs/environments" / environment / "clusters"
    assert {cluster.slug for cluster in clusters} == {path.stem for path in folder.iterdir()}
    assert [note for cluster in clusters for note in cluster.notices] == []
    for cluster in clusters:
        # What is in Solomon under this label comes from the recipe's own variable.
        assert cluster.variables["environment"] == environment
