"""When a resource is held for one that no apply can bring in line."""

from creator.deployment.perpetual import Applied, perpetual_addresses


def _applied(*addresses: str, fingerprint: str = "f") -> Applied:
    return Applied(fingerprint, frozenset(addresses))


def test_three_applies_in_a_row_that_did_not_help_are_enough() -> None:
    applies = [_applied("a", "b"), _applied("a"), _applied("a", "c")]
    assert perpetual_addresses(applies, "f", {"a", "b"}) == {"a"}


def test_two_prove_nothing() -> None:
    assert not perpetual_addresses([_applied("a")] * 2, "f", {"a"})


def test_applies_of_another_description_do_not_count() -> None:
    applies = [_applied("a")] * 2 + [_applied("a", fingerprint="g")] * 5
    assert not perpetual_addresses(applies, "f", {"a"})
    assert not perpetual_addresses([_applied("a")] * 3, "g", {"a"})


def test_an_apply_that_left_it_alone_ends_the_row() -> None:
    applies = [_applied("a"), _applied("b"), _applied("a"), _applied("a")]
    assert not perpetual_addresses(applies, "f", {"a"})
