"""The child process that reads recipes: what it finds, and that its failures are ours to bear."""

import json

import pytest

from api.services.declared_variables import declared_variables
from common.contracts.files import FileUpload
from common.contracts.recipes import DeclaredVariable


def found(**files: str | bytes) -> list[DeclaredVariable] | None:
    """By file name, in which `__` stands for a dot."""
    uploads = [
        FileUpload.of(name.replace("__", "."), text.encode() if isinstance(text, str) else text)
        for name, text in files.items()
    ]
    return declared_variables(uploads)


def test_finds_what_is_declared_and_nothing_else() -> None:
    text = """
    # variable "commented" {}
    variable "plain" {}
    variable bare {
      type = object({ # a comment
        name = string
      })
      sensitive = true
    }
    locals {
      text = <<EOT
    variable "in_a_text" {}
    EOT
    }
    variable "full" {
      type     = list(string)
      default  = null
      nullable = false
      validation {
        condition     = length(var.full) > 0
        error_message = "variable"
      }
    }
    """
    by_name = {one.name: one for one in found(main__tf=text) or []}
    assert by_name.keys() == {"plain", "bare", "full"}
    assert by_name["plain"] == DeclaredVariable(name="plain")
    assert by_name["bare"].sensitive
    assert by_name["bare"].type.startswith("object({ # a comment\n")
    assert by_name["bare"].type.endswith("})")
    assert by_name["full"] == DeclaredVariable(
        name="full", type="list(string)", has_default=True, nullable=False
    )


def test_reads_json_overrides_and_values_of_the_recipe_itself() -> None:
    document = {"variable": {"a": {"type": "number"}, "b": [{"nullable": False}], "c": {}}}
    assert found(
        main__tf__json=json.dumps(document),
        a_override__tf='variable "a" {\n  type = string\n}',
        own__auto__tfvars="b = 3",
        more__auto__tfvars__json='{"c": 1}',
    ) == [
        DeclaredVariable(name="a", type="string"),
        DeclaredVariable(name="b", nullable=False, has_default=True),
        DeclaredVariable(name="c", has_default=True),
    ]


def test_modules_in_folders_declare_nothing_for_the_cluster() -> None:
    assert declared_variables([FileUpload.of("inner/main.tf", b'variable "a" {}')]) == []


@pytest.mark.parametrize(
    "text",
    [
        'variable "a" {',
        'variable "a" {\n  nullable = local.x\n}',
        b"variable \xff {}",
        'variable "a" {\n  default = ' + "[" * 20_000 + "]" * 20_000 + "\n}",
        'variable "a" {\n  default = ' + "f(" * 5_000 + ")" * 5_000 + "\n}",
    ],
)
def test_what_it_does_not_understand_is_unknown(text: str | bytes) -> None:
    answer = found(main__tf=text)
    assert answer is None or [one.name for one in answer] == ["a"]


def test_one_that_takes_too_long_is_ended() -> None:
    files = [FileUpload.of("main.tf", b'variable "a" {}')]
    assert declared_variables(files, time_limit_seconds=0.001) is None


def test_more_than_anybody_declares_is_unknown() -> None:
    many = "".join(f'variable "a{number}" {{}}\n' for number in range(3000))
    assert found(main__tf=many) is None
