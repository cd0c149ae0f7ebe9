"""From a wish to run a prober once to the one run that is made, by the same `resolve` as all others: *decide*. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID, uuid4

from pydantic import JsonValue

from agent.control.messages import RefusedError
from common.contracts.configuration import ConfigurationDocument, DocumentConfig, DocumentProber
from common.contracts.control import LocalProber, RunWanted
from common.contracts.files import path_conflicts
from common.contracts.probers import EffectiveAxis
from common.contracts.references import as_text
from common.contracts.resolution import EffectiveProber, Host, resolve

_SLUG = "run-now"
# Above every config that there can be.
_ORDER = 2_000_000


def trial_prober(
    document: ConfigurationDocument, host: Host, wanted: RunWanted, *, id_: UUID | None = None
) -> EffectiveProber:
    """The prober under an id that no plan has, with the values that are wanted; RefusedError."""
    prober = (
        _local(wanted.prober, wanted.local) if wanted.local else _known(document, wanted.prober)
    )
    plain = _resolved(document, host, prober)
    if (wanted.values or wanted.combination) and not plain.problem:
        layer = _layer(plain, wanted)
        top = DocumentConfig(slug=_SLUG, order=_ORDER, hosts=[host.name], settings=layer)
        changed = prober.model_copy(update={"configs": [*prober.configs, top]})
        plain = _resolved(document, host, changed)
    if plain.problem:
        raise RefusedError(422, plain.problem)
    if not plain.runs:
        raise RefusedError(422, "its matrix has no combination on this host")
    # One run is made; whoever wants another one names its combination.
    return replace(plain, id=id_ or uuid4(), runs=plain.runs[:1])


def _known(document: ConfigurationDocument, slug: str) -> DocumentProber:
    found = next((prober for prober in document.probers if prober.slug == slug), None)
    if found is None:
        raise RefusedError(404, f"the configuration of this cluster has no prober {slug}")
    return found


def _local(slug: str, local: LocalProber) -> DocumentProber:
    if conflicts := path_conflicts(file.path for file in local.files):
        raise RefusedError(422, f"local.files: {conflicts[0]} appears twice, or as file and folder")
    return DocumentProber(
        id=uuid4(),
        slug=slug,
        command=local.command,
        defaults=local.settings.model_dump(mode="json", exclude_none=True),
        revision=1,
        revisions={1: [file.reference() for file in local.files]},
        configs=[DocumentConfig(slug="local")],
    )


def _resolved(
    document: ConfigurationDocument, host: Host, prober: DocumentProber
) -> EffectiveProber:
    resolved = resolve(document.model_copy(update={"probers": [prober]}), host)
    if not resolved:
        raise RefusedError(
            409, f"no config of prober {prober.slug} selects this host, or it is disabled here"
        )
    return resolved[0]


def _layer(plain: EffectiveProber, wanted: RunWanted) -> dict[str, JsonValue]:
    matrix: dict[str, JsonValue] = {}
    variables: dict[str, JsonValue] = {}
    axes = plain.settings.matrix
    for name, value in wanted.combination.items():
        if name not in axes:
            raise RefusedError(422, f"combination.{name}: prober {plain.slug} has no such matrix variable")  # fmt: skip
        matrix[name] = _narrowed(axes[name], _one_of(plain, name, value))
    for name, value in wanted.values.items():
        if name in axes:
            matrix[name] = _narrowed(axes[name], value)
        else:
            variables[name] = value
    return {"matrix": matrix, "variables": variables}


def _narrowed(axis: EffectiveAxis, value: JsonValue) -> dict[str, JsonValue]:
    return {"values": [value], "deliver": axis.deliver}


def _one_of(plain: EffectiveProber, name: str, value: JsonValue) -> JsonValue:
    """The value of the matrix that is meant; people at a shell name 80 by its text."""
    known: Mapping[str, JsonValue] = {as_text(one[name]): one[name] for one in plain.combinations}
    if as_text(value) not in known:
        some = ", ".join(list(known)[:10])
        raise RefusedError(404, f"combination.{name}: {as_text(value)} is none of {some}")
    return known[as_text(value)]
