"""Are the layers of a prober's settings sound? Pure decisions over plain values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from common.contracts.configuration import DocumentConfig
from common.contracts.modes import mode_problem
from common.contracts.probers import (
    MAX_MATRIX_VARIABLES,
    RESERVED_LABELS,
    EffectiveSettings,
    ProberSettings,
    default_time_limit_seconds,
)
from common.contracts.references import is_one_reference
from common.contracts.resolution import Host, Layer, clashing_keys, matches_any, selects
from common.contracts.values import FieldProblem

HostLabels = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class PlacedConfig:
    """A prober config with the clusters that it names."""

    clusters: Sequence[str]
    config: DocumentConfig


@dataclass(frozen=True)
class KnownCluster:
    """A living cluster and the labels of its hosts, by host name."""

    slug: str
    hosts: HostLabels = field(default_factory=dict)


def settings_problems(settings: ProberSettings, field_name: str) -> list[FieldProblem]:
    """What no agent could run, whatever the other layers say."""
    matrix = settings.matrix or {}
    count = len([axis for axis in matrix.values() if axis])
    return [
        *_values_problems(settings, field_name),
        *_reserved_problems(matrix, field_name),
        *_count_problems(count, f"{field_name}.matrix"),
    ]


def layered_problems(
    defaults: Layer, settings: Layer, field_name: str, *, config: str
) -> list[FieldProblem]:
    """What is wrong with a config on top of its prober's defaults, where each alone may be right."""
    layers = (defaults, settings)
    axes = _merged_axes(layers)
    problems = _count_problems(len(axes), f"{field_name}.matrix")
    interval = _number(_said(layers, "interval_seconds"), EffectiveSettings().interval_seconds)
    limit = _number(_said(layers, "time_limit_seconds"), default_time_limit_seconds(interval))
    if limit > interval and not _said(layers, "allow_overlap"):
        problems.append(
            FieldProblem(
                field=f"{field_name}.time_limit_seconds",
                given=limit,
                expected=f"at most the interval of {interval:g} seconds (config {config}),"
                " or allow_overlap: true",
            )
        )
    return problems


def mode_problems(
    layers: Sequence[Layer], field_name: str, *, command: Sequence[str], config: str = ""
) -> list[FieldProblem]:
    """Whether the command and the output can be run in the mode that the layers come to."""
    mode = str(_said(layers, "mode") or EffectiveSettings().mode)
    output = str(_said(layers, "output") or EffectiveSettings().output)
    problem = mode_problem(mode, command=command, output=output)
    if not problem:
        return []
    where = f" (config {config})" if config else ""
    expected = f"another mode{where}: {problem}"
    return [FieldProblem(field=field_name, given=mode, expected=expected)]


def _said(layers: Iterable[Layer], name: str) -> JsonValue:
    """What the layers come to; None: the built-in default."""
    said: JsonValue = None
    for layer in layers:
        said = layer.get(name, said)
    return said


def _number(said: JsonValue, default: float) -> float:
    return float(said) if isinstance(said, int | float) else default


def _merged_axes(layers: Iterable[Layer]) -> set[str]:
    axes: set[str] = set()
    for layer in layers:
        matrix = layer.get("matrix", {})
        if matrix is None:
            axes.clear()
        if isinstance(matrix, dict):
            axes |= {name for name, axis in matrix.items() if axis is not None}
            axes -= {name for name, axis in matrix.items() if axis is None}
    return axes


def _count_problems(count: int, field_name: str) -> list[FieldProblem]:
    if count <= MAX_MATRIX_VARIABLES:
        return []
    expected = f"at most {MAX_MATRIX_VARIABLES} variables: each is a label of the metrics"
    return [FieldProblem(field=field_name, given=count, expected=expected)]


def _reserved_problems(matrix: Iterable[str], field_name: str) -> list[FieldProblem]:
    return [
        FieldProblem(
            field=f"{field_name}.matrix.{name}",
            given=name,
            expected=f"another name: the label {name} of the metrics is taken",
        )
        for name in matrix
        if name in RESERVED_LABELS
    ]


def _values_problems(settings: ProberSettings, field_name: str) -> list[FieldProblem]:
    """A matrix whose values are a text, but no reference to a list."""
    return [
        FieldProblem(
            field=f"{field_name}.matrix.{name}.values",
            given=axis.values,
            expected="a list, or one reference to a list such as ${cluster.hosts}",
        )
        for name, axis in (settings.matrix or {}).items()
        if axis and isinstance(axis.values, str) and not is_one_reference(axis.values)
    ]


def order_problems(
    new: PlacedConfig, others: Iterable[PlacedConfig], clusters: Sequence[KnownCluster]
) -> list[FieldProblem]:
    """Configs that could set the same key on one host with the same right."""
    problems = []
    for other in others:
        keys = clashing_keys(new.config.settings, other.config.settings)
        if not keys or not _same_level(new.config, other.config):
            continue
        if _may_meet(new, other, clusters):
            problems.append(_order_problem(new.config, other.config, keys))
    return problems


def _order_problem(new: DocumentConfig, other: DocumentConfig, keys: set[str]) -> FieldProblem:
    names = ", ".join(sorted(keys))
    return FieldProblem(
        field="order",
        given=new.order,
        expected=f"another order than that of config {other.slug}:"
        f" {new.slug} and {other.slug} apply to the same place and both set {names}",
    )


def _same_level(one: DocumentConfig, other: DocumentConfig) -> bool:
    return (one.order, one.selects_hosts) == (other.order, other.selects_hosts)


def _may_meet(one: PlacedConfig, other: PlacedConfig, clusters: Sequence[KnownCluster]) -> bool:
    """Judged on equal patterns and on what lives now; `resolve` judges the rest on the spot."""
    shared = [
        cluster
        for cluster in clusters
        if matches_any(cluster.slug, one.clusters) and matches_any(cluster.slug, other.clusters)
    ]
    if not shared and not set(one.clusters) & set(other.clusters):
        return False
    if not one.config.selects_hosts:
        return True
    return _equal_selection(one.config, other.config) or any(
        selects(one.config, Host(name, labels)) and selects(other.config, Host(name, labels))
        for cluster in shared
        for name, labels in cluster.hosts.items()
    )


def _equal_selection(one: DocumentConfig, other: DocumentConfig) -> bool:
    same_hosts = bool(set(one.hosts) & set(other.hosts)) or not (one.hosts or other.hosts)
    return same_hosts and one.host_labels == other.host_labels


def stored_settings(settings: ProberSettings) -> dict[str, JsonValue]:
    """One layer as it is stored: what its author did not say stays unsaid, `null` stays."""
    stored: dict[str, JsonValue] = settings.model_dump(mode="json", exclude_unset=True)
    return stored
