"""A server key is long enough to be one, wherever it comes from."""

from pathlib import Path

import pytest

from common.server_key import NoServerKeyError, ShortServerKeyError, server_key_of_installation


def test_the_setting_wins_over_the_file(tmp_path: Path) -> None:
    key = "k" * 32
    path = tmp_path / "server.key"
    assert server_key_of_installation(key, path, may_make=False) == key.encode()
    assert not path.exists()


def test_a_key_that_is_made_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    made = server_key_of_installation(None, path, may_make=True)
    assert len(made) >= 32
    assert server_key_of_installation(None, path, may_make=True) == made
    with pytest.raises(NoServerKeyError, match="openssl rand"):
        server_key_of_installation(None, path, may_make=False)


def test_a_short_key_is_refused_with_the_name_of_the_setting_and_not_repeated() -> None:
    short = "short-and-secret"
    with pytest.raises(ShortServerKeyError, match="MR_PROBER_SERVER_KEY") as refused:
        server_key_of_installation(short, Path("unused"), may_make=True)
    assert "openssl rand -base64 32" in str(refused.value)
    assert short not in str(refused.value)


def test_a_short_key_in_the_file_is_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    path.write_text("short\n")
    with pytest.raises(ShortServerKeyError, match=r"server\.key has fewer"):
        server_key_of_installation(None, path, may_make=True)
