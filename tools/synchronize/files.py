"""Reads the config repository: files in, desired state out, or every mistake at once.

recipes/<slug>/                             files of a recipe; recipe.yaml {description} is optional
probers/<slug>/prober.yaml                  a prober and its configs; all other files belong to the prober
values/<name>.yaml                          parts of cluster files, which several of them use
environments/<environment>/clusters/<slug>.yaml
environments/<environment>/values/<name>.yaml     the same for this environment only, over that of all
environments/<environment>/probers/<slug>.yaml    {configs} of a prober for this environment only
schemas/                                    for editors
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from common.contracts.clusters import ClusterCreate
from common.contracts.files import FileUpload
from common.contracts.identifiers import is_slug
from common.contracts.probers import ProberConfigPut, ProberCreate
from common.contracts.recipes import RecipeCreate
from tools.synchronize.cluster_files import SharedValues, read_cluster
from tools.synchronize.config_file import ConfigFile
from tools.synchronize.errors import ConfigMistakesError, Mistake
from tools.synchronize.file_models import ValuesFile
from tools.synchronize.folders import files_below, is_leftover
from tools.synchronize.objects import MANAGER, Desired, HandedOver, Pair

RECIPE_FILE = "recipe.yaml"
PROBER_FILE = "prober.yaml"
_NO_SLUG = "is no name: small letters, digits and '-', a letter first, at most 63"


def read_repository(root: Path, environment: str) -> Desired:
    """The desired state of one environment; ConfigMistakesError holds every mistake that was found."""
    reader = _Reader()
    try:
        desired = reader.read(root, environment)
    except OSError as error:
        unreadable = Mistake(str(error.filename), 0, "", f"cannot be read: {error.strerror}")
        raise ConfigMistakesError([unreadable]) from error
    if reader.mistakes:
        raise ConfigMistakesError(reader.mistakes)
    return desired


def environments_in(root: Path) -> list[str]:
    """The environments that the repository describes; none if it is not there."""
    folder = root / "environments"
    return (
        sorted(entry.name for entry in _entries(folder) if entry.is_dir())
        if folder.is_dir()
        else []
    )


class _Reader:
    """Collects objects and mistakes on the way through the folders."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._recipes: dict[str, RecipeCreate] = {}
        self._probers: dict[str, ProberCreate | None] = {}
        self._configs: dict[Pair, ProberConfigPut] = {}
        self._clusters: dict[str, ClusterCreate] = {}
        self._handed_over: dict[Pair, HandedOver] = {}

    def read(self, root: Path, environment: str) -> Desired:
        """Everything, in the order in which later parts refer to earlier ones."""
        own = root / "environments" / environment
        if not self._is_there(root, own):
            return Desired()
        self._know(own, {"clusters", "probers", "values"})
        self._know(root, {"recipes", "probers", "environments", "values", "schemas"})
        for slug, folder in self._folders(root / "recipes"):
            self._read_recipe(slug, folder)
        for slug, folder in self._folders(root / "probers"):
            self._read_prober(slug, folder)
        for slug, path in self._yaml_files(own / "probers"):
            self._read_configs_of_environment(slug, path)
        shared = self._shared_values(root / "values", own / "values")
        for slug, path in self._yaml_files(own / "clusters"):
            self._read_cluster(slug, path, shared)
        for file in shared.files():
            self._check_values(file)
        probers = {slug: prober for slug, prober in self._probers.items() if prober}
        return Desired(self._recipes, probers, self._configs, self._clusters, self._handed_over)

    def _is_there(self, root: Path, own: Path) -> bool:
        """A missing folder would look like the wish to delete everything."""
        if not own.exists():
            known = ", ".join(environments_in(root))
            others = f"; there is {known}" if known else ""
            if not root.exists():
                self._refuse(
                    root,
                    "is not there: --configs or MR_PROBER_CONFIGS names the config repository, `new recipe NAME` begins one",
                )
            else:
                self._refuse(
                    own,
                    f"is not there: --environment or MR_PROBER_ENVIRONMENT names another one{others}; `new cluster NAME --recipe RECIPE` makes it",
                )
        return not self.mistakes

    def _read_recipe(self, slug: str, folder: Path) -> None:
        files = self._files(folder, RECIPE_FILE)
        if not files:
            self._refuse(folder, "a recipe needs a file")
            return
        file = ConfigFile(folder / RECIPE_FILE, optional=True)
        given = {"slug": slug, "files": files, "managed_by": MANAGER}
        if file.is_readable and (recipe := file.checked(RecipeCreate, file.values, given=given)):
            self._recipes[slug] = recipe
        self.mistakes += file.mistakes

    def _read_prober(self, slug: str, folder: Path) -> None:
        file = ConfigFile(folder / PROBER_FILE)
        configs = file.take_mapping("configs")
        given = {"slug": slug, "files": self._files(folder, PROBER_FILE), "managed_by": MANAGER}
        self._probers[slug] = None  # known, even if it is a mistake
        if file.is_readable:
            self._probers[slug] = file.checked(ProberCreate, file.values, given=given)
        self._read_configs(slug, configs, file)
        self.mistakes += file.mistakes

    def _read_configs_of_environment(self, slug: str, path: Path) -> None:
        file = ConfigFile(path)
        configs = file.take_mapping("configs")
        for name in file.values:
            file.mistake((name,), "unknown field: only configs stand here")
        if slug not in self._probers:
            file.mistake((), f"there is no prober {slug} in probers/")
        self._read_configs(slug, configs, file)
        self.mistakes += file.mistakes

    def _read_configs(self, prober: str, configs: dict[str, JsonValue], file: ConfigFile) -> None:
        for slug, values in configs.items():
            place = ("configs", slug)
            if not is_slug(slug):
                file.mistake(place, _NO_SLUG)
            if (prober, slug) in self._configs:
                file.mistake(place, f"the prober's {PROBER_FILE} has a config of this name, too")
            given = {"managed_by": MANAGER}
            config = file.checked(ProberConfigPut, values, place=place, given=given)
            if config:
                self._configs[prober, slug] = config

    def _shared_values(self, *folders: Path) -> SharedValues:
        paths: dict[str, list[Path]] = {}
        for folder in folders:
            for name, path in self._yaml_files(folder):
                paths.setdefault(name, []).append(path)
        return SharedValues(paths)

    def _read_cluster(self, slug: str, path: Path, shared: SharedValues) -> None:
        read, files = read_cluster(slug, path, shared)
        if read:
            self._clusters[slug] = read.cluster
            self._handed_over |= {(slug, name): one for name, one in read.handed_over.items()}
        for file in files:
            self.mistakes += file.mistakes

    def _check_values(self, file: ConfigFile) -> None:
        """Also of those that no cluster of this environment uses."""
        if file.is_readable:
            file.checked(ValuesFile, file.values, given={})
        self.mistakes += file.mistakes

    def _files(self, folder: Path, description: str) -> list[FileUpload]:
        files, mistakes = files_below(folder, without=description)
        self.mistakes += mistakes
        return files

    def _folders(self, parent: Path) -> Iterator[tuple[str, Path]]:
        """Each folder inside, with the slug that is its name."""
        for entry in _entries(parent) if parent.exists() else ():
            if entry.is_symlink() or not entry.is_dir():
                self._refuse(entry, "a folder is expected here")
            elif not is_slug(entry.name):
                self._refuse(entry, _NO_SLUG)
            else:
                yield entry.name, entry

    def _yaml_files(self, parent: Path) -> Iterator[tuple[str, Path]]:
        """Each `<slug>.yaml` inside."""
        for entry in _entries(parent) if parent.exists() else ():
            if entry.suffix != ".yaml" or entry.is_symlink() or not entry.is_file():
                self._refuse(entry, "a file with a name like demo.yaml is expected here")
            elif not is_slug(entry.stem):
                self._refuse(entry, _NO_SLUG)
            else:
                yield entry.stem, entry

    def _know(self, folder: Path, names: set[str]) -> None:
        """A misspelt folder would otherwise be read as an empty one."""
        for entry in _entries(folder):
            if entry.name not in names:
                self._refuse(entry, f"is not one of {', '.join(sorted(names))}")

    def _refuse(self, path: Path, text: str) -> None:
        self.mistakes.append(Mistake(str(path), 0, "", text))


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, without leftovers and READMEs; OSError."""
    return [
        entry
        for entry in sorted(folder.iterdir())
        if not is_leftover(entry.name) and not entry.name.startswith("README")
    ]
