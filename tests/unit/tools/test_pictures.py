"""Pictures of terminals in the docs show what the tools print today, and load nothing from elsewhere."""

import re

import pytest

from tools.pictures.main import FOLDER, SCENES, drawn


@pytest.mark.parametrize("name", SCENES)
def test_a_picture_is_what_the_tool_prints(name: str) -> None:
    text = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert text == drawn(name), "draw it anew: make pictures"
    assert set(re.findall(r"https?://[^\"' <]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }


def test_no_picture_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(SCENES)
