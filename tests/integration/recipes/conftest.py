"""What tests of recipes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from database.session import Database
from tests.integration.creator.installation import Installation


@pytest.fixture
def sqlite_installation(sqlite_url: str, tmp_path: Path) -> Iterator[Installation]:
    """A whole Creator on SQLite: what a recipe makes does not depend on the database."""
    opened = Database(sqlite_url)
    yield Installation(opened, tmp_path / "data")
    opened.dispose()
