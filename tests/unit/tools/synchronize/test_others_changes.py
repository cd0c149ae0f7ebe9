"""What others own, or change meanwhile, is left as it is."""

from common.contracts.clusters import VariablePut
from common.contracts.probers import ProberSettings
from tests.fakes.api import ApiInMemory
from tests.unit.tools.synchronize.wishes import (
    EVERYTHING,
    api_with,
    applied,
    cluster,
    config,
    desired,
    files,
    plan_of,
    prober,
    recipe,
    workers,
)
from tools.synchronize.apply import apply
from tools.synchronize.objects import MANAGER, Desired
from tools.synchronize.plan import FieldChange, Plan


def test_variables_of_another_manager_are_its_own_affair() -> None:
    wanted = desired(recipe(), cluster(variables={"compute_nodes": []}))
    api = api_with(wanted)
    api.put_variable(
        "demo", "compute_nodes", VariablePut(value=["n1"], managed_by="meeseeks"), etag="*"
    )
    api.put_variable("demo", "more", VariablePut(value=1, managed_by="meeseeks"))
    assert plan_of(wanted, api) == Plan()


def test_a_hand_edit_of_a_variable_is_taken_back() -> None:
    wanted = desired(recipe(), cluster(variables={"hosts": 3}))
    api = api_with(wanted)
    api.put_variable("demo", "hosts", VariablePut(value=5), etag="*")
    (change,) = plan_of(wanted, api).changes
    assert change.fields == (FieldChange("value", 5, 3),)


def test_what_others_made_is_left_alone() -> None:
    api = ApiInMemory()
    applied(EVERYTHING, api)
    api.recipe_rows["vms"].managed_by = "ann"
    api.prober_rows["ping"].managed_by = "ann"
    api.cluster_rows["demo"].managed_by = "ann"
    (config_row,) = api.prober_rows["ping"].configs
    config_row.managed_by = ""
    assert plan_of(Desired(), api) == Plan()


def test_a_name_that_others_use_is_refused() -> None:
    api = ApiInMemory()
    api.create_recipe(recipe(managed_by="ann"))
    api.create_prober(prober(managed_by=""))
    plan = plan_of(EVERYTHING, api)
    assert plan.refusals == (
        "recipe vms exists in the API and belongs to ann: release it there, or rename or remove it here",
        "prober ping exists in the API and was made by hand: --adopt prober/ping takes it over, or rename or remove it here",
    )


def test_a_cluster_may_use_a_recipe_that_others_made() -> None:
    api = ApiInMemory()
    api.create_recipe(recipe(managed_by="ann"))
    assert applied(desired(cluster()), api).left == 0


def test_a_prober_on_which_others_stand_stays() -> None:
    api = api_with(desired(prober()))
    api.put_config("ping", "manual", config(managed_by="ann"))
    plan = plan_of(Desired(), api)
    assert plan.changes == ()
    assert plan.postponed == ("prober ping is not deleted: config manual of it is not ours",)


def test_what_somebody_changed_after_the_plan_is_left_as_it_is() -> None:
    api = api_with(EVERYTHING)
    wanted = desired(
        recipe(), prober(owner="me", files=files(p="b")), cluster(variables={"hosts": 4}),
        configs={("ping", "all"): config(settings=ProberSettings(interval_seconds=5))},
    )  # fmt: skip
    plan = plan_of(wanted, api)
    api.put_variable("demo", "hosts", VariablePut(value=9, managed_by=MANAGER), etag="*")
    result = apply(plan, wanted, workers(api))
    assert api.variable_rows["demo", "hosts"].value == 9
    assert [(change.title, reason) for change, reason in result.failed] == [
        ("variable demo/hosts", "changed meanwhile: plan again")
    ]
    assert result.is_outdated
    # The prober's own fields follow its new revision, although that changed the ETag.
    assert [change.title for change in result.done] == ["prober revision ping", "prober ping"]
    assert applied(wanted, api).left == 0
    assert plan_of(wanted, api) == Plan()


def test_what_somebody_made_after_the_plan_is_not_overwritten() -> None:
    api = api_with(desired(recipe(), cluster()))
    wanted = desired(recipe(), cluster(variables={"hosts": 4}))
    plan = plan_of(wanted, api)
    api.put_variable("demo", "hosts", VariablePut(value=9))
    assert apply(plan, wanted, workers(api)).is_outdated
    assert api.variable_rows["demo", "hosts"].value == 9
