"""What routes ask for: the context, the caller, the page of a listing."""

import hashlib
import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header
from fastapi.params import Path as PathParameter
from fastapi.routing import APIRoute

from api.context import Context, context_of
from api.permissions import AgentOf, Identity
from api.services.errors import ForbiddenError, InvalidError
from api.services.known_clusters import KnownCluster
from api.services.paging import Paging, Sorting
from common.contracts.files import MAX_PATH_BYTES
from common.contracts.identifiers import (
    CLUSTER_VARIABLE_PATTERN,
    HOST_PATTERN,
    SHA256_PATTERN,
    SLUG_PATTERN,
    UUID_PATTERN,
)
from common.contracts.values import FieldProblem


def _identity(request: Request) -> Identity:
    identity: Identity = request.state.identity
    return identity


def paging_by(sorting: Sorting) -> Any:
    """The page of a listing that can be sorted so, as a dependency."""

    def paging(
        request: Request,
        page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
        page_token: Annotated[str, Query(max_length=3000)] = "",
        sort: Annotated[
            str, Query(max_length=100, json_schema_extra={"enum": [*sorting.words]})
        ] = sorting.default,
    ) -> Paging:
        sorting.order(sort)  # what is wrong is said whatever else is
        return Paging(page_size, page_token, sort, _question(request, sort))

    return Depends(paging)


def _question(request: Request, sort: str) -> str:
    """What a listing is asked for, apart from the page: a token with another order or filter would lose rows."""
    filters = [
        one for one in sorted(request.query_params.multi_items()) if one[0] not in _OF_THE_PAGE
    ]
    text = json.dumps([request.url.path, sort, filters])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refuse_unknown_parameters(request: Request) -> None:
    """InvalidError: a filter that is misspelt would otherwise be a list of everything."""
    if not request.query_params:
        return
    known = _parameters_of(request.scope["route"])
    if unknown := request.query_params.keys() - known:
        expected = (
            f"one of {', '.join(known)}" if known else "no parameter: this address takes none"
        )
        raise InvalidError(FieldProblem(field=name, expected=expected) for name in sorted(unknown))


def _parameters_of(route: APIRoute) -> list[str]:
    elsewhere = (PathParameter, Header, Cookie)
    fields = get_flat_params(route.dependant)
    return sorted(one.alias for one in fields if not isinstance(one.field_info, elsewhere))


_OF_THE_PAGE = {"page_size", "page_token", "sort"}
_OF_ANOTHER = "this token belongs to another cluster"


TheContext = Annotated[Context, Depends(context_of)]
Caller = Annotated[Identity, Depends(_identity)]
# What a listing is filtered by.
Word = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
SlugInPath = Annotated[str, Path(pattern=SLUG_PATTERN)]
# Destroyed clusters have only their ids: their slugs may be those of others by now.
SlugOrIdInPath = Annotated[str, Path(pattern=f"{SLUG_PATTERN}|{UUID_PATTERN}")]
VariableInPath = Annotated[str, Path(pattern=CLUSTER_VARIABLE_PATTERN)]
Sha256InPath = Annotated[str, Path(pattern=SHA256_PATTERN)]
HostInPath = Annotated[str, Path(pattern=HOST_PATTERN)]
PathInPath = Annotated[str, Path(max_length=MAX_PATH_BYTES)]
NumberInPath = Annotated[int, Path(ge=1, le=2**31 - 1)]


async def cluster_for(context: Context, slug: str, caller: Identity) -> KnownCluster:
    """The cluster that a caller asks about, as of the last second; NotFoundError, for agents ForbiddenError.

    An agent learns of no other name whether a cluster has it.
    """
    await context.configurations.refresh()
    if isinstance(caller, AgentOf):
        cluster = context.configurations.cluster_with(caller.cluster_id)
        if cluster.slug != slug:
            raise ForbiddenError(_OF_ANOTHER)
    else:
        cluster = context.configurations.cluster(slug)
    require_own_cluster(
        caller,
        cluster.id,
        token_version=cluster.token_version,
        previous_version=cluster.previous_token_version,
    )
    return cluster


def require_own_cluster(
    caller: Identity,
    cluster_id: UUID,
    *,
    token_version: int,
    previous_version: int | None = None,
) -> None:
    """ForbiddenError for an agent of another cluster, or with a token that was rotated away.

    During a rotation the previous version stays valid: agents get the new one only with the next deployment.
    """
    if not isinstance(caller, AgentOf):
        return
    if caller.cluster_id != cluster_id:
        raise ForbiddenError(_OF_ANOTHER)
    if caller.token_version not in {token_version, previous_version}:
        raise ForbiddenError("this token was replaced by a newer one")


def caller_version(caller: Identity) -> int | None:
    """With which version of its token an agent calls."""
    return caller.token_version if isinstance(caller, AgentOf) else None
