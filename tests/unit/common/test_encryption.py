"""Encrypted values open with their key, in their own row, and nowhere else; keys change while all goes on."""

from pathlib import Path
from uuid import uuid4

import pytest

from common.encryption import (
    NO_KEYS,
    DamagedSecretError,
    Keyring,
    NoEncryptionKeyError,
    ShortKeyError,
    UnknownEncryptionKeyError,
    keyring_of_file,
    keyring_of_text,
    keys_in,
    new_key,
    variable_context,
    write_keys,
)

OLD, NEW = new_key(), new_key()
HERE = variable_context(uuid4(), "password")


def _ring(*keys: str) -> Keyring:
    return Keyring(lambda: keys)


def test_open_with_any_key_of_the_ring_and_encrypt_with_the_first() -> None:
    text = _ring(OLD).encrypt(b"secret", context=HERE)
    both = _ring(NEW, OLD)
    assert both.decrypt(text, context=HERE) == b"secret"
    assert not both.is_current(text)
    assert both.is_current(both.encrypt(b"secret", context=HERE))


def test_equal_values_look_different() -> None:
    ring = _ring(OLD)
    assert ring.encrypt(b"same", context=HERE) != ring.encrypt(b"same", context=HERE)


def test_do_not_open_in_another_row() -> None:
    ring = _ring(OLD)
    text = ring.encrypt(b"secret", context=HERE)
    with pytest.raises(DamagedSecretError):
        ring.decrypt(text, context=variable_context(uuid4(), "password"))


@pytest.mark.parametrize(
    "text", ["", "v1", "v1.x", "v1.x.!", "v2.x.AAAA", "plain text", "v1..AAAA"]
)
def test_refuse_what_is_not_ours(text: str) -> None:
    with pytest.raises(DamagedSecretError):
        _ring(OLD).decrypt(text, context=HERE)


def test_refuse_a_changed_text() -> None:
    ring = _ring(OLD)
    text = ring.encrypt(b"secret", context=HERE)
    last = "A" if text[-5] != "A" else "B"
    with pytest.raises(DamagedSecretError):
        ring.decrypt(text[:-5] + last + text[-4:], context=HERE)


def test_name_the_key_that_is_missing_and_no_value() -> None:
    text = _ring(OLD).encrypt(b"secret", context=HERE)
    with pytest.raises(UnknownEncryptionKeyError) as error:
        _ring(NEW).decrypt(text, context=HERE)
    assert OLD not in str(error.value)


def test_follow_the_key_file_while_running(tmp_path: Path) -> None:
    path = tmp_path / "encryption.key"
    ring = keyring_of_file(path)
    assert path.stat().st_mode & 0o077 == 0
    before = ring.encrypt(b"secret", context=HERE)
    write_keys(path, [NEW, *keys_in(path)])
    assert path.stat().st_mode & 0o077 == 0
    after = keyring_of_file(path).encrypt(b"newer", context=HERE)
    assert ring.decrypt(after, context=HERE) == b"newer"
    assert ring.decrypt(before, context=HERE) == b"secret"
    assert not ring.is_current(before)


def test_take_keys_from_a_setting() -> None:
    ring = keyring_of_text(f"{NEW}, {OLD}")
    assert ring.decrypt(_ring(OLD).encrypt(b"x", context=HERE), context=HERE) == b"x"
    with pytest.raises(ShortKeyError, match=r"MR_PROBER_ENCRYPTION_KEYS.*openssl rand -base64 32"):
        keyring_of_text("password")
    with pytest.raises(NoEncryptionKeyError):
        keyring_of_text(" , ")


def test_say_that_there_is_no_key() -> None:
    with pytest.raises(NoEncryptionKeyError):
        NO_KEYS.encrypt(b"secret", context=HERE)
