"""Cluster files and the values that they share: several files in, one description out, mistakes told where they stand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from common.contracts.clusters import ClusterCreate
from common.contracts.identifiers import ClusterVariableName
from tools.synchronize.config_file import ConfigFile
from tools.synchronize.objects import MANAGER, HandedOver

_BY_NAME = ("variables", "handed_over")
_VARIABLE_NAME: TypeAdapter[str] = TypeAdapter(ClusterVariableName)


@dataclass(frozen=True)
class ReadCluster:
    """A cluster, and the variables of it that are handed over."""

    cluster: ClusterCreate
    handed_over: Mapping[str, HandedOver]


@dataclass
class SharedValues:
    """The files of values/ of the repository and of the environment, each read once."""

    # By name: the repository's first, the environment's over it.
    paths: Mapping[str, Sequence[Path]]
    _read: dict[Path, ConfigFile] = field(default_factory=dict)

    def files(self) -> Iterator[ConfigFile]:
        """All of them, used or not."""
        for paths in self.paths.values():
            for path in paths:
                yield self.file(path)

    def named(self, name: str) -> list[ConfigFile]:
        """The files of this name; none if there is none."""
        return [self.file(path) for path in self.paths.get(name, ())]

    def file(self, path: Path) -> ConfigFile:
        """One of them."""
        if path not in self._read:
            file = self._read[path] = ConfigFile(path)
            if "use" in file.values:
                file.mistake(("use",), "only cluster files use others")
                del file.values["use"]
        return self._read[path]


def read_cluster(
    slug: str, path: Path, shared: SharedValues
) -> tuple[ReadCluster | None, list[ConfigFile]]:
    """The cluster, None after a mistake; and the files in which mistakes may have been found."""
    file = ConfigFile(path)
    layers: list[ConfigFile] = []
    for index, name in enumerate(_used(file)):
        found = shared.named(name) if isinstance(name, str) else []
        if not found:
            file.mistake(("use", index), f"there is no {name}.yaml in values/")
        layers += found
    layers.append(file)
    if not all(one.is_readable for one in layers):
        return None, layers
    merged = _Merged(layers)
    handed_over = merged.handed_over()
    cluster = merged.checked(slug)
    if cluster is None or handed_over is None:
        return None, layers
    for name in sorted(cluster.variables.keys() & handed_over.keys()):
        file.mistake(("handed_over",), f"{name} is among the variables, too")
    return ReadCluster(cluster, handed_over), layers


def _used(file: ConfigFile) -> list[Any]:
    used = file.values.pop("use", None)
    if used is None:
        return []
    if not isinstance(used, list):
        file.mistake(("use",), "expected a list of names")
        return []
    return used


class _Merged:
    """Layers of one description: fields replace, variables by name."""

    def __init__(self, layers: Sequence[ConfigFile]) -> None:
        self._layers = layers
        self._file = layers[-1]
        self.values: dict[str, JsonValue] = {}
        self._of: dict[tuple[str, ...], ConfigFile] = {}
        for layer in layers:
            for name, value in layer.values.items():
                self._add(layer, name, value)

    def handed_over(self) -> dict[str, HandedOver] | None:
        """The variables of other managers; None after a mistake."""
        found: dict[str, HandedOver] = {}
        written = self.values.pop("handed_over", None) or {}
        is_wrong = False
        for manager, variables in written.items() if isinstance(written, dict) else ():
            place = ("handed_over", manager)
            file = self._of.get(place, self._file)
            if not isinstance(variables, dict):
                file.mistake(place, "expected a mapping of variables and their first values")
                is_wrong = True
                continue
            if manager == MANAGER or not 0 < len(manager) <= 100:
                file.mistake(place, f"expected the name of another manager than {MANAGER}")
                is_wrong = True
            for name, value in variables.items():
                try:
                    _VARIABLE_NAME.validate_python(name)
                except ValidationError:
                    file.mistake((*place, name), "is no name of a variable")
                    is_wrong = True
                found[name] = HandedOver(manager, value)
        return None if is_wrong else found

    def checked(self, slug: str) -> ClusterCreate | None:
        """The contract; each mistake is told in the file that the value comes from."""
        given = {"slug": slug, "managed_by": MANAGER}
        return self._file.checked(ClusterCreate, self.values, given=given, owner_of=self._owner_of)

    def _add(self, layer: ConfigFile, name: str, value: JsonValue) -> None:
        present = self.values.get(name)
        if name in _BY_NAME and isinstance(value, dict):
            self.values[name] = {**(present if isinstance(present, dict) else {}), **value}
            for key in value:
                self._of[name, key] = layer
        elif name not in _BY_NAME or value is not None:
            self.values[name] = value
        self._of[name,] = layer

    def _owner_of(self, place: Sequence[str | int]) -> ConfigFile:
        names = tuple(str(part) for part in place[:2])
        return self._of.get(names) or self._of.get(names[:1]) or self._file
