"""Plans as Markdown: whole, unforgeable by what stands in them, and never too long for a comment."""

from common.contracts.files import FileUpload
from tests.fakes.api import ApiInMemory
from tests.unit.tools.synchronize.wishes import (
    EVERYTHING,
    api_with,
    cluster,
    desired,
    plan_of,
    prober,
    recipe,
)
from tools.synchronize.differences import Choices
from tools.synchronize.markdown import MAX_LENGTH, plan_as_markdown
from tools.synchronize.objects import Desired
from tools.synchronize.plan import Plan


def test_says_what_is_to_be_done_with_details_to_unfold() -> None:
    api = api_with(desired(prober(owner="a")))
    text = plan_as_markdown(plan_of(desired(prober(owner="b")), api))
    assert text == (
        "**Plan: 0 to create, 1 to change, 0 to delete.**\n"
        "<details><summary>change prober ping</summary>\n\n"
        '```diff\n! owner: "a" → "b"\n```\n\n</details>\n'
    )


def test_deletions_and_what_stands_in_the_way_are_not_folded() -> None:
    text = plan_as_markdown(plan_of(Desired(), api_with(EVERYTHING), Choices()))
    assert "- **delete** cluster demo\n" in text
    assert "- ! the files describe no clusters at all" in text


def test_backticks_and_control_characters_in_files_cannot_leave_their_block() -> None:
    old, new = b"```\n</details>\n", b"````\n\x1b[31m\n"
    api = api_with(desired(prober(files=[FileUpload.of("p", old)])))
    text = plan_as_markdown(plan_of(desired(prober(files=[FileUpload.of("p", new)])), api))
    assert "\n`````diff\n" in text
    assert "\x1b" not in text


def test_values_of_secrets_are_not_in_it() -> None:
    wanted = desired(recipe(), cluster(variables={"token": "planted"}))
    text = plan_as_markdown(plan_of(wanted, ApiInMemory()))
    assert "planted" not in text
    assert "+ variables.token: (hidden)" in text


def test_a_long_plan_is_cut_between_objects() -> None:
    many = desired(*(prober(f"p{number}", description="x" * 2000) for number in range(50)))
    text = plan_as_markdown(plan_of(many, ApiInMemory()))
    assert len(text) < MAX_LENGTH + 100
    assert text.count("<details>") == text.count("</details>")
    assert "more, too long for here" in text


def test_nothing_to_do() -> None:
    assert plan_as_markdown(Plan()) == "**Nothing to do.**\n"
