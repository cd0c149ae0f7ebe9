"""Who may ask: nobody whom the agent itself started."""

import os

import pytest

from agent.control.callers import Caller, refuse_probers
from agent.control.messages import RefusedError


def test_a_program_of_the_agent_is_refused_however_far_below_it_is() -> None:
    parents = {500: 400, 400: 300, 300: os.getpid()}
    with pytest.raises(RefusedError) as refused:
        refuse_probers(Caller(500, 1000, 1000), parent_of=parents.get)
    assert refused.value.status == 403


@pytest.mark.parametrize("parents", [{500: 400, 400: 1, 1: 0}, {500: 0}, {}, {500: 500}])
def test_others_are_not(parents: dict[int, int]) -> None:
    refuse_probers(Caller(500, 1000, 1000), parent_of=parents.get)
