"""`resolve(document, host)`: what runs on one host, each value with its origin. Pure; shared by agent, API and tools.

Layers, low to high: built-in defaults, the prober's defaults, configs that match the whole cluster by ascending
`order`, configs that select the host by ascending `order`. Maps merge by key, lists replace, `null` resets.
A prober that cannot be resolved is in the result with its `problem`: it is broken, the others run.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from typing import Literal
from uuid import UUID

from pydantic import JsonValue, ValidationError

from common.contracts.configuration import ConfigurationDocument, DocumentConfig, DocumentProber
from common.contracts.files import FileReference
from common.contracts.probers import (
    EffectiveSettings,
    ProberSettings,
    default_time_limit_seconds,
)
from common.contracts.references import (
    CLUSTER_VARIABLES,
    SecretInTextError,
    UnknownReferenceError,
    as_text,
    secrets_in,
    substituted,
    substituted_text,
)

MAX_COMBINATIONS = 1000
# As many as one report has room for (StateCharacters in reports.py).
MAX_BATCHED_COMBINATIONS = 100_000
_MAPS = ("variables", "matrix")

Layer = Mapping[str, JsonValue]
Combination = Mapping[str, JsonValue]


@dataclass(frozen=True)
class Host:
    """The host that asks: the agent's own labels win over those of the document."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """Which layer gave a value."""

    layer: Literal["built-in", "prober", "cluster", "host"]
    config: str = ""
    order: int = 0


@dataclass(frozen=True)
class PlannedRun:
    """One program start: for one combination, or for a batch of them."""

    combinations: tuple[int, ...]  # indices into EffectiveProber.combinations
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    targets: tuple[Combination, ...] | None = None  # for MR_PROBER_TARGETS; None = no batch
    # Variables of the environment whose values name secrets: the agent fills them in, here they stay references.
    secret_environment: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class EffectiveProber:
    """A prober as it runs on one host. With a `problem` it has one empty combination and no runs."""

    id: UUID
    slug: str
    revision: int
    files: tuple[FileReference, ...]
    settings: EffectiveSettings
    combinations: tuple[Combination, ...]
    runs: tuple[PlannedRun, ...]
    origins: Mapping[str, Origin]
    problem: str = ""


class UnresolvableError(ValueError):
    """Why one prober cannot run as it is described."""


class MatrixTooLargeError(UnresolvableError):
    """The matrix makes too many combinations; the text names the figures."""


def resolve(document: ConfigurationDocument, host: Host) -> list[EffectiveProber]:
    """What runs on the host, by ascending slug; probers without a matching config and disabled ones are absent."""
    return list(resolved_one_by_one(document, host))


def resolved_one_by_one(document: ConfigurationDocument, host: Host) -> Iterator[EffectiveProber]:
    """The same, for whoever needs no more than one at a time: thousands of them are many megabytes."""
    labels = document_labels(document, host.name) | dict(host.labels)
    for prober in sorted(document.probers, key=lambda prober: prober.slug):
        if resolved := _resolved(document, prober, Host(host.name, labels)):
            yield resolved


def matrix_excess(document: ConfigurationDocument, prober: DocumentProber, host: Host) -> str:
    """Why the prober's matrix is too large on the host, with its figures; empty if it is not, or cannot be known.

    Cheaper than `resolve`: combinations are counted, not made. `host` has all its labels.
    """
    configs = [config for config in prober.configs if selects(config, host)]
    raw, _ = _merged(_layers(prober, configs))
    try:
        settings = _checked(raw)
        if configs and settings.enabled:
            _axes(_Place(document, prober, host, settings, _scope(document, host)))
    except MatrixTooLargeError as problem:
        return str(problem)
    except ValueError:
        pass  # whatever else is wrong with it, `resolve` says on the spot
    return ""


def document_labels(document: ConfigurationDocument, host_name: str) -> dict[str, str]:
    """The labels that the recipe gave to a host."""
    description = document.hosts.get(host_name)
    return dict(description.labels) if description else {}


def matches_any(text: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs (`*`, `?`, `[…]`, case-sensitive) matches the whole text."""
    return any(_pattern(glob).match(text) is not None for glob in globs)


@lru_cache(maxsize=16_384)
def _pattern(glob: str) -> re.Pattern[str]:
    # fnmatch remembers far fewer, and making one takes a hundred times as long as using it.
    return re.compile(translate(glob))


def selects(config: DocumentConfig, host: Host) -> bool:
    """Whether the config applies to the host."""
    return (
        (not config.hosts or matches_any(host.name, config.hosts))
        and not matches_any(host.name, config.except_hosts)
        and all(host.labels.get(name) == value for name, value in config.host_labels.items())
    )


def layered(*layers: ProberSettings) -> ProberSettings:
    """One layer that says what these say together, low to high."""
    raw = [(Origin("prober"), one.model_dump(mode="json", exclude_unset=True)) for one in layers]
    return ProberSettings.model_validate(_merged(raw)[0])


def keys_of(settings: Layer) -> set[str]:
    """The keys that one layer sets: `interval_seconds`, `variables.port`."""
    keys = set()
    for name, value in settings.items():
        if name in _MAPS and isinstance(value, dict):
            keys |= {f"{name}.{key}" for key in value}
        else:
            keys.add(name)
    return keys


def clashing_keys(one: Layer, other: Layer) -> set[str]:
    """The keys that both layers set; a whole map that is reset clashes with each of its keys."""
    mine, theirs = keys_of(one), keys_of(other)
    return (mine & theirs) | _below(mine, theirs) | _below(theirs, mine)


def _below(keys: set[str], maps: set[str]) -> set[str]:
    return {key for key in keys if "." in key and key.partition(".")[0] in maps}


def _resolved(
    document: ConfigurationDocument, prober: DocumentProber, host: Host
) -> EffectiveProber | None:
    configs = [config for config in prober.configs if selects(config, host)]
    if not configs:
        return None
    layers = _layers(prober, configs)
    raw, origins = _merged(layers)
    settings = EffectiveSettings()
    try:
        _refuse_ambiguity(configs)
        settings = _checked(raw)
        if not settings.enabled:
            return None
        files = _files(prober)
        combinations, runs = _runs(document, prober, host, settings=settings)
    except UnresolvableError as problem:
        return EffectiveProber(
            id=prober.id, slug=prober.slug, revision=prober.revision, files=(), settings=settings,
            combinations=({},), runs=(), origins=origins, problem=str(problem),
        )  # fmt: skip
    return EffectiveProber(
        id=prober.id, slug=prober.slug, revision=prober.revision, files=files, settings=settings,
        combinations=combinations, runs=runs, origins=origins,
    )  # fmt: skip


def _files(prober: DocumentProber) -> tuple[FileReference, ...]:
    if prober.revision not in prober.revisions:
        raise UnresolvableError(f"the document lacks the files of revision {prober.revision}")
    return tuple(prober.revisions[prober.revision])


def _layers(prober: DocumentProber, configs: list[DocumentConfig]) -> list[tuple[Origin, Layer]]:
    layers: list[tuple[Origin, Layer]] = [(Origin("prober"), prober.defaults)]
    for config in sorted(configs, key=lambda config: (config.selects_hosts, config.order)):
        layer: Literal["cluster", "host"] = "host" if config.selects_hosts else "cluster"
        layers.append((Origin(layer, config.slug, config.order), config.settings))
    return layers


def _merged(
    layers: Sequence[tuple[Origin, Layer]],
) -> tuple[dict[str, JsonValue], dict[str, Origin]]:
    values: dict[str, JsonValue] = {}
    origins = {name: Origin("built-in") for name in EffectiveSettings.model_fields}
    for origin, layer in layers:
        for name, value in layer.items():
            if name in _MAPS and isinstance(value, dict):
                _merge_map(values, origins, name, value, origin=origin)
                continue
            _forget(values, origins, name)
            if value is not None:
                values[name] = value
                origins[name] = origin
    return values, origins


def _merge_map(
    values: dict[str, JsonValue],
    origins: dict[str, Origin],
    name: str,
    entries: Mapping[str, JsonValue],
    *,
    origin: Origin,
) -> None:
    present = values.get(name)
    merged: dict[str, JsonValue] = dict(present) if isinstance(present, dict) else {}
    for key, value in entries.items():
        merged.pop(key, None)
        origins.pop(f"{name}.{key}", None)
        if value is not None:
            merged[key] = value
            origins[f"{name}.{key}"] = origin
    values[name] = merged


def _forget(values: dict[str, JsonValue], origins: dict[str, Origin], name: str) -> None:
    values.pop(name, None)
    for key in [key for key in origins if key.startswith(f"{name}.")]:
        del origins[key]
    if name in EffectiveSettings.model_fields:
        origins[name] = Origin("built-in")


def _refuse_ambiguity(configs: list[DocumentConfig]) -> None:
    for one, other in itertools.combinations(configs, 2):
        if (one.selects_hosts, one.order) != (other.selects_hosts, other.order):
            continue
        if both := clashing_keys(one.settings, other.settings):
            raise UnresolvableError(
                f"configs {one.slug} and {other.slug} have the same order {one.order}"
                f" and both set {', '.join(sorted(both))}"
            )


def _checked(raw: dict[str, JsonValue]) -> EffectiveSettings:
    try:
        settings = EffectiveSettings.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise UnresolvableError(f"{path}: {first['msg']}, given {first['input']!r}") from error
    if "time_limit_seconds" not in raw:
        limit = default_time_limit_seconds(settings.interval_seconds)
        settings = settings.model_copy(update={"time_limit_seconds": limit})
    return settings


@dataclass(frozen=True)
class _Place:
    """What every run of one prober on one host shares."""

    document: ConfigurationDocument
    prober: DocumentProber
    host: Host
    settings: EffectiveSettings
    scope: Mapping[str, JsonValue]

    @property
    def batch_names(self) -> set[str]:
        matrix = self.settings.matrix
        return {name for name, axis in matrix.items() if axis.deliver == "batch"}


def _runs(
    document: ConfigurationDocument,
    prober: DocumentProber,
    host: Host,
    *,
    settings: EffectiveSettings,
) -> tuple[tuple[Combination, ...], tuple[PlannedRun, ...]]:
    place = _Place(document, prober, host, settings, _scope(document, host))
    try:
        variables = {
            name: substituted(value, place.scope) for name, value in settings.variables.items()
        }
        axes = _axes(place)
        combinations = tuple(
            dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
        )
        groups = _groups(combinations, place.batch_names)
        runs = tuple(_run(place, variables, combinations, group=group) for group in groups)
    except UnresolvableError:
        raise
    except UnknownReferenceError as error:
        raise UnresolvableError(_why_unknown(document, error)) from error
    except ValueError as error:
        raise UnresolvableError(str(error)) from error
    return combinations, runs


def _why_unknown(document: ConfigurationDocument, error: UnknownReferenceError) -> str:
    file = document.variable_files.get(error.name.removeprefix(CLUSTER_VARIABLES))
    if file and error.name.startswith(CLUSTER_VARIABLES):
        return f"the value of ${{{error.name}}} is file {file.sha256}, which cannot be had"
    return str(error)


def _scope(document: ConfigurationDocument, host: Host) -> dict[str, JsonValue]:
    description = document.hosts.get(host.name)
    hosts: list[JsonValue] = [*sorted(document.hosts)]
    scope: dict[str, JsonValue] = {
        "cluster.slug": document.cluster.slug,
        "cluster.hosts": hosts,
        "host.name": host.name,
        "host.address": description.address if description else "",
    }
    scope |= {f"{CLUSTER_VARIABLES}{name}": value for name, value in document.variables.items()}
    scope |= {f"host.labels.{name}": value for name, value in host.labels.items()}
    return scope


def _axes(place: _Place) -> dict[str, list[JsonValue]]:
    axes: dict[str, list[JsonValue]] = {}
    for name, axis in sorted(place.settings.matrix.items()):
        values = substituted(axis.values, place.scope)
        if not isinstance(values, list):
            raise UnresolvableError(f"matrix.{name}.values is not a list but {values!r}")
        if secrets := secrets_in(values):
            raise SecretInTextError(set(secrets))
        others = [value for value in values if not _is_the_host_itself(place, value)]
        axes[name] = _different(others)
    each = {name: len(axes[name]) for name in axes if name not in place.batch_names}
    _refuse_explosion(each, MAX_COMBINATIONS, "runs on one host", ": deliver a variable as a batch")
    every = {name: len(values) for name, values in axes.items()}
    _refuse_explosion(every, MAX_BATCHED_COMBINATIONS, "combinations on one host")
    return axes


def _different(values: list[JsonValue]) -> list[JsonValue]:
    """Two values with one text would be one series: the first stands for both."""
    by_text: dict[str, JsonValue] = {}
    for value in values:
        by_text.setdefault(as_text(value), value)
    return list(by_text.values())


def _is_the_host_itself(place: _Place, value: JsonValue) -> bool:
    return value == place.host.name and value in place.document.hosts


def _refuse_explosion(counts: Mapping[str, int], limit: int, what: str, advice: str = "") -> None:
    product = math.prod(counts.values())
    if product > limit:
        figures = " x ".join(f"{count} {name}" for name, count in counts.items())
        raise MatrixTooLargeError(
            f"the matrix makes {figures} = {product} {what}, more than {limit}{advice}"
        )


def _groups(combinations: tuple[Combination, ...], batch_names: set[str]) -> list[tuple[int, ...]]:
    groups: dict[str, list[int]] = {}
    for index, combination in enumerate(combinations):
        own = {name: value for name, value in combination.items() if name not in batch_names}
        groups.setdefault(as_text(own) if batch_names else str(index), []).append(index)
    return [tuple(group) for group in groups.values()]


def _run(
    place: _Place,
    variables: Mapping[str, JsonValue],
    combinations: tuple[Combination, ...],
    *,
    group: tuple[int, ...],
) -> PlannedRun:
    first = combinations[group[0]]
    own = {name: value for name, value in first.items() if name not in place.batch_names}
    environment = {
        "MR_PROBER_CLUSTER": place.document.cluster.slug,
        "MR_PROBER_HOST": place.host.name,
        "MR_PROBER_PROBER": place.prober.slug,
    }
    secret_environment = {}
    for name, value in {**variables, **own}.items():
        if secrets_in(value):
            secret_environment[f"VAR_{name.upper()}"] = value
        else:
            environment[f"VAR_{name.upper()}"] = as_text(value)
    for name, address in _addresses(place, own).items():
        environment[f"VAR_{name.upper()}"] = address
    scope = {**place.scope, **variables, **own}
    return PlannedRun(
        combinations=group,
        arguments=tuple(substituted_text(argument, scope) for argument in place.prober.command),
        environment=environment,
        targets=_targets(place, combinations, group) if place.batch_names else None,
        secret_environment=secret_environment,
    )


def _targets(
    place: _Place, combinations: tuple[Combination, ...], group: tuple[int, ...]
) -> tuple[Combination, ...]:
    """The combinations of a batch, with the addresses of the hosts among their values."""
    return tuple(
        {**_addresses(place, combinations[index]), **combinations[index]} for index in group
    )


def _addresses(place: _Place, combination: Combination) -> dict[str, str]:
    """`target_address` for each variable `target` whose value is a host of the cluster."""
    hosts = place.document.hosts
    return {
        f"{name}_address": hosts[value].address
        for name, value in combination.items()
        if isinstance(value, str) and value in hosts
    }
