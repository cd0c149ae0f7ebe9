"""Signatures of published documents: an agent believes what it read elsewhere only if somebody signed it who knows its token.

`configuration.sig` is JSON, `{token version: hex HMAC-SHA256 of the document's bytes}`, one entry per valid token.
The key is derived from the token, so that a signature never helps to guess a token that the API takes.
Document and signature are two objects: a reader that finds them not matching reads both once more.
"""

import hmac
import json
from collections.abc import Iterable, Mapping

from pydantic import TypeAdapter, ValidationError

from common.agent_tokens import claim_of

_PURPOSE = b"mr-prober configuration signature"
_SIGNATURES: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


def signature_of(document: bytes, token: str) -> str:
    """The signature of the document for whoever holds the token; hexadecimal."""
    key = hmac.digest(token.encode(), _PURPOSE, "sha256")
    return hmac.digest(key, document, "sha256").hex()


def signatures_for(document: bytes, tokens: Mapping[int, str]) -> bytes:
    """The bytes of `configuration.sig`, for tokens by their version."""
    signatures = {
        str(version): signature_of(document, token) for version, token in sorted(tokens.items())
    }
    return json.dumps(signatures, separators=(",", ":")).encode()


def is_signed(document: bytes, signatures: bytes, token: str) -> bool:
    """Whether the signatures hold a right one for this token; nonsense is no signature."""
    claim = claim_of(token)
    if claim is None:
        return False
    try:
        given = _SIGNATURES.validate_json(signatures).get(str(claim.version), "")
    except ValidationError:
        return False
    return given.isascii() and hmac.compare_digest(given, signature_of(document, token))


def signed_for(versions: Iterable[int]) -> str:
    """Names the token versions of a signature, for whoever remembers what was signed."""
    return ",".join(str(version) for version in sorted(versions))
