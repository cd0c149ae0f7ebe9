"""Which names of the API are its own."""

import pytest

from api.hosts import allowed_hosts, name_in


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8080", "localhost"),
        ("[::1]:8080", "::1"),
        ("probers.example", "probers.example"),
        ("", ""),
        ("evil.example/localhost", ""),
        ("localhost#", ""),
        ("localhost?", ""),
        ("a@localhost", ""),
        ("[", ""),
        ("localhost ", "localhost "),
        ("localhost.evil.example", "localhost.evil.example"),
    ],
)
def test_the_name_is_all_but_the_port(header: str, name: str) -> None:
    assert name_in(header) == name


def test_loopback_and_the_own_address_are_always_allowed() -> None:
    names = allowed_hosts("https://Probers.example:8443", "")
    assert names == frozenset({"localhost", "127.0.0.1", "::1", "probers.example"})


def test_more_names_are_separated_by_commas() -> None:
    names = allowed_hosts("http://127.0.0.1:8080", "api, [fd00::1],B.example,,")
    assert names == frozenset({"localhost", "127.0.0.1", "::1", "api", "fd00::1", "b.example"})


def test_a_star_allows_any() -> None:
    assert allowed_hosts("http://127.0.0.1", "a,*") is None
