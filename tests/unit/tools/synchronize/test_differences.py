"""Differences and their application, by example and by property, against the API in memory."""

from typing import Any

import pytest

from common.contracts.clusters import ClusterState
from common.contracts.files import FileUpload
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
    told,
)
from tools.synchronize.objects import Desired
from tools.synchronize.plan import ABSENT, Action, FieldChange, Plan


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


def test_a_cluster_cannot_change_its_recipe_nor_use_one_that_is_not_there() -> None:
    api = api_with(desired(recipe("vms"), recipe("other"), cluster()))
    wanted = desired(
        recipe("vms"), recipe("other"), cluster(recipe="other"), cluster("two", recipe="nowhere")
    )
    assert plan_of(wanted, api).refusals == (
        "cluster demo cannot change its recipe from vms to other: describe a new cluster instead",
        "cluster two: there is no recipe nowhere",
    )


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


def test_counts_by_action() -> None:
    plan = plan_of(EVERYTHING, ApiInMemory())
    assert [plan.count(action) for action in Action] == [4, 0, 0]
