"""What the machine's owner forbids, and mistakes in the file that says so."""

from pathlib import Path

import pytest

from agent.errors import RulesFileError
from agent.rules import Rules, rules_in
from common.contracts.configuration import ConfigurationDocument
from common.contracts.resolution import EffectiveProber, Host, resolve


def prober(command: list[str], **settings: object) -> EffectiveProber:
    content = {
        "format": 1,
        "revision": 1,
        "cluster": {"id": "01890000-0000-7000-8000-000000000001", "slug": "demo"},
        "probers": [
            {
                "id": "01890000-0000-7000-8000-000000000002",
                "slug": "disk-write",
                "command": command,
                "revision": 1,
                "revisions": {"1": []},
                "configs": [{"slug": "all", "settings": settings}],
            }
        ],
    }
    (resolved,) = resolve(ConfigurationDocument.model_validate(content), Host("h1"))
    return resolved


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        (Rules(probers=("disk-*",)), "prober disk-write"),
        (Rules(users=("root",)), "user root"),
        (Rules(commands=("dd",)), "command /bin/dd"),
        (Rules(commands=("/bin/*",)), "command /bin/dd"),
        (Rules(commands=("*of=/dev/*",)), "command /bin/dd"),
    ],
)
def test_names_what_is_forbidden(rules: Rules, what: str) -> None:
    forbidden = prober(["/bin/dd", "of=/dev/sda"], user="root")
    assert rules.problem_of(forbidden) == f"forbidden by the owner of this machine: {what}"


def test_judges_the_user_that_a_prober_would_have() -> None:
    rules = Rules(users=("nobody",), default_user="nobody")
    assert rules.problem_of(prober(["true"])).endswith("user nobody")
    assert rules.problem_of(prober(["true"], user="daemon")) == ""


def test_permits_everything_else() -> None:
    rules = Rules(probers=("dns-*",), users=("root",), commands=("d", "/sbin/*"))
    assert rules.problem_of(prober(["/bin/dd"])) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('probers = ["a"\nusers = 1\n', "line 2"),
        ('probers = []\n\nuser = ["root"]\n', "'user' is not known here, only probers, users"),
        ('probers = []\n\nuser = ["root"]\n', "at line 3"),
        ('commands = "dd"\n', "commands: expected a list of texts (at line 1)"),
        ('# no\n[probers]\nx = "a"\n', "probers: expected a list of texts (at line 2)"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(RulesFileError) as refused:
        rules_in(file, default_user="nobody")
    assert words in str(refused.value)
    assert str(file) in str(refused.value)


def test_reads_what_is_forbidden(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('probers = ["disk-*"]\ncommands = ["dd"]\n')
    expected = Rules(("disk-*",), (), ("dd",), default_user="nobody")
    assert rules_in(file, default_user="nobody") == expected


def test_a_file_that_is_not_there_forbids_the_start(tmp_path: Path) -> None:
    with pytest.raises(RulesFileError, match="cannot be read"):
        rules_in(tmp_path / "none.toml", default_user="")
