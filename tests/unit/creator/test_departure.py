"""For what a Creator stays that was told to end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from creator.departure import Terms, still_waits

TERMS = Terms(waits=True, time_limit=timedelta(minutes=10), patience=timedelta(seconds=30))


@pytest.mark.parametrize(
    ("waited", "unanswered", "runs_here", "stays"),
    [
        (1, 0, True, True),
        (1, 0, False, True),  # the database tells when nothing is under way any more
        (100, 29, False, True),
        (100, 30, False, False),
        (1, 3600, False, False),
        (599, 599, True, True),  # in a container terraform would end with us
        (600, 0, True, False),
        (600, 600, True, False),
    ],
)
def test_whoever_waits_stays_for_terraforms_and_for_a_database_that_stumbles(
    waited: float, unanswered: float, runs_here: bool, stays: bool
) -> None:
    given = {"waited": timedelta(seconds=waited), "unanswered": timedelta(seconds=unanswered)}
    assert still_waits(TERMS, runs_here=runs_here, **given) is stays
    detached = replace(TERMS, waits=False)
    assert not still_waits(detached, runs_here=runs_here, **given)
