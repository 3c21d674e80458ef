"""The two kinds of hub that every walk is walked on."""

import secrets
from collections.abc import Iterator

import pytest

from tests.conftest import _psql
from tests.servers import redis
from tests.walks.houses import House, house, ready


@pytest.fixture(params=["embedded", "spread"])
def home(request: pytest.FixtureRequest, tmp_path) -> Iterator[House]:
    """SQLite and everything in one process; or PostgreSQL, Redis, and four processes, two of them workers."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    if request.param == "embedded":
        with house(tmp_path / "data", clock_file=clock) as made:
            made.start("all", "up")
            ready(made)
            yield made
        return
    server = request.getfixturevalue("postgres_url")
    name = f"w{secrets.token_hex(4)}"
    _psql(server, f"CREATE DATABASE {name}")
    (tmp_path / "redis").mkdir()
    places = {"database_url": f"{server}/{name}", "clock_file": clock}
    with (
        redis(tmp_path / "redis") as redis_url,
        house(tmp_path / "data", redis_url=redis_url, **places) as made,
    ):
        made.start("web", "web")
        made.start("smtp", "smtp")
        made.start("worker1", "worker")
        made.start("worker2", "worker")
        ready(made)
        yield made
