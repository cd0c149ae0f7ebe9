"""New revisions of recipes are judged by the real terraform before anything is deployed from them."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select, update

from common.contracts.recipes import Validity
from database.models import RecipeRevision
from tests.integration.creator.installation import Installation

VALID = 'resource "terraform_data" "thing" {\n  input = "x"\n}\n'
INVALID = 'resource "terraform_data" "thing" {\n  input =\n}\n'
UNKNOWN_PROVIDER = 'terraform {\n  required_providers {\n    nope = { source = "127.0.0.1:1/nope/nope" }\n  }\n}\nresource "nope_thing" "x" {}\n'  # fmt: skip


def revision_of(installation: Installation) -> RecipeRevision:
    """The newest one."""
    query = select(RecipeRevision).order_by(RecipeRevision.number.desc()).limit(1)
    with installation.database.reading() as session:
        return session.scalars(query).one()


def test_a_valid_one_is_deployed_in_the_same_pass(installation: Installation) -> None:
    installation.add_recipe("things", {"main.tf": VALID}, validity=Validity.UNCHECKED)
    installation.add_cluster("demo", "things")

    assert installation.run_pass()

    revision = revision_of(installation)
    assert (revision.validity, revision.problems) == (Validity.VALID, [])
    assert revision.checked_at is not None
    assert installation.resources("demo") == ["terraform_data.thing"]
    assert list((installation.data_folder / "checks").iterdir()) == []


def test_an_invalid_one_is_explained_and_never_deployed(installation: Installation) -> None:
    installation.add_recipe("things", {"main.tf": VALID})
    installation.add_cluster("demo", "things")
    assert installation.run_pass()
    files = {"main.tf": 'module "inner" {\n  source = "./inner"\n}\n', "inner/main.tf": INVALID}
    installation.add_recipe("things", files, validity=Validity.UNCHECKED)

    assert installation.run_pass()

    revision = revision_of(installation)
    assert revision.validity is Validity.INVALID
    problem: dict[str, Any] = revision.problems[0]
    assert (problem["file"], problem["line"]) == ("inner/main.tf", 2)
    assert "Invalid expression" in problem["message"]
    assert len(installation.deployments("demo")) == 1
    assert installation.resources("demo") == ["terraform_data.thing"]
    # Whoever made it may still go.
    installation.delete_cluster("demo")
    assert installation.run_pass()
    assert installation.resources("demo") == []


def test_what_cannot_be_fetched_leaves_it_unchecked_for_a_while(
    sqlite_installation: Installation,
) -> None:
    installation = sqlite_installation
    installation.add_recipe("things", {"main.tf": UNKNOWN_PROVIDER}, validity=Validity.UNCHECKED)

    assert installation.run_pass()

    revision = revision_of(installation)
    assert revision.validity is Validity.UNCHECKED
    assert "nope/nope" in revision.problems[0]["message"]
    assert revision.checked_at
    assert revision.check_again_at
    assert revision.check_again_at > revision.checked_at
    # Not again before its time, then again.
    assert installation.run_pass()
    assert revision_of(installation).checked_at == revision.checked_at
    with installation.database.writing() as session:
        session.execute(update(RecipeRevision).values(check_again_at=revision.checked_at))
    assert installation.run_pass()
    assert revision_of(installation).checked_at != revision.checked_at


def test_a_running_creator_judges_beside_its_deployments(
    sqlite_installation: Installation, eventually: Callable[[Callable[[], object]], None]
) -> None:
    installation = sqlite_installation
    installation.add_recipe("things", {"main.tf": INVALID}, validity=Validity.UNCHECKED)
    installation.add_cluster("demo", "things")
    loop = installation.loop()
    try:
        loop.start_pass()
        eventually(lambda: revision_of(installation).validity is Validity.INVALID)
        loop.start_pass()
    finally:
        loop.close()
    assert installation.deployments("demo") == []
