"""Tokens of agents: derived, and worthless to everyone else."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.agent_tokens import AgentTokenClaim, agent_token, claim_of, is_genuine

KEY = b"server key"
CLUSTER = UUID("01912345-6789-7abc-8def-0123456789ab")
OTHER_CLUSTER = UUID("01912345-6789-7abc-8def-0123456789ac")
TOKEN = agent_token(KEY, CLUSTER, version=3)


def test_the_token_is_the_same_in_each_plan() -> None:
    assert agent_token(KEY, CLUSTER, version=3) == TOKEN
    assert TOKEN.startswith("3.")


def test_a_genuine_token_says_whom_it_speaks_for() -> None:
    assert claim_of(TOKEN) == AgentTokenClaim(version=3, cluster_id=CLUSTER)
    assert is_genuine(TOKEN, KEY)


def test_a_token_of_another_key_is_not_genuine() -> None:
    assert not is_genuine(TOKEN, b"another key")


def test_a_signature_does_not_fit_another_cluster_or_version() -> None:
    _, _, signature = TOKEN.split(".")
    assert not is_genuine(f"3.{OTHER_CLUSTER.hex}.{signature}", KEY)
    assert not is_genuine(f"4.{CLUSTER.hex}.{signature}", KEY)


@pytest.mark.parametrize(
    "garbage",
    [
        "", ".", "..", "...", "3", "3.x.y", "x.y.z", f"-1.{CLUSTER.hex}.00", f"²3.{CLUSTER.hex}.00",
        f"3.{CLUSTER.hex}.", f"3.{CLUSTER.hex}", f"{'9' * 5000}.{CLUSTER.hex}.00", f"3.{CLUSTER.hex[:-1]}.00",
    ],
)  # fmt: skip
def test_garbage_claims_nothing(garbage: str) -> None:
    assert claim_of(garbage) is None
    assert not is_genuine(garbage, KEY)


@pytest.mark.parametrize(
    "variant",
    [
        TOKEN.upper(),
        f"0{TOKEN}",
        f"{TOKEN} ",
        f"{TOKEN}ä",
        TOKEN.replace(CLUSTER.hex, str(CLUSTER)),
    ],
)
def test_only_the_exact_text_is_genuine(variant: str) -> None:
    assert not is_genuine(variant, KEY)


@given(st.text())
def test_no_text_makes_it_stumble(text: str) -> None:
    assert not is_genuine(text, KEY)
