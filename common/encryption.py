"""Values encrypted at rest: AES-256-GCM under named keys, so that keys can be changed while all goes on.

An encrypted text is `v1.<key id>.<nonce and ciphertext, base64url>`.
Its context (which row it belongs to) is authenticated with it: a text that was moved to another row does not open.
API and Creator share this file; agents and tools never see a key.
"""

import base64
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.atomic_files import read_key, read_or_make_key, write_atomically
from common.errors import KeyFileError, MrProberError

MINIMUM_KEY_LENGTH = 32
HOW_TO_MAKE_A_KEY = "take 32 random bytes, for instance the output of `openssl rand -base64 32`"
_FORM = "v1"
_NONCE_BYTES = 12


class EncryptionError(MrProberError):
    """A value cannot be encrypted or opened; neither it nor a key is repeated."""


class NoEncryptionKeyError(EncryptionError):
    """There is no key at all."""

    def __init__(self) -> None:
        super().__init__(
            "MR_PROBER_ENCRYPTION_KEYS must be set with PostgreSQL:"
            f" every API and Creator needs the same ones; {HOW_TO_MAKE_A_KEY}"
        )


class UnknownEncryptionKeyError(EncryptionError):
    """The key with which a value was encrypted is not among ours."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"a value was encrypted with key {key_id}, which is not set here:"
            " add it to MR_PROBER_ENCRYPTION_KEYS or to the key file"
        )
        self.key_id = key_id


class DamagedSecretError(EncryptionError):
    """An encrypted text is not ours, was changed, or belongs to another row."""

    def __init__(self) -> None:
        super().__init__("an encrypted value is damaged, or belongs to something else")


class ShortKeyError(EncryptionError):
    """A key that could be guessed."""

    def __init__(self) -> None:
        super().__init__(
            f"MR_PROBER_ENCRYPTION_KEYS, or the key file, holds a key of fewer than {MINIMUM_KEY_LENGTH} characters:"
            f" {HOW_TO_MAKE_A_KEY}"
        )


class Keyring:
    """The keys of an installation; the first one encrypts, all of them open. May be used by several threads.

    `load` gives their texts; it is asked again before each encryption and for each unknown key,
    so that a running service goes along with a rotation. It may raise KeyFileError.
    """

    def __init__(self, load: Callable[[], Sequence[str]]) -> None:
        self._load = load
        self._by_id: Mapping[str, AESGCM] = {}

    def encrypt(self, plain: bytes, *, context: bytes) -> str:
        """The encrypted text; NoEncryptionKeyError."""
        key_id = self._current()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._by_id[key_id].encrypt(nonce, plain, context)
        return f"{_FORM}.{key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, text: str, *, context: bytes) -> bytes:
        """What was encrypted under this context; UnknownEncryptionKeyError, DamagedSecretError."""
        key_id, sealed = _parts(text)
        if key_id not in self._by_id:
            self.reload()
        key = self._by_id.get(key_id)
        if key is None:
            raise UnknownEncryptionKeyError(key_id)
        try:
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except InvalidTag as error:
            raise DamagedSecretError from error

    def is_current(self, text: str) -> bool:
        """Whether the text was encrypted with the first key."""
        return _parts(text)[0] == self._current()

    def reload(self) -> None:
        """Read the keys again; ShortKeyError."""
        self._by_id = {key_id_of(text): _cipher(text) for text in self._load()}

    def _current(self) -> str:
        self.reload()
        if not self._by_id:
            raise NoEncryptionKeyError
        return next(iter(self._by_id))


NO_KEYS = Keyring(tuple)


def keyring_of_file(path: Path) -> Keyring:
    """The keyring in a file, one key a line, the newest first; the first caller makes it. KeyFileError."""
    read_or_make_key(path)
    return Keyring(lambda: keys_in(path))


def keyring_of_text(text: str) -> Keyring:
    """The keyring in a setting: keys separated by commas or white space. ShortKeyError, NoEncryptionKeyError."""
    keys = tuple(text.replace(",", " ").split())
    keyring = Keyring(lambda: keys)
    keyring.reload()
    if not keys:
        raise NoEncryptionKeyError
    return keyring


def keyring_of_installation(setting: str | None, path: Path, *, may_make: bool) -> Keyring:
    """The keyring in the setting, else in the file, if one may be made there. NoEncryptionKeyError, KeyFileError."""
    if setting is not None:
        return keyring_of_text(setting)
    if not may_make:
        raise NoEncryptionKeyError
    return keyring_of_file(path)


def keys_in(path: Path) -> list[str]:
    """The keys of a key file, newest first; KeyFileError."""
    return read_key(path).split()


def write_keys(path: Path, keys: Sequence[str]) -> None:
    """Replace the keys of a key file; KeyFileError."""
    try:
        write_atomically(path, "".join(f"{key}\n" for key in keys).encode())
    except OSError as error:
        raise KeyFileError(path, f"cannot be written: {error.strerror}") from error


def new_key() -> str:
    """A fresh key: 256 random bits."""
    return secrets.token_urlsafe(32)


def key_id_of(key: str) -> str:
    """The public name of a key, which tells nothing about it."""
    return hmac.digest(key.encode(), b"mr-prober key id", "sha256").hex()[:16]


def variable_context(cluster_id: UUID, name: str) -> bytes:
    """To which variable of which cluster an encrypted value belongs."""
    return f"cluster variable/{cluster_id}/{name}".encode()


def _cipher(key: str) -> AESGCM:
    if len(key) < MINIMUM_KEY_LENGTH:
        raise ShortKeyError
    return AESGCM(hmac.digest(key.encode(), b"mr-prober encryption at rest", "sha256"))


def _parts(text: str) -> tuple[str, bytes]:
    form, _, rest = text.partition(".")
    key_id, _, sealed = rest.partition(".")
    try:
        content = base64.b64decode(sealed, altchars=b"-_", validate=True)
    except ValueError as error:
        raise DamagedSecretError from error
    if form != _FORM or len(content) <= _NONCE_BYTES:
        raise DamagedSecretError
    return key_id, content
