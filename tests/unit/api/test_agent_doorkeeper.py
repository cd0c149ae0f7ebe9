"""Which tokens open the door for agents."""

from uuid import UUID

from api.agent_doorkeeper import AgentDoorkeeper
from api.permissions import AgentOf
from common.agent_tokens import agent_token

KEY = b"server key"


def token(number: int, *, version: int = 1, key: bytes = KEY) -> str:
    return agent_token(key, UUID(int=number), version=version)


def test_knows_genuine_tokens_again() -> None:
    door = AgentDoorkeeper(KEY)
    for _ in range(2):
        assert door.agent_of(token(1, version=3)) == AgentOf(UUID(int=1), 3)


def test_lets_no_forged_token_in_however_often_it_comes() -> None:
    door = AgentDoorkeeper(KEY)
    for forged in (token(1, key=b"other"), token(1)[:-1], f"2{token(1)[1:]}", "", "mrp_x", "1.é.x"):
        assert [door.agent_of(forged), door.agent_of(forged)] == [None, None]


def test_remembers_no_more_than_it_may() -> None:
    door = AgentDoorkeeper(KEY, max_remembered=3)
    agents = [door.agent_of(token(number)) for number in range(10) for _ in range(2)]
    assert agents == [AgentOf(UUID(int=number), 1) for number in range(10) for _ in range(2)]
    assert len(door._genuine) <= 3
