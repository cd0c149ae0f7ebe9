"""A prober in its author's folder: what is run of it, and every mistake at once."""

from pathlib import Path

import pytest

from common.contracts.control import MAX_LOCAL_BYTES
from tools.agent.errors import LocalFolderError
from tools.agent.local_folder import local_prober

DESCRIPTION = """
description: Somebody accepts TCP connections.
command: [python3, check.py]
defaults:
  interval_seconds: 5
  variables: {port: 22, retries: 1}
configs:
  everywhere:
    clusters: ["*"]
    settings:
      variables: {retries: 3}
      matrix:
        target: {values: [a, b]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "port-open"
    made.mkdir()
    (made / "prober.yaml").write_text(DESCRIPTION)
    (made / "check.py").write_text("print(1)\n")
    return made


def test_its_only_config_counts(folder: Path) -> None:
    slug, prober = local_prober(folder)
    assert (slug, prober.command) == ("port-open", ["python3", "check.py"])
    assert [file.path for file in prober.files] == ["check.py"]
    assert prober.settings.variables == {"port": 22, "retries": 3}
    assert list(prober.settings.matrix or {}) == ["target"]


def test_of_several_configs_none_counts_unless_it_is_named(folder: Path) -> None:
    with (folder / "prober.yaml").open("a") as file:
        file.write("  slow:\n    clusters: [x]\n    settings: {interval_seconds: 60}\n")
    _, prober = local_prober(folder)
    assert prober.settings.matrix is None
    _, prober = local_prober(folder, config="slow")
    assert prober.settings.interval_seconds == 60


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    (folder / "prober.yaml").write_text("command: 3\nintervall: 2\n")
    (folder / "link").symlink_to("check.py")
    with pytest.raises(LocalFolderError) as caught:
        local_prober(folder, config="fast")
    told = str(caught.value)
    for part in ("command", "intervall", "is a link", "there is no config fast"):
        assert part in told


def test_a_folder_that_is_no_prober_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalFolderError, match="small letters"):
        local_prober(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(LocalFolderError, match=r"prober\.yaml"):
        local_prober(empty)


def test_what_is_too_large_for_the_socket_is_refused_here(folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * (MAX_LOCAL_BYTES + 1))
    with pytest.raises(LocalFolderError, match="more than"):
        local_prober(folder)
