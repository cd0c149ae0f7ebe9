"""Draws `docs/pictures/*.svg`: what the tools print, by the code that prints it, so that no picture is ever out of date.

To add one: a function that prints to a console in a module beside this one, and a line in SCENES.
"""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from tools.pictures import agent, meeseeks, synchronize

# A page of docs loads nothing from elsewhere: without rich's web font, the reader's own monospaced one.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
WIDTH = 100

# The picture's name, the title of its window, and who prints into it.
SCENES: dict[str, tuple[str, Callable[[Console], None]]] = {
    "synchronize-plan": ("yc-mr-prober-synchronize", synchronize.plan),
    "synchronize-refused": ("yc-mr-prober-synchronize", synchronize.refused),
    "synchronize-apply": ("yc-mr-prober-synchronize apply", synchronize.applied),
    "agent-status": ("yc-mr-prober-agent status", agent.status),
    "agent-logs": ("yc-mr-prober-agent logs", agent.logs),
    "meeseeks-plan": ("yc-mr-prober-meeseeks", meeseeks.plan),
    "meeseeks-refused": ("yc-mr-prober-meeseeks apply", meeseeks.refused),
}


def drawn(name: str) -> str:
    """The SVG of a scene; the same text for the same scene."""
    title, scene = SCENES[name]
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, color_system="truecolor",
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    scene(console)
    return console.export_svg(title=title, unique_id=name, code_format=_FORMAT)


def main() -> int:
    """Draw all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name in SCENES:
        (FOLDER / f"{name}.svg").write_text(drawn(name), encoding="utf-8")
        print(f"drew docs/pictures/{name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
