"""`new prober|cluster|recipe`: files that run as they are; never over others."""

import re
from collections.abc import Mapping
from pathlib import Path

from common.atomic_files import write_atomically
from common.contracts.identifiers import SLUG_PATTERN, is_slug
from tools.synchronize import scaffold_texts as texts
from tools.synchronize.errors import ScaffoldError
from tools.synchronize.files import PROBER_FILE, RECIPE_FILE
from tools.synchronize.schemas import modeline

_BLOCK = re.compile(r'^variable\s+"?([\w-]+)"?\s*\{(.*?)^\}', re.MULTILINE | re.DOTALL)
_DEFAULT = re.compile(r"^\s*default\s*=", re.MULTILINE)
_HANDED_OVER = "mr_prober_"


def new_prober(root: Path, slug: str) -> list[Path]:
    """A prober in Python that opens a connection; gives what was written. ScaffoldError."""
    description = f"{slug}: the target accepts connections"
    metric = slug.replace("-", "_")
    head = modeline("prober", depth=2)
    return _written(
        root / "probers" / _checked(slug),
        {
            PROBER_FILE: texts.PROBER.format(modeline=head, description=f'"{description}"'),
            "probe.py": texts.PROBE.format(description=description, metric=metric),
        },
    )


def new_recipe(root: Path, slug: str) -> list[Path]:
    """A recipe without providers, whose machines are only names; gives what was written. ScaffoldError."""
    head = modeline("recipe", depth=2)
    return _written(
        root / "recipes" / _checked(slug),
        {
            RECIPE_FILE: texts.RECIPE.format(modeline=head, description=f"Machines of {slug}"),
            "main.tf": texts.MAIN_TF,
            "variables.tf": texts.VARIABLES_TF,
            "outputs.tf": texts.OUTPUTS_TF,
        },
    )


def new_cluster(root: Path, environment: str, slug: str, *, recipe: str) -> list[Path]:
    """A cluster of a recipe of the repository, with what the recipe requires; gives what was written. ScaffoldError."""
    folder = root / "recipes" / recipe
    if not is_slug(recipe) or not folder.is_dir():
        raise ScaffoldError(f"there is no recipe {folder}: make one with `new recipe {recipe}`")
    own = root / "environments" / environment
    if not is_slug(environment):
        raise ScaffoldError(f"environment {environment} is no name like local, preprod, prod")
    lines = [f"  {name}: null # required" for name in required_variables(folder)]
    variables = "".join(f"\n{line}" for line in lines) or "{}"
    head = modeline("cluster", depth=3)
    text = texts.CLUSTER.format(modeline=head, recipe=recipe, variables=variables)
    return _written(own / "clusters", {f"{_checked(slug)}.yaml": text})


def required_variables(folder: Path) -> list[str]:
    """Variables without a default that a recipe declares, as far as a look at its text tells."""
    names: list[str] = []
    for path in sorted(folder.glob("*.tf")):
        for name, body in _BLOCK.findall(path.read_text(encoding="utf-8", errors="replace")):
            if not _DEFAULT.search(body) and not name.startswith(_HANDED_OVER):
                names.append(name)
    return names


def _checked(slug: str) -> str:
    if not is_slug(slug):
        raise ScaffoldError(
            f"{slug} is no name: small letters, digits and '-', a letter first, at most 63 ({SLUG_PATTERN})"
        )
    return slug


def _written(folder: Path, files: Mapping[str, str]) -> list[Path]:
    paths = [folder / name for name in files]
    present = [str(path) for path in paths if path.exists()]
    if present:
        raise ScaffoldError(f"{', '.join(present)} is there already: choose another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, files.values(), strict=True):
            write_atomically(path, text.encode(), mode=0o644)
    except OSError as error:
        raise ScaffoldError(f"{error.filename} cannot be written: {error.strerror}") from error
    return paths
