"""The corpora of real files, and a hub with its mail door open on each kind of store."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import _psql
from tests.corpora import corpora as real_files
from tests.corpus.mail_hub import MailHub, mail_hub


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the corpora; without it a test is skipped at home and fails on CI."""
    return real_files()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def hub_of_each_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailHub]:
    directory = tmp_path_factory.mktemp("hub") / "data"
    if request.param == "sqlite":
        with mail_hub(directory) as made:
            yield made
        return
    server, name = request.getfixturevalue("postgres_url"), f"c{secrets.token_hex(6)}"
    _psql(server, f"CREATE DATABASE {name}")
    with mail_hub(directory, database_url=f"{server}/{name}") as made:
        yield made


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailHub]:
    """One hub for all tests of a module: reports of one do not disturb another."""
    with mail_hub(tmp_path_factory.mktemp("hub") / "data") as made:
        yield made
