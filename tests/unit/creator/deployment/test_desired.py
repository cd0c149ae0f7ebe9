"""What is handed to a recipe, and when that counts as new."""

import pytest
from pydantic import JsonValue

from common.contracts.recipes import HANDED_OVER
from creator.deployment.desired import Engine, Handover, declared_variables, fingerprint, values_for
from creator.situations import described_by

HANDOVER = Handover(cluster="demo", api_url="http://api", agent_token="t", fallback_url="")
ENGINE = Engine(terraform_version="1.11.4", backend={"local": {"path": "/s"}})


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("v.tf", 'variable "hosts" {\n}\nvariable "b" {}', {"hosts", "b"}),
        ("v.tf", '  variable   "indented-name"   {', {"indented-name"}),
        ("v.tf", "variable unquoted {}", {"unquoted"}),
        ("v.tf", '/*\nvariable "in_a_comment" {}\n*/', {"in_a_comment"}),
        ("v.tf", '# variable "in_a_comment" {}', set()),
        ("v.tf", 'x = var.variable\ny = "variable"', set()),
        ("v.tf.json", '{"variable": {"a": {}, "b": {}}}', {"a", "b"}),
        ("v.tf.json", '{"variable": [{"a": {}}, {"b": {}}]}', {"a", "b"}),
        ("v.tf.json", '{"variable": 1, "x": [}', set()),
        ("v.tf.json", '[{"variable": 1}]', set()),
        ("modules/m/v.tf", 'variable "of_a_module" {}', set()),
        ("notes.txt", 'variable "a" {}', set()),
    ],
)
def test_variables_are_found_by_their_lines(path: str, text: str, names: set[str]) -> None:
    assert declared_variables({path: text.encode()}) == names


def test_a_recipe_in_no_encoding_declares_nothing_and_breaks_nothing() -> None:
    assert declared_variables({"v.tf": b"\xff\xfe"}) == frozenset()


def test_only_declared_variables_are_handed_over_and_ours_win() -> None:
    variables: dict[str, JsonValue] = {"hosts": 3, "target": "a", "mr_prober_cluster": "forged"}

    values = values_for(variables, HANDOVER, frozenset({"hosts", "mr_prober_cluster", "missing"}))

    assert values.declared == {"hosts": 3, "mr_prober_cluster": "demo"}
    assert values.undeclared == ("target",)


def test_a_fingerprint_is_the_same_for_the_same_and_another_one_for_anything_else() -> None:
    one = fingerprint("deploy", recipe_hash="r", values={"a": 1, "b": 2}, engine=ENGINE)
    others = [
        fingerprint("destroy", recipe_hash="r", values={"a": 1, "b": 2}, engine=ENGINE),
        fingerprint("deploy", recipe_hash="s", values={"a": 1, "b": 2}, engine=ENGINE),
        fingerprint("deploy", recipe_hash="r", values={"a": 1, "b": 3}, engine=ENGINE),
        fingerprint("deploy", recipe_hash="r", values={"a": 1}, engine=ENGINE),
        fingerprint(
            "deploy",
            recipe_hash="r",
            values={"a": 1, "b": 2},
            engine=Engine("1.12", ENGINE.backend),
        ),
    ]

    assert one == fingerprint("deploy", recipe_hash="r", values={"b": 2, "a": 1}, engine=ENGINE)
    assert len(one) == 64
    assert len({one, *others}) == 6
    assert [described_by(other) == described_by(one) for other in others] == [False] * 4 + [True]


def test_a_fingerprint_shows_no_sensitive_value_and_changes_with_it() -> None:
    def shown(password: str, key: bytes = b"key") -> dict[str, JsonValue]:
        values = values_for(
            {"password": password, "size": 1},
            HANDOVER,
            frozenset({"password", "size"}),
            sensitive={"password"},
        )
        assert password not in repr(values)
        return values.shown(key)

    assert shown("correct-horse")["size"] == 1
    assert "correct-horse" not in str(shown("correct-horse"))
    assert shown("correct-horse") == shown("correct-horse")
    assert shown("correct-horse") != shown("another-horse")
    # Whoever lacks the key cannot try out what it may be.
    assert shown("correct-horse") != shown("correct-horse", b"other key")


def test_our_own_value_wins_over_a_sensitive_variable_of_its_name() -> None:
    name = "mr_prober_cluster"
    values = values_for({name: "x"}, HANDOVER, frozenset({name}), sensitive={name})
    assert values.shown(b"key") == {name: HANDOVER.cluster}


def test_the_api_knows_what_is_handed_over() -> None:
    assert HANDOVER.values().keys() == HANDED_OVER
