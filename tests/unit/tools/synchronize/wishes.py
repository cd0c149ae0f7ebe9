"""Descriptions of objects, and what synchronize makes of them."""

from collections.abc import Mapping
from typing import Any

from common.contracts.clusters import ClusterCreate
from common.contracts.files import FileUpload
from common.contracts.probers import ProberConfigPut, ProberCreate, ProberSettings
from common.contracts.recipes import RecipeCreate
from tests.fakes.api import ApiInMemory
from tools.synchronize.apply import Applied, apply
from tools.synchronize.current import read_current
from tools.synchronize.differences import Choices, differences
from tools.synchronize.objects import MANAGER, Desired, HandedOver
from tools.synchronize.ownership import Adoption
from tools.synchronize.plan import Plan
from tools.synchronize.workers import Workers

# Tests about something else wish for less than everything.
FORCED = Choices(force=True)


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
    *objects: Any,
    configs: Mapping[tuple[str, str], ProberConfigPut] | None = None,
    handed_over: Mapping[tuple[str, str], HandedOver] | None = None,
) -> Desired:
    return Desired(
        recipes={one.slug: one for one in objects if isinstance(one, RecipeCreate)},
        probers={one.slug: one for one in objects if isinstance(one, ProberCreate)},
        configs=configs or {},
        clusters={one.slug: one for one in objects if isinstance(one, ClusterCreate)},
        handed_over=handed_over or {},
    )


def workers(api: ApiInMemory) -> Workers[ApiInMemory]:
    return Workers(lambda: api)


def adopting(*patterns: str) -> Choices:
    return Choices(Adoption(patterns))


def plan_of(wanted: Desired, api: ApiInMemory, choices: Choices = FORCED) -> Plan:
    return differences(wanted, read_current(workers(api), wanted), choices)


def applied(wanted: Desired, api: ApiInMemory, choices: Choices = FORCED) -> Applied:
    plan = plan_of(wanted, api, choices)
    return apply(plan, wanted, workers(api), confirmed=choices.confirmed)


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
