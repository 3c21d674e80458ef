"""What the fault tests share: a forge of hub processes, and the two stores."""

import shutil
from collections.abc import Iterator

import pytest

from tests.faults import crashpoint
from tests.faults.forge import Forge
from tests.faults.forge import forge as running_forge


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """Processes within milliseconds, counted where there is a C compiler."""
    directory = tmp_path_factory.mktemp("forge")
    shim = crashpoint.build(directory) if shutil.which("gcc") else None
    with running_forge(directory, shim=shim) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest) -> str:
    """'' for SQLite, or the URL of a PostgreSQL server with a migrated database named `model`."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
