"""The worlds that the tests of doors and /v1 share: on each database, and on SQLite alone where that is enough."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.web.api_world import World, world


@pytest.fixture
def hall(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    """A hub on each kind of database."""
    with world(tmp_path / "data", at, url=database_url) as made:
        yield made


@pytest.fixture
def quick(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    """A hub on SQLite, for what does not depend on the database."""
    with world(tmp_path / "data", at, model=sqlite_model) as made:
        yield made
