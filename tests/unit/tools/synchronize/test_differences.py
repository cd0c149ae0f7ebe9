"""Differences and their application, by example and by property, against the API in memory."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.clusters import ClusterCreate, ClusterState, VariablePut
from common.contracts.files import FileUpload
from common.contracts.probers import ProberConfigPut, ProberCreate, ProberSettings
from common.contracts.recipes import RecipeCreate
from tests.fakes.api import ApiInMemory
from tools.synchronize.apply import Applied, apply
from tools.synchronize.current import read_current
from tools.synchronize.differences import differences
from tools.synchronize.field_differences import field_changes
from tools.synchronize.objects import MANAGER, Desired
from tools.synchronize.plan import ABSENT, Action, FieldChange, Plan


def files(**contents: str) -> list[FileUpload]:
    return [FileUpload.of(path, content.encode()) for path, content in contents.items()]


def recipe(slug: str = "vms", **fields: Any) -> RecipeCreate:
    return RecipeCreate(**{"slug": slug, "files": files(main="a"), "managed_by": MANAGER} | fields)


def prober(slug: str = "ping", **fields: Any) -> ProberCreate:
    return ProberCreate(
        **{"slug": slug, "command": ["p"], "files": files(p="a"), "managed_by": MANAGER} | fields
    )


def config(**fields: Any) -> ProberConfigPut:
    return ProberConfigPut(**{"clusters": ["*"], "managed_by": MANAGER} | fields)


def cluster(slug: str = "demo", **fields: Any) -> ClusterCreate:
    return ClusterCreate(**{"slug": slug, "recipe": "vms", "managed_by": MANAGER} | fields)


def desired(
    *objects: Any, configs: Mapping[tuple[str, str], ProberConfigPut] | None = None
) -> Desired:
    return Desired(
        recipes={one.slug: one for one in objects if isinstance(one, RecipeCreate)},
        probers={one.slug: one for one in objects if isinstance(one, ProberCreate)},
        configs=configs or {},
        clusters={one.slug: one for one in objects if isinstance(one, ClusterCreate)},
    )


def plan_of(wanted: Desired, api: ApiInMemory) -> Plan:
    return differences(wanted, read_current(api, wanted))


def applied(wanted: Desired, api: ApiInMemory) -> Applied:
    return apply(plan_of(wanted, api), wanted, api)


def api_with(wanted: Desired) -> ApiInMemory:
    api = ApiInMemory()
    assert applied(wanted, api).left == 0
    api.writes.clear()
    return api


def told(plan: Plan) -> list[str]:
    return [f"{change.action} {change.title}" for change in plan.changes]


EVERYTHING = desired(
    recipe(),
    prober(),
    cluster(variables={"hosts": 3}),
    configs={("ping", "all"): config(settings=ProberSettings(interval_seconds=5))},
)


# By example


def test_everything_is_made_in_the_order_of_dependencies_and_then_there_is_no_change() -> None:
    api = ApiInMemory()
    assert applied(EVERYTHING, api).left == 0
    assert api.writes == [
        "create recipe vms", "create prober ping", "put config ping/all", "create cluster demo",
    ]  # fmt: skip
    assert plan_of(EVERYTHING, api) == Plan()


def test_everything_is_deleted_in_the_opposite_order_and_the_recipe_waits_for_the_cluster() -> None:
    api = api_with(EVERYTHING)
    result = applied(Desired(), api)
    assert [one.title for one in result.done] == ["cluster demo", "config ping/all", "prober ping"]
    assert result.failed == []
    assert result.postponed == ["recipe vms is still in use: used by cluster demo"]
    api.finish_deletions()
    assert told(plan_of(Desired(), api)) == ["delete recipe vms"]
    assert applied(Desired(), api).left == 0


def test_an_edited_file_is_a_new_revision_shown_as_text() -> None:
    api = api_with(desired(prober(files=files(p="one\ntwo\n", same="x"))))
    plan = plan_of(desired(prober(files=files(p="one\n2\n", same="x"))), api)
    assert told(plan) == ["change prober revision ping"]
    (change,) = plan.changes[0].files
    assert change.diff == ("--- a/p", "+++ b/p", "@@ -1,3 +1,3 @@", " one", "-two", "+2", " ")


def test_a_changed_mode_alone_is_a_new_revision() -> None:
    api = api_with(desired(prober(files=[FileUpload.of("p", b"x")])))
    plan = plan_of(desired(prober(files=[FileUpload.of("p", b"x", executable=True)])), api)
    (change,) = plan.changes[0].files
    assert change.before is not None
    assert change.after is not None
    assert (change.before.mode, change.after.mode, change.diff) == ("0644", "0755", ())


def test_files_that_are_no_text_have_no_diff() -> None:
    api = api_with(desired(prober(files=[FileUpload.of("p", b"\xff\0")])))
    plan = plan_of(desired(prober(files=[FileUpload.of("p", b"\xff\1")])), api)
    assert [file.diff for file in plan.changes[0].files] == [()]


def test_only_the_fields_that_differ_are_told() -> None:
    before = desired(prober(defaults=ProberSettings(interval_seconds=5, variables={"port": 80})))
    after = desired(
        prober(owner="me", defaults=ProberSettings(mode=None, variables={"port": 81, "host": "x"}))
    )
    plan = plan_of(after, api_with(before))
    assert plan.changes[0].fields == (
        FieldChange("defaults.interval_seconds", 5.0, ABSENT),
        FieldChange("defaults.mode", ABSENT, None),
        FieldChange("defaults.variables.host", ABSENT, "x"),
        FieldChange("defaults.variables.port", 80, 81),
        FieldChange("owner", "", "me"),
    )


def test_how_an_axis_is_delivered_may_be_said_or_not() -> None:
    unsaid = desired(
        prober(defaults=ProberSettings.model_validate({"matrix": {"target": {"values": [1]}}}))
    )
    said = desired(
        prober(
            defaults=ProberSettings.model_validate(
                {"matrix": {"target": {"values": [1], "deliver": "each"}}}
            )
        )
    )
    assert plan_of(said, api_with(unsaid)) == Plan()
    assert plan_of(unsaid, api_with(said)) == Plan()


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, True), (0, False), (1, "1"), (None, {}), ({"a.b": 1}, {"a": {"b": 1}}), ([], {})],
)
def test_values_that_python_takes_for_equal_or_paths_that_look_equal_are_told_apart(
    before: Any, after: Any
) -> None:
    api = api_with(desired(recipe(), cluster(variables={"value": before})))
    plan = plan_of(desired(recipe(), cluster(variables={"value": after})), api)
    assert told(plan) == ["change variable demo/value"]


def test_variables_come_and_go_one_by_one() -> None:
    api = api_with(desired(recipe(), cluster(variables={"same": 1, "old": 2, "changed": [3]})))
    wanted = desired(recipe(), cluster(variables={"same": 1, "new": None, "changed": [4]}))
    assert told(plan_of(wanted, api)) == [
        "change variable demo/changed", "create variable demo/new", "delete variable demo/old",
    ]  # fmt: skip
    assert applied(wanted, api).left == 0
    assert plan_of(wanted, api) == Plan()


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
    assert change.fields == (
        FieldChange("managed_by", "", MANAGER),
        FieldChange("value", 5, 3),
    )


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
    advice = "delete it there to get the one of these files, or rename or remove it here"
    assert plan.refusals == (
        f"recipe vms exists in the API and belongs to ann: {advice}",
        f"prober ping exists in the API and was made or changed by hand: {advice}",
    )


def test_a_cluster_cannot_change_its_recipe_nor_use_one_that_is_not_there() -> None:
    api = api_with(desired(recipe("vms"), recipe("other"), cluster()))
    wanted = desired(
        recipe("vms"), recipe("other"), cluster(recipe="other"), cluster("two", recipe="nowhere")
    )
    assert plan_of(wanted, api).refusals == (
        "cluster demo cannot change its recipe from vms to other: describe a new cluster instead",
        "cluster two: there is no recipe nowhere",
    )


def test_a_cluster_may_use_a_recipe_that_others_made() -> None:
    api = ApiInMemory()
    api.create_recipe(recipe(managed_by="ann"))
    assert applied(desired(cluster()), api).left == 0


def test_a_wanted_cluster_that_is_being_deleted_is_for_a_later_run() -> None:
    api = api_with(EVERYTHING)
    api.delete_cluster("demo", etag="*")
    plan = plan_of(EVERYTHING, api)
    assert plan.changes == ()
    assert plan.postponed == ("cluster demo is still being deleted; run again when it is gone",)
    api.finish_deletions()
    assert told(plan_of(EVERYTHING, api)) == ["create cluster demo"]


def test_a_cluster_that_is_being_deleted_is_not_deleted_again() -> None:
    api = api_with(desired(recipe(), cluster()))
    api.delete_cluster("demo", etag="*")
    assert api.cluster_rows["demo"].state is ClusterState.DELETING
    assert plan_of(desired(recipe()), api) == Plan()


def test_a_prober_on_which_others_stand_stays() -> None:
    api = api_with(desired(prober()))
    api.put_config("ping", "manual", config(managed_by="ann"))
    plan = plan_of(Desired(), api)
    assert plan.changes == ()
    assert plan.postponed == ("prober ping is not deleted: config manual of it is not ours",)


# Applying


def test_what_fails_does_not_stop_what_does_not_need_it() -> None:
    api = ApiInMemory()
    api.refused = {"create recipe vms", "create prober bad"}
    wanted = desired(
        recipe(), cluster(), prober("bad"), prober("good"),
        configs={("bad", "all"): config(), ("good", "all"): config()},
    )  # fmt: skip
    result = applied(wanted, api)
    assert [change.title for change in result.done] == ["prober good", "config good/all"]
    assert [(change.title, reason) for change, reason in result.failed] == [
        ("recipe vms", "not today"),
        ("prober bad", "not today"),
        ("config bad/all", "prober bad is missing"),
        ("cluster demo", "recipe vms is missing"),
    ]
    api.refused.clear()
    assert applied(wanted, api).left == 0
    assert plan_of(wanted, api) == Plan()


def test_what_somebody_changed_after_the_plan_is_left_as_it_is() -> None:
    api = api_with(EVERYTHING)
    wanted = desired(
        recipe(), prober(owner="me", files=files(p="b")), cluster(variables={"hosts": 4}),
        configs={("ping", "all"): config(settings=ProberSettings(interval_seconds=5))},
    )  # fmt: skip
    plan = plan_of(wanted, api)
    api.put_variable("demo", "hosts", VariablePut(value=9, managed_by=MANAGER), etag="*")
    result = apply(plan, wanted, api)
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
    assert apply(plan, wanted, api).is_outdated
    assert api.variable_rows["demo", "hosts"].value == 9


def test_a_renamed_config_takes_the_order_of_the_one_that_goes() -> None:
    api = api_with(desired(prober(), configs={("ping", "old"): config(order=1)}))
    wanted = desired(prober(), configs={("ping", "new"): config(order=1)})
    assert applied(wanted, api).left == 0
    assert plan_of(wanted, api) == Plan()


def test_when_the_api_goes_away_the_rest_is_not_tried_and_the_next_run_finishes() -> None:
    api = ApiInMemory()
    api.away_after = 2
    result = applied(EVERYTHING, api)
    assert [change.title for change in result.done] == ["recipe vms", "prober ping"]
    assert "connection refused" in result.stopped
    assert result.untried == result.left == 2
    api.away_after = None
    assert applied(EVERYTHING, api).left == 0
    assert plan_of(EVERYTHING, api) == Plan()


# By property

TEXTS = st.sampled_from(["", "a", "b\nc\n", "ü"])
SLUGS = st.sampled_from(["a", "b", "c"])
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, 1, True, "1", [], [1], {}, {"a": 1}, {"a": {"b": []}}, {"a.b": []}]
)
FILES = st.dictionaries(st.sampled_from(["x", "y", "d/z"]), TEXTS, min_size=1, max_size=3).map(
    lambda contents: [FileUpload.of(path, text.encode()) for path, text in contents.items()]
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.sampled_from([None, False]),
        "interval_seconds": st.sampled_from([None, 1, 2.5]),
        "variables": st.none() | st.dictionaries(st.sampled_from(["aa", "bb"]), VALUES, max_size=2),
        "matrix": st.dictionaries(st.just("cc"), st.none() | st.just({"values": [1]}), max_size=1),
    },
).map(ProberSettings.model_validate)


@st.composite
def desires(draw: st.DrawFn) -> Desired:
    """A random repository without mistakes; every cluster uses the recipe that bears its name."""
    recipes = draw(st.dictionaries(SLUGS, st.tuples(FILES, TEXTS), max_size=3))
    probers = draw(st.dictionaries(SLUGS, st.tuples(FILES, TEXTS, SETTINGS), max_size=3))
    clusters = draw(st.sets(st.sampled_from(sorted(recipes)))) if recipes else set()
    configs = (
        draw(st.sets(st.tuples(st.sampled_from(sorted(probers)), SLUGS))) if probers else set()
    )
    variables = st.dictionaries(st.sampled_from(["v", "w"]), VALUES, max_size=2)
    return desired(
        *(recipe(slug, files=made, description=text) for slug, (made, text) in recipes.items()),
        *(
            prober(slug, files=made, owner=text, defaults=settings)
            for slug, (made, text, settings) in probers.items()
        ),
        *(cluster(slug, recipe=slug, variables=draw(variables)) for slug in sorted(clusters)),
        configs={
            # Each name has an order of its own: swapped ones take a hand.
            (owner, slug): config(order=ord(slug), settings=draw(SETTINGS))
            for owner, slug in sorted(configs)
        },
    )


def converge(wanted: Desired, api: ApiInMemory) -> None:
    """Deletions of clusters take a moment, so up to three runs."""
    for _ in range(3):
        applied(wanted, api)
        api.finish_deletions()


@given(desires(), desires())
def test_applying_the_plan_makes_it_so(before: Desired, after: Desired) -> None:
    api = ApiInMemory()
    converge(before, api)
    assert plan_of(before, api) == Plan()
    converge(after, api)
    assert plan_of(after, api) == Plan()
    assert api.recipe_rows.keys() == after.recipes.keys()
    assert api.prober_rows.keys() == after.probers.keys()
    assert api.cluster_rows.keys() == after.clusters.keys()
    present = {(row.slug, one.slug) for row in api.probers() for one in row.configs}
    assert present == after.configs.keys()
    assert {(key, row.value) if not isinstance(row.value, list | dict) else (key, str(row.value))
            for key, row in api.variable_rows.items()} == {
        ((slug, name), value if not isinstance(value, list | dict) else str(value))
        for slug, one in after.clusters.items() for name, value in one.variables.items()
    }  # fmt: skip


@given(desires(), desires(), st.integers(min_value=0, max_value=12))
def test_an_interrupted_run_is_finished_by_the_next(
    before: Desired, after: Desired, writes: int
) -> None:
    api = ApiInMemory()
    converge(before, api)
    api.writes.clear()
    api.away_after = writes
    applied(after, api)
    api.away_after = None
    converge(after, api)
    assert plan_of(after, api) == Plan()


@given(VALUES, VALUES)
def test_field_changes_are_empty_exactly_for_equal_json(one: Any, other: Any) -> None:
    is_equal = repr(one) == repr(other)
    assert (field_changes({"f": one}, {"f": other}) == ()) is is_equal


def test_counts_by_action() -> None:
    plan = plan_of(EVERYTHING, ApiInMemory())
    assert [plan.count(action) for action in Action] == [4, 0, 0]
