"""Looking into folders that somebody else empties meanwhile, where `Path.glob` fails."""

import glob
from pathlib import Path


def paths_below(folder: Path, pattern: str) -> list[Path]:
    """All that `pattern` meets below `folder`, hidden ones too; what vanishes on the way is not met."""
    found = glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True)  # noqa: PTH207
    return [folder / path for path in found]
