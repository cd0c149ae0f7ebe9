"""Tokens for the Compute Admin API: from the settings, from a file that somebody keeps fresh, else the VM's own."""

from pathlib import Path

import pytest

from common.solomon.tokens import FixedToken, MetadataToken, NoTokenError
from tools.meeseeks.errors import EndpointError
from tools.meeseeks.tokens import FileToken, token_source


def test_what_is_set_comes_before_the_file_and_the_file_before_the_vms_own(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1"
    assert isinstance(token_source("t1", tmp_path / "token", url), FixedToken)
    assert isinstance(token_source("", tmp_path / "token", url), FileToken)
    assert isinstance(token_source("", None, url), MetadataToken)
    with pytest.raises(EndpointError, match="MR_PROBER_METADATA_URL: 'ftp://x' is not"):
        token_source("", None, "ftp://x")


def test_a_file_is_read_for_each_call_and_a_refused_one_once_more(tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = FileToken(file)
    with pytest.raises(NoTokenError, match="cannot be read"):
        tokens.token()
    file.write_text("one\n")
    assert tokens.token() == "one"
    assert not tokens.refused()
    file.write_text("two\n")
    assert tokens.refused()
    assert tokens.token() == "two"
    file.unlink()
    assert not tokens.refused()
