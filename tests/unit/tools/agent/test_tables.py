"""Tables on narrow terminals: columns go in their order, texts are folded, nothing is cut."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from tools.agent.tables import FittedTable
from tools.console import console_of

WORDS = st.text(alphabet="ab ", max_size=60)


def made(*rows: tuple[str, str, str, str]) -> FittedTable:
    table = FittedTable("prober", "since", "good", "why", spared=("good", "since"), long="why")
    for row in rows:
        table.add_row(Text(row[0]), *row[1:])
    return table


def printed(table: FittedTable, width: int) -> list[str]:
    file = io.StringIO()
    console_of(file, width=width).print(table, soft_wrap=False)
    return file.getvalue().splitlines()


def test_columns_go_in_their_order_as_the_terminal_gets_narrower() -> None:
    table = made(("dns-resolve", "5 min", "99 % of 100", "no answer from the resolver in 2 s"))
    assert table.columns_for(80) == ["prober", "since", "good", "why"]
    assert table.columns_for(55) == ["prober", "since", "why"]
    assert table.columns_for(40) == table.columns_for(1) == ["prober", "why"]


def test_a_long_text_is_folded_and_the_rest_keeps_its_line() -> None:
    reason = "no answer from the resolver in 2 s"
    lines = printed(made(("dns-resolve", "5 min", "99 %", reason)), 40)
    assert lines[2].startswith("dns-resolve   no answer")
    assert " ".join(line[14:].strip() for line in lines[2:]) == reason


def test_without_rows_there_is_only_the_head() -> None:
    assert printed(made(), 80)[0].split() == ["prober", "since", "good", "why"]


@given(st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS), max_size=3), st.integers(20, 120))
def test_no_line_is_wider_than_the_terminal_and_the_last_column_stays(
    rows: list[tuple[str, str, str, str]], width: int
) -> None:
    lines = printed(made(*rows), width)
    assert all(len(line) <= width for line in lines)
    assert "why" in lines[0]
