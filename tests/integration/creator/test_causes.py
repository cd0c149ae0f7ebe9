"""Cause beside effect: what changed since the last apply, who did it and when, on both databases."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from database.models import AuditEntry, Cluster
from tests.integration.creator.installation import Installation

THING = """
variable "word" {}
variable "secret" {}

resource "terraform_data" "thing" {
  input = "${var.word} ${var.secret}"
}
"""


def _wrote(
    installation: Installation, actor: str, kind: str, slug: str, at: datetime, of: UUID
) -> None:
    entry = AuditEntry(at=at, actor=actor, role="editor", action="change", kind=kind, slug=slug)
    entry.object_id = of
    entry.cluster_id = installation.cluster("demo").id if kind != "recipe" else None
    with installation.database.writing() as session:
        session.add(entry)


def _recipe_id(installation: Installation) -> UUID:
    cluster: Cluster = installation.cluster("demo")
    return cluster.recipe_id


def test_each_difference_says_who_made_it_and_when(installation: Installation) -> None:
    installation.add_recipe("thing", {"main.tf": THING})
    cluster_id = installation.add_cluster("demo", "thing", {"word": "one"})
    installation.add_secret("demo", "secret", "a secret that nobody sees")
    assert installation.run_pass()
    moment = datetime.now(UTC)
    installation.set_variable("demo", "word", "two")
    installation.add_secret("demo", "secret", "another one that nobody sees")
    installation.add_recipe("thing", {"main.tf": THING + "# changed\n"})
    _wrote(installation, "ann", "variable", "demo/word", moment, cluster_id)
    _wrote(
        installation, "bob", "variable", "demo/secret", moment + timedelta(seconds=1), cluster_id
    )
    _wrote(
        installation,
        "eve",
        "recipe",
        "thing",
        moment + timedelta(seconds=2),
        _recipe_id(installation),
    )

    assert installation.run_pass()

    newest, first = installation.deployments("demo")
    assert {(one["kind"], one["name"], one["action"], one["by"]) for one in newest.differences} == {
        ("file", "main.tf", "changed", "eve"),
        ("variable", "secret", "changed", "bob"),
        ("variable", "word", "changed", "ann"),
    }
    assert newest.changed_at == moment + timedelta(seconds=2)
    assert newest.cause == (
        "the recipe or a value has changed: file main.tf changed by eve,"
        " variable secret changed by bob, variable word changed by ann"
    )
    assert {one["action"] for one in first.differences} == {"added"}
    assert newest.inputs
    assert "another one" not in str(newest.inputs)
    assert newest.inputs["variables"]["word"] != "two", "values are kept as keyed hashes only"


def test_what_was_never_applied_stays_a_difference(sqlite_installation: Installation) -> None:
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    sqlite_installation.add_cluster("demo", "thing", {"word": "one", "secret": "a"})
    sqlite_installation.run_pass()
    sqlite_installation.set_variable("demo", "word", "two")
    sqlite_installation.add_recipe("thing", {"main.tf": THING + "resource {"})
    sqlite_installation.run_pass()
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    sqlite_installation.run_pass()
    newest = sqlite_installation.deployments("demo")[0]
    assert [one["name"] for one in newest.differences] == ["word"]
