"""Whatever is there and whatever is wanted: applying the plan makes it so, also in two goes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.contracts.files import FileUpload
from common.contracts.probers import ProberSettings
from tests.fakes.api import ApiInMemory
from tests.unit.tools.synchronize.wishes import (
    applied,
    cluster,
    config,
    desired,
    plan_of,
    prober,
    recipe,
)
from tools.synchronize.field_differences import field_changes
from tools.synchronize.objects import Desired
from tools.synchronize.plan import Plan

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
