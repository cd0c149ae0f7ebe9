"""Writes the API into the config repository: only what differs, so that comments, order and shared values stay."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, JsonValue

from common.contracts.clusters import ClusterCreate
from common.contracts.files import FileUpload
from common.contracts.probers import ProberConfigPut, ProberCreate
from common.contracts.recipes import RecipeCreate
from tools.synchronize.errors import ExportError
from tools.synchronize.field_differences import field_changes, same
from tools.synchronize.files import PROBER_FILE, RECIPE_FILE
from tools.synchronize.folders import LEFTOVERS, is_leftover
from tools.synchronize.object_fields import compared_fields
from tools.synchronize.objects import Desired
from tools.synchronize.plan import ABSENT, Value
from tools.synchronize.schemas import modeline
from tools.synchronize.yaml_document import parsed_yaml
from tools.synchronize.yaml_edit import Place, edited_yaml, new_yaml

Described = RecipeCreate | ProberCreate | ProberConfigPut | ClusterCreate


@dataclass
class Export:
    """One export: `present` is what the files say now, `wanted` what they shall say; `written` and `notices` tell what came of it."""

    root: Path
    environment: str
    present: Desired
    wanted: Desired
    prune: bool = False
    written: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Write what differs; ExportError."""
        try:
            for slug, recipe in sorted(self.wanted.recipes.items()):
                self._recipe(slug, recipe)
            for slug, prober in sorted(self.wanted.probers.items()):
                self._prober(slug, prober)
            for slug, cluster in sorted(self.wanted.clusters.items()):
                self._cluster(slug, cluster)
            self._own_folder.mkdir(parents=True, exist_ok=True)
            self._remove_the_rest()
        except OSError as error:
            raise ExportError(f"{error.filename} cannot be written: {error.strerror}") from error

    @property
    def _own_folder(self) -> Path:
        return self.root / "environments" / self.environment

    def _recipe(self, slug: str, recipe: RecipeCreate) -> None:
        folder = self.root / "recipes" / slug
        present = self.present.recipes.get(slug)
        self._files(folder, recipe.files, present.files if present else (), kept=RECIPE_FILE)
        if present:
            edits = list(_edits((), recipe, present))
            if edits:
                self._edit(folder / RECIPE_FILE, "recipe", edits, depth=2)
        elif recipe.description:
            self._write_new(folder / RECIPE_FILE, "recipe", _minimal(recipe), depth=2)

    def _prober(self, slug: str, prober: ProberCreate) -> None:
        folder = self.root / "probers" / slug
        path = folder / PROBER_FILE
        wanted = {name[1]: one for name, one in self.wanted.configs.items() if name[0] == slug}
        present = self.present.probers.get(slug)
        self._files(folder, prober.files, present.files if present else (), kept=PROBER_FILE)
        if present is None:
            values = _minimal(prober)
            if wanted:
                values["configs"] = {name: _minimal(one) for name, one in sorted(wanted.items())}
            self._write_new(path, "prober", values, depth=2)
            return
        edits: dict[Path, list[tuple[Place, Value]]] = {path: list(_edits((), prober, present))}
        own = self._own_folder / "probers" / f"{slug}.yaml"
        for name, config in sorted(wanted.items()):
            place = ("configs", name)
            described = self.present.configs.get((slug, name))
            home = path if name in _configs_in(path) else own
            if described is None:
                edits.setdefault(home, []).append((place, _minimal(config)))
            else:
                edits.setdefault(home, []).extend(_edits(place, config, described))
        self._unwanted_configs(slug, wanted, edits, homes=(path, own))
        for home, found in edits.items():
            if found:
                kind = "prober" if home == path else "environment-prober"
                self._edit(home, kind, found, depth=2 if home == path else 3)

    def _unwanted_configs(
        self,
        slug: str,
        wanted: Mapping[str, ProberConfigPut],
        edits: dict[Path, list[tuple[Place, Value]]],
        *,
        homes: Sequence[Path],
    ) -> None:
        for prober, name in self.present.configs:
            if prober != slug or name in wanted:
                continue
            if not self.prune:
                self._not_there(f"config {slug}/{name}")
                continue
            for home in homes:
                if name in _configs_in(home):
                    edits.setdefault(home, []).append((("configs", name), ABSENT))

    def _cluster(self, slug: str, cluster: ClusterCreate) -> None:
        path = self._own_folder / "clusters" / f"{slug}.yaml"
        present = self.present.clusters.get(slug)
        if present is None:
            self._write_new(path, "cluster", _minimal(cluster), depth=3)
            return
        edits = list(_edits((), cluster, present))
        for name, value in sorted(cluster.variables.items()):
            is_handed_over = (slug, name) in self.present.handed_over
            if not is_handed_over and not (
                name in present.variables and same(present.variables[name], value)
            ):
                edits.append((("variables", name), value))
        gone = sorted(present.variables.keys() - cluster.variables.keys())
        edits += [(("variables", name), ABSENT) for name in gone]
        if edits:
            self._edit(path, "cluster", edits, depth=3)
        still = parsed_yaml(path.read_text(encoding="utf-8")).value
        if gone and isinstance(still, dict) and still.get("use"):
            self.notices.append(
                f"cluster {slug}: the API has no {', '.join(gone)}; look whether a file of values/ gives it"
            )

    def _files(
        self,
        folder: Path,
        wanted: Sequence[FileUpload],
        present: Sequence[FileUpload],
        *,
        kept: str,
    ) -> None:
        """The folder holds these files; what is never uploaded stays."""
        before = {file.path: file for file in present}
        for file in wanted:
            if any(is_leftover(part) for part in Path(file.path).parts):
                raise ExportError(
                    f"{folder / file.path}: a file of this name would not be uploaded again ({', '.join(LEFTOVERS)})"
                )
            if file.path == kept:
                raise ExportError(f"{folder / file.path}: the name is taken by the description")
            if before.get(file.path) != file:
                self._write(folder / file.path, file.content, mode=int(file.mode, 8))
        for path in sorted(before.keys() - {file.path for file in wanted}):
            (folder / path).unlink()
            self.removed.append(folder / path)

    def _remove_the_rest(self) -> None:
        """What the files describe and the API has not."""
        rest: list[tuple[str, Path]] = [
            *((f"recipe {slug}", self.root / "recipes" / slug) for slug in _rest(self.present.recipes, self.wanted.recipes)),
            *((f"prober {slug}", self.root / "probers" / slug) for slug in _rest(self.present.probers, self.wanted.probers)),
            *((f"cluster {slug}", self._own_folder / "clusters" / f"{slug}.yaml") for slug in _rest(self.present.clusters, self.wanted.clusters)),
        ]  # fmt: skip
        for title, path in rest:
            if not self.prune:
                self._not_there(title)
            elif path.is_dir():
                shutil.rmtree(path)
                self.removed.append(path)
                if title.startswith("prober "):
                    (self._own_folder / "probers" / f"{path.name}.yaml").unlink(missing_ok=True)
            else:
                path.unlink()
                self.removed.append(path)

    def _not_there(self, title: str) -> None:
        self.notices.append(f"{title} is not in the API: its files stay, --prune removes them")

    def _edit(
        self, path: Path, kind: str, edits: Sequence[tuple[Place, Value]], *, depth: int
    ) -> None:
        if not path.exists():
            values: dict[str, JsonValue] = {}
            text, _ = edited_yaml("{}\n", edits) if edits else (new_yaml(values), [])
            self._write(path, (modeline(kind, depth=depth) + text).encode(), mode=0o644)
            return
        text, stuck = edited_yaml(path.read_text(encoding="utf-8"), edits)
        for place in stuck:
            self.notices.append(
                f"{path}: {'.'.join(place)} comes from a merge (<<): remove it there"
            )
        self._write(path, text.encode(), mode=path.stat().st_mode & 0o777)

    def _write_new(
        self, path: Path, kind: str, values: Mapping[str, JsonValue], *, depth: int
    ) -> None:
        text = new_yaml(values, head=modeline(kind, depth=depth))
        self._write(path, text.encode(), mode=0o644)

    def _write(self, path: Path, content: bytes, *, mode: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A crash of the machine may lose it, which the next export finds: nobody has to wait for the disk.
        draft = path.with_name(f".{path.name[:200]}.new")
        draft.write_bytes(content)
        draft.chmod(mode)
        draft.replace(path)
        self.written.append(path)


def _edits(place: Place, wanted: Described, present: Described) -> Iterator[tuple[Place, Value]]:
    """Each field that differs, as a whole: what is as it would be anyway is deleted."""
    before, after = compared_fields(wanted, present)
    minimal = _minimal(wanted)
    for name in after:
        if name == "managed_by":
            continue
        if field_changes({name: before.get(name)}, {name: after[name]}):
            yield (*place, name), minimal.get(name, ABSENT)


def _minimal(one: BaseModel) -> dict[str, JsonValue]:
    """What an author would write: nothing that is as it would be anyway."""
    values: dict[str, JsonValue] = one.model_dump(
        mode="json",
        exclude_defaults=True,
        exclude={"slug", "files", "managed_by", "defaults", "settings"},
    )
    for name in ("defaults", "settings"):
        if name in type(one).model_fields:
            layer = getattr(one, name).model_dump(mode="json", exclude_unset=True)
            if layer:
                values[name] = layer
    return values


def _configs_in(path: Path) -> set[str]:
    if not path.exists():
        return set()
    value = parsed_yaml(path.read_text(encoding="utf-8")).value
    configs = value.get("configs") if isinstance(value, dict) else None
    return set(configs) if isinstance(configs, dict) else set()


def _rest(present: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    return sorted(present.keys() - wanted.keys())
