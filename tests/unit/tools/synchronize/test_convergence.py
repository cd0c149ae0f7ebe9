"""Whatever is there and whatever is wanted: applying the plan makes it so, also in two goes."""

import copy
import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.contracts.clusters import VariablePut
from common.contracts.files import FileUpload
from common.contracts.probers import ProberSettings, ProberUpdate
from common.errors import ApiUnreachableError
from tests.fakes.api import ApiInMemory, Interrupted, Locked
from tests.unit.tools.synchronize.wishes import (
    FORCED,
    applied,
    cluster,
    config,
    desired,
    plan_of,
    prober,
    recipe,
)
from tools.synchronize.apply import apply
from tools.synchronize.current import read_current
from tools.synchronize.differences import differences
from tools.synchronize.field_differences import field_changes
from tools.synchronize.objects import MANAGER, Desired
from tools.synchronize.plan import Plan
from tools.synchronize.workers import Workers

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


@st.composite
def apis(draw: st.DrawFn) -> ApiInMemory:
    """A random state: what synchronize once made, edited by people who insisted, and what others made beside it."""
    api = ApiInMemory()
    converge(draw(desires()), api)
    api.manager = "*"
    for key in sorted(api.variable_rows):
        what = draw(st.sampled_from(["stays", "edited", "taken"]))
        if what == "edited":
            api.put_variable(*key, VariablePut(value=draw(VALUES)), etag="*")
        elif what == "taken":
            theirs = VariablePut(value="theirs", managed_by="meeseeks")
            api.put_variable(*key, theirs, etag="*")
    for slug in sorted(api.prober_rows):
        if draw(st.booleans()):
            api.change_prober(slug, ProberUpdate(owner="hand"), etag="*")
    if draw(st.booleans()):
        api.create_recipe(recipe("hand", managed_by=""))
        api.create_cluster(cluster("hand", recipe="hand", managed_by="", variables={"h": 1}))
        api.create_prober(prober("hand", managed_by="other"))
        api.put_config("hand", "all", config(managed_by=""))
    for slug in sorted(api.cluster_rows):
        api.put_variable(slug, "nodes", VariablePut(value=["n"], managed_by="meeseeks"))
    api.manager = MANAGER
    return api


def rows(api: ApiInMemory) -> dict[str, str]:
    """Every object to the last byte, by its title; a prober's configs are objects of their own."""
    found = {f"recipe {slug}": row for slug, row in api.recipe_rows.items()}
    shown = {title: row.model_dump_json() for title, row in found.items()}
    for slug, one in api.prober_rows.items():
        shown[f"prober {slug}"] = one.model_dump_json(exclude={"configs"})
        shown |= {f"config {slug}/{part.slug}": part.model_dump_json() for part in one.configs}
    shown |= {f"cluster {slug}": row.model_dump_json() for slug, row in api.cluster_rows.items()}
    shown |= {
        f"variable {slug}/{name}": row.model_dump_json()
        for (slug, name), row in api.variable_rows.items()
    }
    return shown


def described(api: ApiInMemory) -> dict[str, Any]:
    """The same without what differs between two ways to the same end: ids, versions, times, numbers of revisions."""
    unlike = {"id", "etag", "updated_at", "created_at", "number", "value_version"}

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without(one) for name, one in value.items() if name not in unlike}
        return [without(one) for one in value] if isinstance(value, list) else value

    return {title: without(json.loads(text)) for title, text in rows(api).items()}


@given(apis(), desires())
def test_after_apply_there_is_no_plan_and_nothing_else_was_touched(
    api: ApiInMemory, after: Desired
) -> None:
    before = rows(api)
    touched = {one.title.replace(" revision", "") for one in plan_of(after, api).changes}
    gone = {f"variable {title.removeprefix('cluster ')}/" for title in touched}
    applied(after, api)
    for title, text in before.items():
        if title not in touched and not any(title.startswith(one) for one in gone):
            assert rows(api)[title] == text
    converge(after, api)
    assert plan_of(after, api) == Plan()
    present = described(api)
    for slug, wanted in after.clusters.items():
        for name, value in wanted.variables.items():
            if present[f"variable {slug}/{name}"]["managed_by"] == "meeseeks":
                continue
            assert repr(present[f"variable {slug}/{name}"]["value"]) == repr(value)
    ours = {title for title, row in present.items() if row["managed_by"] == MANAGER}
    assert {title for title in ours if not title.startswith("variable")} == {
        *(f"recipe {slug}" for slug in after.recipes),
        *(f"prober {slug}" for slug in after.probers),
        *(f"config {prober}/{slug}" for prober, slug in after.configs),
        *(f"cluster {slug}" for slug in after.clusters),
    }


@given(apis(), desires(), st.integers(min_value=0, max_value=25), st.booleans())
def test_wherever_it_is_interrupted_the_next_run_ends_the_same(
    api: ApiInMemory, after: Desired, requests: int, is_lost: bool
) -> None:
    straight = copy.deepcopy(api)
    converge(after, straight)
    broken = Workers(lambda: interrupted)
    interrupted = Interrupted(api, after=requests, is_lost=is_lost)
    with suppress(ApiUnreachableError):
        current = read_current(broken, after)
        apply(differences(after, current, FORCED), after, broken)
    converge(after, api)
    assert plan_of(after, api) == Plan()
    assert described(api) == described(straight)


@given(apis(), desires())
def test_side_by_side_it_ends_the_same(api: ApiInMemory, after: Desired) -> None:
    straight = copy.deepcopy(api)
    converge(after, straight)
    locked = Locked(api)
    shared = Workers(lambda: locked, count=4)
    for _ in range(3):
        plan = differences(after, read_current(shared, after), FORCED)
        apply(plan, after, shared)
        api.finish_deletions()
    shared.close()
    assert plan_of(after, api) == Plan()
    assert described(api) == described(straight)


@given(VALUES, VALUES)
def test_field_changes_are_empty_exactly_for_equal_json(one: Any, other: Any) -> None:
    is_equal = repr(one) == repr(other)
    assert (field_changes({"f": one}, {"f": other}) == ()) is is_equal
