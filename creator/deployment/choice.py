"""Which clusters a statement is about: all that are there, or some of them. Statements are made once per choice."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam

from common.contracts.clusters import ClusterState
from database.models import Cluster

_IDS: BindParameter[list[UUID]] = bindparam("cluster_ids", expanding=True)
_THERE = Cluster.state != ClusterState.DESTROYED


@dataclass(frozen=True, eq=False)
class Choice:
    """A condition on clusters, the same object whatever its parameters are: it may be the key of a cache."""

    condition: ColumnElement[bool]


_ALL = Choice(_THERE)
_SOME = Choice(and_(_THERE, Cluster.id.in_(_IDS)))


def chosen(only: Collection[UUID] | None) -> tuple[Choice, Mapping[str, Any]]:
    """Every cluster that is not destroyed, or those of them; with the parameters of the choice."""
    return (_ALL, {}) if only is None else (_SOME, {"cluster_ids": list(only)})
