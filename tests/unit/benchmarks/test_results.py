"""The file of results: a part that is measured again replaces its own section and nothing else."""

from pathlib import Path

from benchmarks.results import ResultTable, section, sections_of, text_of

RESULTS = Path(__file__).parents[3] / "benchmarks/RESULTS.md"
ORDER = ["first", "second"]


def result(number: str) -> str:
    table = ResultTable("It was measured.", ("what", "how much"), [("a program", number)])
    return section("first", [table], "one core")


def test_a_part_replaces_its_own_section_only() -> None:
    before = text_of({"second": result("2"), "first": result("1")}, ORDER)
    sections = sections_of(before)
    assert list(sections) == ORDER
    after = text_of(sections | {"first": result("3")}, ORDER)
    assert sections_of(after) == {"first": result("3"), "second": result("2")}
    assert after == before.replace("| a program | 1 |", "| a program | 3 |")


def test_a_section_says_how_and_where_it_was_made() -> None:
    assert "`make bench PARTS=first` on one core." in result("1")


def test_the_committed_results_are_such_a_file() -> None:
    text = RESULTS.read_text()
    sections = sections_of(text)
    assert text_of(sections, list(sections)) == text
    assert all(said.startswith("`make bench PARTS=") for said in sections.values())
