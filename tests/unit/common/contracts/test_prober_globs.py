"""Globs of prober configs: whatever a user may send is matched, quickly and without surprise."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from common.contracts.probers import Glob
from common.contracts.resolution import matches_any

GLOBS = TypeAdapter(Glob)
TEXTS = st.text(alphabet="ab-1.", max_size=30)


@given(glob=st.from_regex(r"[A-Za-z0-9*?._\[\]!-]{1,40}", fullmatch=True), text=TEXTS)
def test_every_glob_is_refused_or_means_what_the_shell_says(glob: str, text: str) -> None:
    try:
        accepted = GLOBS.validate_python(glob)
    except ValidationError:
        assert glob.count("*") + glob.count("[") > 8
        return
    assert matches_any(text, [accepted]) == fnmatchcase(text, glob)


def test_one_that_would_take_long_is_refused() -> None:
    for glob in ("a*" * 9, "[ab]" * 20):
        with pytest.raises(ValidationError, match="at most 8 wildcards"):
            GLOBS.validate_python(glob)
    worst = "*a" * 8
    assert not matches_any("a" * 252 + "b", [GLOBS.validate_python(worst)])


@pytest.mark.parametrize("pattern", ["a+", "(a|b)", "a{2}", "^a$", "a\\d", "a b", ""])
def test_regular_expressions_are_no_globs(pattern: str) -> None:
    with pytest.raises(ValidationError):
        GLOBS.validate_python(pattern)


def test_a_glob_matches_the_whole_text() -> None:
    assert not matches_any("demo-1", ["demo"])
    assert not matches_any("demo\n", ["demo"])
