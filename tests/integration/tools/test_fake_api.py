"""The API in memory answers as the real one does: one script of calls, two APIs, the same outcomes."""

from collections.abc import Callable
from typing import Any

import pytest

from common.api_client import ApiClient
from common.contracts.clusters import ClusterCreate, ClusterUpdate, VariablePut
from common.contracts.files import FileUpload
from common.contracts.probers import (
    ProberConfigPut,
    ProberCreate,
    ProberSettings,
    ProberUpdate,
    Severity,
)
from common.contracts.recipes import RecipeCreate, RecipeUpdate, RevisionCreate
from common.errors import ApiRefusedError
from tests.fakes.api import ApiInMemory
from tests.integration.tools.conftest import RunningApi

OURS = "synchronize"
# What differs between two ways to the same state, and what the API in memory does not know.
_UNLIKE = {
    "id", "etag", "created_at", "updated_at", "value_version", "validity", "problems", "checked_at",
    "declared_variables", "variables", "notices", "last_planned_at",
}  # fmt: skip
Api = Any


def files(text: bytes) -> list[FileUpload]:
    return [FileUpload.of("main.tf", text)]


def recipe_etag(api: Api) -> str:
    return str(next(one.etag for one in api.recipes() if one.slug == "r"))


def prober_etag(api: Api) -> str:
    return str(next(one.etag for one in api.probers() if one.slug == "p"))


def config_etag(api: Api) -> str:
    configs = [one for prober in api.probers() for one in prober.configs]
    return str(next(one.etag for one in configs if one.slug == "c"))


def cluster_etag(api: Api) -> str:
    return str(next(one.etag for one in api.clusters() if one.slug == "k"))


def put_config(api: Api, **fields: Any) -> object:
    etag = fields.pop("etag", "")
    return api.put_config("p", fields.pop("slug", "c"), ProberConfigPut(**fields), etag=etag)


STEPS: list[tuple[str, Callable[[Api], object]]] = [
    ("a cluster without a recipe", lambda api: api.create_cluster(ClusterCreate(slug="k", recipe="r"))),
    ("a recipe", lambda api: api.create_recipe(RecipeCreate(slug="r", files=files(b"# 1\n"), managed_by=OURS))),
    ("its name again", lambda api: api.create_recipe(RecipeCreate(slug="r", files=files(b"# 1\n")))),
    ("a description", lambda api: api.change_recipe("r", RecipeUpdate(description="d"), etag=recipe_etag(api))),
    ("a stale change", lambda api: api.change_recipe("r", RecipeUpdate(description="x"), etag='"0"')),
    ("another manager", lambda api: api.change_recipe("r", RecipeUpdate(managed_by="other"), etag=recipe_etag(api))),
    ("not ours any more", lambda api: api.change_recipe("r", RecipeUpdate(description="x"), etag=recipe_etag(api))),
    ("nor its files", lambda api: api.add_recipe_revision("r", RevisionCreate(files=files(b"# 2\n")), etag=recipe_etag(api), force=True)),
    ("nor its end", lambda api: api.delete_recipe("r", etag=recipe_etag(api))),
    ("an unknown recipe", lambda api: api.delete_recipe("x", etag="*")),
    ("a cluster", lambda api: api.create_cluster(ClusterCreate(slug="k", recipe="r", variables={"v": 1}, managed_by=OURS))),
    ("its policy", lambda api: api.change_cluster("k", ClusterUpdate(deploy_policy="plan_only", gates={"destroyed_count": 1}), etag=cluster_etag(api), force=True)),
    ("protection", lambda api: api.change_cluster("k", ClusterUpdate(protected=True), etag=cluster_etag(api), force=False)),
    ("a protected end", lambda api: api.delete_cluster("k", etag=cluster_etag(api))),
    ("no protection", lambda api: api.change_cluster("k", ClusterUpdate(protected=False), etag=cluster_etag(api), force=False)),
    ("a variable that is there", lambda api: api.put_variable("k", "v", VariablePut(value=2))),
    ("its value", lambda api: api.put_variable("k", "v", VariablePut(value=2), etag=api.variable("k", "v").etag)),
    ("a stale value", lambda api: api.put_variable("k", "v", VariablePut(value=3), etag='"0"')),
    ("handed over", lambda api: api.put_variable("k", "v", VariablePut(value=2, managed_by="m"), etag=api.variable("k", "v").etag)),
    ("not ours", lambda api: api.put_variable("k", "v", VariablePut(value=4), etag=api.variable("k", "v").etag)),
    ("nor to delete", lambda api: api.delete_variable("k", "v", etag=api.variable("k", "v").etag)),
    ("another one", lambda api: api.put_variable("k", "w", VariablePut(value={"a": [None]}, managed_by=OURS))),
    ("gone again", lambda api: api.delete_variable("k", "w", etag=api.variable("k", "w").etag)),
    ("gone before", lambda api: api.delete_variable("k", "w", etag="*")),
    ("a prober", lambda api: api.create_prober(ProberCreate(slug="p", command=["x"], files=files(b"1"), defaults=ProberSettings(mode=None, interval_seconds=5), managed_by=OURS))),
    ("its name again", lambda api: api.create_prober(ProberCreate(slug="p", command=["x"]))),
    ("its fields", lambda api: api.change_prober("p", ProberUpdate(owner="o", severity=Severity.CRITICAL), etag=prober_etag(api))),
    ("its files", lambda api: api.add_prober_revision("p", RevisionCreate(files=files(b"2")), etag=prober_etag(api))),
    ("stale files", lambda api: api.add_prober_revision("p", RevisionCreate(files=files(b"3")), etag='"0"')),
    ("a config", lambda api: put_config(api, clusters=["*"], settings=ProberSettings(variables={"port": 1}), managed_by=OURS)),
    ("one that is there", lambda api: put_config(api, clusters=["*"])),
    ("the same order", lambda api: put_config(api, slug="d", clusters=["*"], settings=ProberSettings(variables={"port": 2}))),
    ("replaced", lambda api: put_config(api, clusters=["k"], order=3, etag=config_etag(api))),
    ("of an unknown prober", lambda api: api.put_config("x", "c", ProberConfigPut(clusters=["*"]))),
    ("a stale end", lambda api: api.delete_config("p", "c", etag='"0"')),
    ("its end", lambda api: api.delete_config("p", "c", etag=config_etag(api))),
    ("the prober's end", lambda api: api.delete_prober("p", etag=prober_etag(api))),
    ("a recipe in use", lambda api: api.delete_recipe("r", etag="*")),
    ("the cluster's end", lambda api: api.delete_cluster("k", etag=cluster_etag(api))),
]  # fmt: skip


def outcome(step: Callable[[Api], object], api: Api) -> object:
    """`done`, or the status of the refusal; then all that is there."""
    try:
        step(api)
    except ApiRefusedError as error:
        return error.status
    return "done"


def state(api: Api) -> list[object]:
    lists = (api.recipes(), api.probers(), api.clusters(), api.all_variables())
    return [
        sorted((_without(one.model_dump(mode="json")) for one in rows), key=repr) for rows in lists
    ]


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(one) for name, one in value.items() if name not in _UNLIKE}
    return [_without(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("api", ["sqlite", "postgresql"], indirect=True)
def test_the_api_in_memory_answers_as_the_real_one(api: RunningApi) -> None:
    fake = ApiInMemory()
    real: ApiClient = api.client(manager=OURS)
    outcomes: list[object] = []
    for number, (name, step) in enumerate(STEPS):
        told = f"step {number}, {name}"
        outcomes.append(outcome(step, real))
        assert (outcome(step, fake), told) == (outcomes[-1], told)
        assert (state(fake), told) == (state(real), told)
    # The script meets every kind of answer that synchronize decides by.
    assert {"done", 404, 409, 412, 422} == set(outcomes)
