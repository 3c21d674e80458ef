"""A hub spoken to over its socket: what the tests of a hostile API share."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.web.api_world import World, served, world

REPORT = {"text": "东河水位 28.4 m", "place": "东河站", "area": "990101"}
JSON = {"Content-Type": "application/json"}


def spoken_to(made: World, port: int) -> World:
    made.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)  # type: ignore[assignment]
    return made


@pytest.fixture
def hub(quick: World) -> Iterator[World]:
    """A hub on SQLite, spoken to over its socket."""
    with served(quick.hub) as port:
        yield spoken_to(quick, port)
        quick.client.close()


@pytest.fixture(scope="module")
def shared(sqlite_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A hub for all inputs that must leave nothing behind."""
    directory = tmp_path_factory.mktemp("shared") / "data"
    with (
        world(directory, datetime(2026, 11, 23, 6, 5, tzinfo=UTC), model=sqlite_model) as made,
        served(made.hub) as port,
    ):
        yield spoken_to(made, port)
        made.client.close()


@pytest.fixture
def each(hall: World) -> Iterator[World]:
    """A hub on each store, spoken to over its socket."""
    with served(hall.hub) as port:
        yield spoken_to(hall, port)
        hall.client.close()


def port_of(made: World) -> int:
    return int(made.client.base_url.port or 0)


def post_raw(made: World, path: str, body: bytes, **headers: str) -> httpx.Response:
    made.n += 1
    given = {**JSON, "Idempotency-Key": f"r{made.n}", **headers}
    return made.client.post(path, content=body, headers=made.headers("officer", **given))


def pointers(answer: httpx.Response) -> list[str]:
    return [e["pointer"] for e in answer.json().get("errors", ())]
