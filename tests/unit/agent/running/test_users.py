"""Whose rights a prober gets."""

import pytest

from agent.running.users import Users

ROOT = Users(default="nobody", allowed=frozenset({"root", "ann"}), own="root", may_change=True)
STRICT = Users(default="nobody", own="root", may_change=True)
UNPRIVILEGED = Users(allowed=frozenset({"ann"}), own="agent")


@pytest.mark.parametrize(
    ("users", "wanted", "chosen"),
    [
        (ROOT, "", "nobody"),
        (ROOT, "nobody", "nobody"),
        (ROOT, "ann", "ann"),
        (ROOT, "root", "root"),
        (UNPRIVILEGED, "", ""),
        (UNPRIVILEGED, "agent", ""),
        (Users(default="root", own="root", may_change=True), "", ""),
    ],
)
def test_the_user_is_the_one_that_is_wanted_or_the_default(
    users: Users, wanted: str, chosen: str
) -> None:
    assert users.chosen(wanted) == chosen


@pytest.mark.parametrize(
    ("users", "wanted", "reason"),
    [
        (STRICT, "root", "does not allow user 'root'"),
        (STRICT, "ann", "does not allow user 'ann'"),
        (UNPRIVILEGED, "root", "does not allow user 'root'"),
        (UNPRIVILEGED, "ann", "only root can start programs as 'ann'"),
    ],
)
def test_who_may_not_be_is_refused_with_the_reason(users: Users, wanted: str, reason: str) -> None:
    with pytest.raises(PermissionError, match=reason):
        users.chosen(wanted)
