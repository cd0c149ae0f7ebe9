"""The API as files: reading them gives the API again, and what did not change is not touched."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from common.contracts.clusters import VariablePut
from common.contracts.files import FileUpload
from common.contracts.probers import ProberSettings
from tests.fakes.api import ApiInMemory
from tests.unit.tools.synchronize.test_convergence import desires
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
    workers,
)
from tools.synchronize.current import read_contents, read_current
from tools.synchronize.errors import ExportError
from tools.synchronize.export import Export
from tools.synchronize.exported import exported, wanted_hashes
from tools.synchronize.files import environments_in, read_repository
from tools.synchronize.objects import Desired
from tools.synchronize.ownership import Adoption
from tools.synchronize.plan import Plan


def export(api: ApiInMemory, root: Path, *adopt: str, prune: bool = False) -> Export:
    adopted = Adoption(adopt)
    current = read_current(workers(api))
    current = current.with_contents(read_contents(workers(api), wanted_hashes(current, adopted)))
    found = exported(current, adopted)
    present = Desired()
    if "local" in environments_in(root):
        present = read_repository(root, "local")
    made = Export(root, "local", present, found.desired, prune=prune)
    made.run()
    made.notices[:0] = found.notices
    return made


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


@settings(max_examples=30, deadline=None)
@given(desires(), desires())
def test_after_an_export_there_is_no_plan_also_over_another_tree(
    first: Desired, second: Desired
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        for wanted in (first, second):
            api = ApiInMemory()
            applied(wanted, api)
            export(api, folder, prune=True)
            assert plan_of(read_repository(folder, "local"), api) == Plan()
            before = contents(folder)
            again = export(api, folder, prune=True)
            assert (again.written, again.removed, contents(folder)) == ([], [], before)
    finally:
        shutil.rmtree(folder)


PROBER = """\
# Why this prober is here.
command: [p] # as short as can be
owner: "ann"   # quoted
defaults:
  # often
  interval_seconds: 5
  variables: {bb: 1, aa: 2}
configs:
- list-style: no
"""


def test_comments_order_and_quotes_of_the_rest_stay(tmp_path: Path) -> None:
    api = api_with(
        desired(
            prober(owner="ann", defaults=ProberSettings(interval_seconds=7, variables={"bb": 1, "aa": 2})),
            configs={("ping", "all"): config()},
        )
    )  # fmt: skip
    path = tmp_path / "probers/ping/prober.yaml"
    path.parent.mkdir(parents=True)
    (path.parent / "p").write_text("a")
    (tmp_path / "environments/local").mkdir(parents=True)
    text = PROBER.replace("- list-style: no", "  all: {clusters: ['*']} # everywhere")
    path.write_text(text)
    made = export(api, tmp_path)
    assert made.written == [path]
    assert path.read_text() == text.replace("interval_seconds: 5", "interval_seconds: 7.0")


def test_shared_values_stay_shared(tmp_path: Path) -> None:
    for name, text in {
        "recipes/vms/main": "a",
        "values/base.yaml": "recipe: vms\nvariables: {a: 1, b: 1, gone: 1}\n",
        "environments/local/clusters/demo.yaml": "use: [base]\n# own\nvariables: {c: 1}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before = contents(tmp_path)
    api = api_with(desired(recipe(), cluster(variables={"a": 1, "b": 2, "c": 1})))
    made = export(api, tmp_path)
    after = contents(tmp_path)
    assert after.pop("environments/local/clusters/demo.yaml").decode() == (
        "use: [base]\n# own\nvariables: {c: 1, b: 2}\n"
    )
    del before["environments/local/clusters/demo.yaml"]
    assert after == before
    assert made.notices == [
        "cluster demo: the API has no gone; look whether a file of values/ gives it"
    ]


def test_a_config_of_another_environment_does_not_reach_the_shared_file(tmp_path: Path) -> None:
    export(api_with(desired(prober())), tmp_path)
    shared = (tmp_path / "probers/ping/prober.yaml").read_text()
    wanted = desired(prober(), configs={("ping", "local-only"): config(order=3)})
    export(api_with(wanted), tmp_path)
    assert (tmp_path / "probers/ping/prober.yaml").read_text() == shared
    own = (tmp_path / "environments/local/probers/ping.yaml").read_text()
    assert own == (
        "# yaml-language-server: $schema=../../../schemas/environment-prober.schema.json\n"
        "configs:\n  local-only:\n    order: 3\n    clusters:\n      - '*'\n"
    )


def test_what_the_api_has_not_is_told_and_removed_only_when_asked(tmp_path: Path) -> None:
    export(api_with(EVERYTHING), tmp_path)
    left = api_with(desired(prober()))
    made = export(left, tmp_path)
    assert [text.split(" is not")[0] for text in made.notices] == [
        "config ping/all", "recipe vms", "cluster demo",
    ]  # fmt: skip
    assert made.removed == []
    export(left, tmp_path, prune=True)
    assert plan_of(read_repository(tmp_path, "local"), left) == Plan()


def test_what_was_made_by_hand_is_exported_when_adopted_and_others_never(tmp_path: Path) -> None:
    api = api_with(EVERYTHING)
    for rows in (api.recipe_rows, api.prober_rows, api.cluster_rows, api.variable_rows):
        for row in rows.values():
            row.managed_by = ""
    api.prober_rows["ping"].configs[0].managed_by = ""
    api.put_variable("demo", "nodes", VariablePut(value=[1], managed_by="meeseeks"))
    assert export(api, tmp_path).written == []
    export(api, tmp_path, "all")
    read = read_repository(tmp_path, "local")
    assert read.clusters["demo"].variables == {"hosts": 3}
    plan = plan_of(read, api, adopting("all"))
    fields = {field.field for change in plan.changes for field in change.fields}
    assert fields == {"managed_by"}
    assert len(plan.changes) == 5


def test_secrets_stay_in_the_api(tmp_path: Path) -> None:
    api = api_with(desired(recipe(), cluster(variables={"a": "planted"})))
    api.variable_rows["demo", "a"].sensitive = True
    made = export(api, tmp_path)
    assert made.notices == ["variable demo/a is secret: it stays in the API alone"]
    assert not any(b"planted" in content for content in contents(tmp_path).values())


@pytest.mark.parametrize("path", [".hidden", "a/__pycache__/x", "prober.yaml"])
def test_a_file_that_would_be_lost_on_the_way_back_is_refused(tmp_path: Path, path: str) -> None:
    api = api_with(desired(prober(files=[FileUpload.of(path, b"")])))
    with pytest.raises(ExportError, match="prober"):
        export(api, tmp_path)


def test_modes_of_files_are_kept(tmp_path: Path) -> None:
    export(api_with(desired(prober(files=[FileUpload.of("p", b"", executable=True)]))), tmp_path)
    assert (tmp_path / "probers/ping/p").stat().st_mode & 0o777 == 0o755
