"""No form of a secret value is left in a text."""

import json

import pytest
from pydantic import JsonValue

from common.masking import MASK, forms_of, without_partial_secrets, without_secrets


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("correct horse", "x correct horse y"),
        ("correct horse", "x correct\n  horse y"),
        ("first line\nsecond line", "a: first line\nb: second line"),
        ('pass"word<&>', "key = " + json.dumps('pass"word<&>')),
        ('pass"word<&>', 'key = "pass\\"word\\u003c\\u0026\\u003e"'),
        ("пароль-пароль", json.dumps("пароль-пароль")),
        ("pre${fix}suffix", 'key = "pre$${fix}suffix"'),
        ({"user": ["deep-secret"]}, "[deep-secret]"),
        (1234567890, "= 1234567890"),
    ],
)
def test_nothing_of_a_secret_is_left(value: JsonValue, shown: str) -> None:
    masked = without_secrets(shown, forms_of(value))
    assert MASK in masked
    for word in ("correct", "horse", "line", "word", "пароль", "041f", "suffix", "deep", "12345"):
        assert word not in masked


@pytest.mark.parametrize("value", ["short", True, None, 42, "", " \n "])
def test_what_is_too_short_to_be_a_secret_blots_nothing_out(value: JsonValue) -> None:
    assert forms_of(value) == ()


def test_longer_secrets_go_first() -> None:
    assert without_secrets("password-long", ["password", "password-long"]) == MASK


def test_what_a_cut_leaves_of_a_secret_is_hidden_too() -> None:
    secrets = ("correct-horse-battery",)
    head, tail = without_partial_secrets("the key is correct-ho", "rse-battery, he said", secrets)
    assert head == f"the key is {MASK}"
    assert tail == f"{MASK}, he said"
    assert without_partial_secrets("no co", "ry no", secrets) == ("no co", "ry no")
