"""A saved plan does what was reviewed, or a part of it that is left, and nothing else."""

import json
from pathlib import Path

import pytest

from common.contracts.clusters import VariablePut
from common.contracts.files import FileUpload
from tests.fakes.api import ApiInMemory, Interrupted
from tests.unit.tools.synchronize.wishes import (
    EVERYTHING,
    FORCED,
    api_with,
    cluster,
    desired,
    plan_of,
    prober,
    recipe,
)
from tools.synchronize.apply import apply
from tools.synchronize.errors import MovedWorldError, UnusablePlanError
from tools.synchronize.objects import Desired
from tools.synchronize.saved_plan import SavedPlan, read_plan, save_plan
from tools.synchronize.workers import Workers

URL = "http://api"


def saved(path: Path, wanted: Desired, api: ApiInMemory) -> SavedPlan:
    plan = plan_of(wanted, api)
    save_plan(
        path / "plan.json", plan, wanted, api_url=URL, environment="local", adopted=["all"],
        force=True, confirmed=["b", "a"],
    )  # fmt: skip
    return read_plan(path / "plan.json")


def require(plan: SavedPlan, wanted: Desired, api: ApiInMemory, **more: str) -> None:
    where = {"api_url": URL, "environment": "local"} | more
    plan.require(plan_of(wanted, api), wanted, **where)


def test_what_is_as_it_was_reviewed_may_be_applied(tmp_path: Path) -> None:
    api = ApiInMemory()
    plan = saved(tmp_path, EVERYTHING, api)
    require(plan, EVERYTHING, api)
    assert (plan.adopted, plan.force, plan.confirmed) == (["all"], True, ["a", "b"])
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


def test_what_is_left_of_an_interrupted_run_may_be_applied(tmp_path: Path) -> None:
    api = ApiInMemory()
    plan = saved(tmp_path, EVERYTHING, api)
    broken = Interrupted(api, after=2)
    apply(plan_of(EVERYTHING, api), EVERYTHING, Workers(lambda: broken))
    assert api.writes == ["create recipe vms", "create prober ping"]
    require(plan, EVERYTHING, api)


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    api = ApiInMemory()
    plan = saved(tmp_path, desired(prober()), api)
    other = desired(prober(files=[FileUpload.of("p", b"b")]))
    with pytest.raises(MovedWorldError, match="create prober ping is not in the plan, or not as"):
        require(plan, other, api)


def test_an_object_that_changed_since_is_refused_and_so_is_what_came_to_it(tmp_path: Path) -> None:
    api = api_with(desired(recipe(), cluster(variables={"a": 1, "b": 1})))
    wanted = desired(recipe(), cluster(variables={"a": 2, "b": 1}))
    plan = saved(tmp_path, wanted, api)
    api.put_variable("demo", "b", VariablePut(value=5), etag="*")
    with pytest.raises(MovedWorldError, match="change variable demo/b"):
        require(plan, wanted, api)
    api.put_variable("demo", "b", VariablePut(value=1), etag="*")
    require(plan, wanted, api)
    api.put_variable("demo", "a", VariablePut(value=3), etag="*")
    api.put_variable("demo", "a", VariablePut(value=1), etag="*")
    with pytest.raises(MovedWorldError, match=r"variable demo/a .*\nThe world moved"):
        require(plan, wanted, api)


def test_a_hidden_value_is_not_in_the_file_and_counts_all_the_same(tmp_path: Path) -> None:
    api = api_with(desired(recipe(), cluster()))
    wanted = desired(recipe(), cluster(variables={"password": "planted"}))
    plan = saved(tmp_path, wanted, api)
    assert "planted" not in (tmp_path / "plan.json").read_text()
    with pytest.raises(MovedWorldError):
        require(plan, desired(recipe(), cluster(variables={"password": "other"})), api)
    require(plan, wanted, api)


def test_a_plan_for_another_place_is_refused(tmp_path: Path) -> None:
    api = ApiInMemory()
    plan = saved(tmp_path, EVERYTHING, api)
    for where in ({"api_url": "http://other"}, {"environment": "prod"}):
        with pytest.raises(MovedWorldError, match="environment local at http://api"):
            require(plan, EVERYTHING, api, **where)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json"])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(UnusablePlanError, match="is no plan that this tool has saved"):
        read_plan(tmp_path / "x")


def test_a_plan_of_another_format_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, EVERYTHING, ApiInMemory())
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(UnusablePlanError, match="has format 2"):
        read_plan(path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusablePlanError, match="cannot be written: No such file"):
        save_plan(
            tmp_path / "no" / "p", plan_of(EVERYTHING, ApiInMemory(), FORCED), EVERYTHING,
            api_url=URL, environment="local", adopted=[], force=False, confirmed=[],
        )  # fmt: skip
