"""What people write on the command line, and what is refused before the agent is asked."""

from datetime import timedelta

import pytest

from tools.agent.wishes import pairs_in, pause_wanted, run_wanted


def test_values_are_json_where_they_are_json_and_text_elsewhere() -> None:
    assert pairs_in(["a=3", "b=true", "c=[1]", "d=demo-1", "e=", "f=x=y"]) == {
        "a": 3, "b": True, "c": [1], "d": "demo-1", "e": "", "f": "x=y",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["a", "=3", ""])
def test_a_pair_has_a_name_and_a_sign(text: str) -> None:
    with pytest.raises(ValueError, match="expected NAME=VALUE"):
        pairs_in([text])


def test_a_name_is_chosen_or_set_but_not_both() -> None:
    wanted = run_wanted("dns", combination=["target=a"], values=["port=53"], local=None)
    assert (wanted.combination, wanted.values) == ({"target": "a"}, {"port": 53})
    with pytest.raises(ValueError, match="not in both"):
        run_wanted("dns", combination=["target=a"], values=["target=b"], local=None)


@pytest.mark.parametrize(
    ("length", "why", "text"),
    [
        (timedelta(0), "x", "more than nothing and at most 7d"),
        (timedelta(days=8), "x", "more than nothing and at most 7d"),
        (timedelta(minutes=1), " ", "why: "),
    ],
)
def test_a_pause_needs_a_length_and_a_reason(length: timedelta, why: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pause_wanted("dns", length=length, why=why, who="ann")
