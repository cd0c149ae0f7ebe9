"""Whose is what: synchronize changes what bears its mark, and adopts what its author names. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tools.synchronize.objects import MANAGER
from tools.synchronize.plan import Kind

_ALL = "all"
# With what a part is adopted together.
_WHOLES = {Kind.CONFIG: Kind.PROBER, Kind.VARIABLE: Kind.CLUSTER}

# What has a manager, in the order in which it is told.
ADOPTABLE = (Kind.RECIPE, Kind.PROBER, Kind.CONFIG, Kind.CLUSTER, Kind.VARIABLE)


def is_pattern(text: str) -> bool:
    """Whether it can name anything: `all`, or a kind (a pattern itself) and a name."""
    kind, sign, name = text.partition("/")
    return text == _ALL or bool(sign and name and any(fnmatchcase(one, kind) for one in ADOPTABLE))


@dataclass(frozen=True)
class Adoption:
    """Which objects without a manager become ours: `all`, `cluster/demo`, `prober/*`, `config/ping/all`."""

    patterns: Collection[str] = ()

    def includes(self, kind: Kind, name: tuple[str, ...]) -> bool:
        """Whether the object, or the one that it is a part of, is named."""
        whole = _WHOLES.get(kind)
        names = ["/".join((kind, *name)), *([f"{whole}/{name[0]}"] if whole else [])]
        return any(
            pattern == _ALL or fnmatchcase(one, pattern)
            for pattern in self.patterns
            for one in names
        )


class Ownership:
    """Decides object by object, and collects what is refused."""

    def __init__(self, adopted: Adoption) -> None:
        self._adopted = adopted
        self.refusals: list[str] = []

    def may_have(self, kind: Kind, name: tuple[str, ...], owner: str) -> bool:
        """Whether the object is ours, or about to be."""
        return owner == MANAGER or (not owner and self._adopted.includes(kind, name))

    def is_ours(self, kind: Kind, name: tuple[str, ...], owner: str) -> bool:
        """The same; a no is a refusal of the plan."""
        if self.may_have(kind, name, owner):
            return True
        title = f"{kind} {'/'.join(name)}"
        if owner:
            self.refusals.append(
                f"{title} exists in the API and belongs to {owner}:"
                " release it there, or rename or remove it here"
            )
        else:
            self.refusals.append(
                f"{title} exists in the API and was made by hand:"
                f" --adopt {kind}/{'/'.join(name)} takes it over, or rename or remove it here"
            )
        return False
