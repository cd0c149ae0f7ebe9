"""Which published documents an agent believes."""

from uuid import UUID

import pytest

from common.agent_tokens import agent_token
from common.document_signature import is_signed, signatures_for, signed_for
from common.published import fallback_url, publication_folder

CLUSTER = UUID(int=1)
TOKENS = {version: agent_token(b"key", CLUSTER, version=version) for version in (1, 2)}
DOCUMENT = b'{"format":1}'


def test_is_good_for_every_valid_token_and_no_other() -> None:
    signatures = signatures_for(DOCUMENT, TOKENS)
    assert is_signed(DOCUMENT, signatures, TOKENS[1])
    assert is_signed(DOCUMENT, signatures, TOKENS[2])
    assert not is_signed(DOCUMENT, signatures, agent_token(b"key", CLUSTER, version=3))
    assert not is_signed(DOCUMENT, signatures, agent_token(b"other", CLUSTER, version=1))
    assert not is_signed(DOCUMENT, signatures, "no token")


def test_is_worth_nothing_for_another_document() -> None:
    assert not is_signed(DOCUMENT + b" ", signatures_for(DOCUMENT, TOKENS), TOKENS[1])


@pytest.mark.parametrize(
    "nonsense", [b"", b"{", b"[]", b'{"1": 5}', b'{"1": "\xc3\xa9"}', b"\xff", b'{"1": ""}']
)
def test_nonsense_is_no_signature(nonsense: bytes) -> None:
    assert not is_signed(DOCUMENT, nonsense, TOKENS[1])


def test_says_nothing_about_the_token() -> None:
    signatures = signatures_for(DOCUMENT, TOKENS).decode()
    assert not any(token[-64:] in signatures for token in TOKENS.values())
    assert signed_for(TOKENS) == "1,2"


def test_each_cluster_has_a_folder_that_only_the_server_key_tells() -> None:
    folder = publication_folder(b"key", CLUSTER)
    assert len(folder) == 64
    assert folder not in {publication_folder(b"other", CLUSTER), publication_folder(b"key", UUID(int=2))}  # fmt: skip
    assert fallback_url("https://s3/bucket/", b"key", CLUSTER) == f"https://s3/bucket/{folder}"
    assert fallback_url("", b"key", CLUSTER) == ""
