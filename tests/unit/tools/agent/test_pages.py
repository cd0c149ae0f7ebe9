"""Pages: what they say of a prober beside its figures."""

from rich.console import Console

from tests.unit.tools.agent.states import NOW, details, prober_state
from tools.agent.pages import details_page


def shown(problem: str) -> str:
    console = Console(width=200, record=True, file=None)
    prober = prober_state("dns-resolve", mode="warm", mode_problem=problem)
    with console.capture() as captured:
        console.print(details_page(details(prober), NOW))
    return captured.get()


def test_says_why_a_prober_is_not_warm() -> None:
    assert "not warm, started as in mode run: its imports print: hello" in shown(
        "its imports print: hello"
    )
    assert "not warm" not in shown("")
