"""What a plan refuses to do by accident, what is adopted, handed over and protected."""

import pytest

from common.contracts.clusters import ClusterState, VariablePut
from common.contracts.files import FileUpload
from common.contracts.probers import ProberSettings
from tests.fakes.api import ApiInMemory
from tests.unit.tools.synchronize.wishes import (
    EVERYTHING,
    adopting,
    api_with,
    applied,
    cluster,
    config,
    desired,
    plan_of,
    prober,
    recipe,
    told,
)
from tools.synchronize.differences import Choices
from tools.synchronize.objects import MANAGER, Desired, HandedOver
from tools.synchronize.plan import FieldChange, Plan

CAREFUL = Choices()
MANY = [prober(f"p{number}") for number in range(20)]


@pytest.mark.parametrize(("gone", "is_refused"), [(6, False), (7, True)])
def test_more_than_a_third_of_what_is_there_is_not_deleted_unless_forced(
    gone: int, is_refused: bool
) -> None:
    api = api_with(desired(*MANY))
    wanted = desired(*MANY[gone:])
    plan = plan_of(wanted, api, CAREFUL)
    assert len(plan.changes) == gone
    told = f"{gone} of 20 probers would be deleted, more than 30 %: if that is meant, use --force"
    assert plan.guards == ((told,) if is_refused else ())
    assert plan.is_applicable is not is_refused
    assert plan_of(wanted, api, Choices(force=True)).is_applicable


def test_changes_of_files_and_fields_of_one_object_count_once() -> None:
    api = api_with(desired(*MANY))
    other = [FileUpload.of("p", b"other")]
    six = [prober(f"p{number}", owner="new", files=other) for number in range(6)]
    assert plan_of(desired(*six, *MANY[6:]), api, CAREFUL).guards == ()
    seven = [prober(f"p{number}", owner="new") for number in range(7)]
    (guard,) = plan_of(desired(*seven, *MANY[7:]), api, CAREFUL).guards
    assert guard.startswith("7 of 20 probers would be changed")


def test_of_few_objects_any_share_may_go() -> None:
    api = api_with(desired(*MANY[:9]))
    assert plan_of(desired(MANY[0]), api, CAREFUL).is_applicable


def test_new_objects_are_no_danger() -> None:
    assert plan_of(desired(*MANY), ApiInMemory(), CAREFUL).is_applicable


def test_a_suddenly_empty_source_is_refused_however_little_there_is() -> None:
    api = api_with(EVERYTHING)
    plan = plan_of(Desired(), api, CAREFUL)
    assert [guard.split(",")[0] for guard in plan.guards] == [
        "the files describe no recipes at all", "the files describe no probers at all",
        "the files describe no clusters at all",
    ]  # fmt: skip
    assert plan_of(desired(recipe(), prober()), api, CAREFUL).guards == (
        "the files describe no clusters at all, the API has 1: if they are really to go, use --force",
    )
    assert plan_of(Desired(), api, Choices(force=True)).is_applicable


def test_a_protected_cluster_goes_only_by_its_name() -> None:
    api = api_with(desired(recipe(), cluster(protected=True)))
    wanted = desired(recipe())
    for choices in (Choices(force=True), Choices(force=True, confirmed=frozenset({"dem"}))):
        plan = plan_of(wanted, api, choices)
        assert plan.protected == ("demo",)
        assert not plan.is_applicable
    named = Choices(force=True, confirmed=frozenset({"demo"}))
    assert plan_of(wanted, api, named).is_applicable
    assert applied(wanted, api, named).left == 0
    assert api.cluster_rows["demo"].state is ClusterState.DELETING


def test_protection_is_compared_where_the_files_speak_of_it() -> None:
    api = api_with(desired(recipe(), cluster()))
    api.cluster_rows["demo"].protected = True
    assert plan_of(desired(recipe(), cluster()), api) == Plan()
    (change,) = plan_of(desired(recipe(), cluster(protected=False)), api).changes
    assert change.fields == (FieldChange("protected", True, False),)


def made_by_hand(manager: str = "") -> ApiInMemory:
    api = api_with(EVERYTHING)
    for rows in (api.recipe_rows, api.prober_rows, api.cluster_rows, api.variable_rows):
        for row in rows.values():
            row.managed_by = manager
    api.prober_rows["ping"].configs[0].managed_by = manager
    return api


def test_what_was_made_by_hand_is_adopted_by_name_and_then_ours() -> None:
    api = made_by_hand()
    assert len(plan_of(EVERYTHING, api).refusals) == 4
    adopted = plan_of(EVERYTHING, api, adopting("all"))
    assert told(adopted) == [
        "change variable demo/hosts", "change recipe vms", "change prober ping",
        "change config ping/all", "change cluster demo",
    ]  # fmt: skip
    assert {field for change in adopted.changes for field in change.fields} == {
        FieldChange("managed_by", "", MANAGER)
    }
    assert applied(EVERYTHING, api, adopting("all")).left == 0
    assert plan_of(EVERYTHING, api, CAREFUL) == Plan()


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["cluster/demo"], {"recipe", "prober", "config"}),
        (["prober/p*"], {"recipe", "cluster"}),
        (["config/ping/all", "recipe/vms"], {"prober", "cluster"}),
        (["cluster/dem"], {"recipe", "prober", "config", "cluster"}),
    ],
)
def test_an_object_is_adopted_with_its_parts_and_nothing_else(
    patterns: list[str], left: set[str]
) -> None:
    plan = plan_of(EVERYTHING, made_by_hand(), adopting(*patterns))
    assert {refusal.split()[0] for refusal in plan.refusals} == left


def test_what_another_manager_owns_is_never_adopted() -> None:
    plan = plan_of(EVERYTHING, made_by_hand("terraform"), adopting("all"))
    assert len(plan.refusals) == 4
    assert plan.changes == ()
    assert "belongs to terraform: release it there" in plan.refusals[0]


HANDED = {("demo", "nodes"): HandedOver("meeseeks", [])}


def test_a_variable_begins_with_the_value_of_the_files_and_is_anothers_from_then_on() -> None:
    api = ApiInMemory()
    wanted = desired(recipe(), cluster(variables={"a": 1}), handed_over=HANDED)
    assert told(plan_of(wanted, api)) == [
        "create recipe vms", "create cluster demo", "change handover demo/nodes",
    ]  # fmt: skip
    assert applied(wanted, api).left == 0
    assert api.variable_rows["demo", "nodes"].managed_by == "meeseeks"
    api.manager = "meeseeks"
    seen = api.variable_rows["demo", "nodes"].etag
    api.put_variable("demo", "nodes", VariablePut(value=["n1"]), etag=seen)
    api.manager = MANAGER
    assert plan_of(wanted, api) == Plan()


def test_a_variable_that_was_ours_is_handed_over_with_its_value() -> None:
    api = api_with(desired(recipe(), cluster(variables={"nodes": ["n1"]})))
    wanted = desired(recipe(), cluster(), handed_over=HANDED)
    assert told(plan_of(wanted, api)) == ["change handover demo/nodes"]
    assert applied(wanted, api).left == 0
    row = api.variable_rows["demo", "nodes"]
    assert (row.value, row.managed_by) == (["n1"], "meeseeks")
    assert plan_of(wanted, api) == Plan()


def test_a_handed_over_variable_that_is_missing_comes_back_with_its_manager() -> None:
    api = api_with(desired(recipe(), cluster()))
    wanted = desired(recipe(), cluster(), handed_over=HANDED)
    assert told(plan_of(wanted, api)) == ["create variable demo/nodes"]
    assert applied(wanted, api).left == 0
    assert api.variable_rows["demo", "nodes"].managed_by == "meeseeks"


def test_a_secret_is_neither_compared_nor_shown() -> None:
    api = api_with(desired(recipe(), cluster(variables={"a": 1})))
    row = api.variable_rows["demo", "a"]
    api.variable_rows["demo", "a"] = row.model_copy(update={"value": None, "sensitive": True})
    plan = plan_of(desired(recipe(), cluster(variables={"a": "planted"})), api)
    assert plan.changes == ()
    assert plan.refusals == (
        "variable demo/a is secret in the API: its value is put there, remove it from the files",
    )


def test_values_whose_names_say_that_they_are_secret_are_hidden() -> None:
    api = api_with(desired(recipe(), prober(), cluster(variables={"db_password": "old"})))
    wanted = desired(
        recipe(), cluster(variables={"db_password": "new"}),
        prober(defaults=ProberSettings(variables={"api_token": "t", "port": 1})),
        configs={("ping", "all"): config(settings=ProberSettings(variables={"secret": "s"}))},
    )  # fmt: skip
    hidden = {
        field.field: field.is_hidden
        for change in plan_of(wanted, api).changes
        for field in change.fields
        if "variables" in field.field or field.field == "value"
    }
    assert hidden == {
        "value": True, "defaults.variables.api_token": True, "defaults.variables.port": False,
        "settings.variables.secret": True,
    }  # fmt: skip


def test_a_severity_and_whatever_else_the_contract_has_is_compared() -> None:
    api = api_with(desired(prober()))
    (change,) = plan_of(desired(prober(severity="critical")), api).changes
    assert change.fields == (FieldChange("severity", "", "critical"),)
    assert applied(desired(prober(severity="critical")), api).left == 0
    assert api.prober_rows["ping"].severity == "critical"
