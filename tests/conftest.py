"""Fixtures that every room's tests may use: a migrated store on both databases, people, areas, a clock."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from domain.handling import Mode
from domain.person import Person, Role
from store import areas as area_book
from store import hub as hub_row
from store import migrate
from store import people as people_book
from store.database import Store
from store.vault import Vault
from tests.databases import Databases
from tests.servers import postgres

TESTS = Path(__file__).resolve().parent
HEAD_KEY = b"head-key-of-the-tests"
ORGANISATION = "示例省应急管理厅"
AREAS = [
    {"code": code, "name_zh": zh, "name_en": en, "parent": parent, "lon": lon, "lat": lat}
    for code, zh, en, parent, lon, lat in (
        ("990000", "示例省", "Shili Province", "", 113.0, 30.0),
        ("990100", "甲市", "Jia City", "990000", 113.1, 30.1),
        ("990101", "甲一区", "Jiayi District", "990100", 113.1, 30.2),
        ("990102", "甲二县", "Jia'er County", "990100", 113.2, 30.3),
        ("990200", "乙市", "Yi City", "990000", 114.0, 30.0),
    )
]


@pytest.fixture
def at() -> datetime:
    """The moment at which tests happen."""
    return datetime(2026, 11, 23, 6, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server with a migrated database named `model` to copy from."""
    with postgres() as url:
        _psql(url, "CREATE DATABASE model")
        migrate.upgrade(f"{url}/model")
        yield url


@pytest.fixture(scope="session")
def postgres_databases(postgres_url: str) -> Databases:
    """Copies of the model that tests use one after the other."""
    return Databases(postgres_url)


@pytest.fixture(scope="session")
def sqlite_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy from."""
    path = tmp_path_factory.mktemp("sqlite") / "model.db"
    migrate.upgrade(f"sqlite:///{path}")
    with sa.create_engine(f"sqlite:///{path}").connect() as c:
        c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh migrated database of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "tocsin.db"
        shutil.copy(request.getfixturevalue("sqlite_model"), path)
        yield f"sqlite:///{path}"
        return
    with request.getfixturevalue("postgres_databases").one() as url:
        yield url


def open_store(url: str) -> Store:
    """A store with the keys of the tests."""
    path = sa.make_url(url).database
    lock = Path(f"{path}.lock") if url.startswith("sqlite") else None
    return Store(url, vault=Vault(b"master-key-of-the-tests"), head_key=HEAD_KEY, lock_path=lock)


@pytest.fixture
def store(database_url: str, at: datetime) -> Iterator[Store]:
    """An open store in demo mode."""
    opened = open_store(database_url)
    opened.run(lambda unit: hub_row.init(unit, Mode.DEMO, "test", at))
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(sqlite_model: Path, tmp_path: Path) -> Iterator[Store]:
    """An open store in a SQLite file of its own, for what one kind of database proves."""
    shutil.copy(sqlite_model, tmp_path / "hub.db")
    opened = open_store(f"sqlite:///{tmp_path / 'hub.db'}")
    yield opened
    opened.close()


@pytest.fixture
def people(store: Store, at: datetime) -> dict[str, Person]:
    """Two officers, a leader, two approvers, an admin, an auditor, and an approver who also drafts."""
    roles = {
        "officer": {Role.OFFICER}, "officer2": {Role.OFFICER}, "leader": {Role.LEADER}, "approver": {Role.APPROVER},
        "approver2": {Role.APPROVER}, "both": {Role.OFFICER, Role.APPROVER}, "admin": {Role.ADMIN},
        "auditor": {Role.AUDITOR},
    }  # fmt: skip
    made = {
        login: Person(id=f"per_{login}", name=login, organisation=ORGANISATION, roles=frozenset(held))
        for login, held in roles.items()
    }

    def add(unit):
        for login, person in made.items():
            people_book.add(unit, person, login=login, password_hash="", at=at)

    store.run(add)
    return made


@pytest.fixture
def areas(store: Store) -> list[dict[str, object]]:
    """示例省 and its divisions."""
    store.run(lambda unit: area_book.put(unit, AREAS))
    return AREAS


def _psql(server: str, statement: str) -> None:
    engine = sa.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        c.exec_driver_sql(statement)
    engine.dispose()


# What these rooms do on PostgreSQL is tried by `make faults`; `make test` tries them on SQLite, and the rest on both.
LONG_ON_POSTGRES = frozenset({
    "corpus/test_bulletins", "duty/test_addressbook", "duty/test_briefs", "duty/test_clocks", "duty/test_incidents",
    "duty/test_quarantine", "duty/test_shifts", "faults/test_call_kills", "faults/test_fax_folder_killed",
    "faults/test_thread_limit", "hub/test_calls_in_flight", "hub/test_health", "hub/test_proofs",
    "intake/test_acknowledge", "intake/test_bounces", "intake/test_chat_reports", "intake/test_fax",
    "intake/test_poll", "intake/test_pull", "intake/test_scan", "intake/test_sms_parts", "intake/test_steps",
    "intake/test_thread", "outbox/test_chat_warnings", "outbox/test_public_site", "outbox/test_publish_files",
    "store/test_migrate_filled", "walks/test_approval", "walks/test_peers_walk", "web/test_api_bulletins",
    "web/test_api_follow_ups", "web/test_api_imports", "web/test_api_lists", "web/test_api_uploads",
    "web/test_api_webhooks", "web/test_chat_door", "web/test_console_briefs", "web/test_console_bulletins",
    "web/test_console_clocks", "web/test_console_endings", "web/test_console_findings", "web/test_console_reports",
    "web/test_console_scans", "web/test_console_shift", "web/test_doors_cti", "web/test_doors_voice",
    "web/test_downloads", "web/test_erased", "web/test_field", "web/test_handovers", "web/test_incidents",
    "web/test_trust", "web/test_two_way",
})  # fmt: skip


# The second of two ways through the same screens or walk, which the long run takes too.
LONG_HALVES = {
    "test_whole_job": "[en]",
    "test_call_desk": "[en]",
    "test_demo_call": "[en-",
    "test_endings_walk": "[embedded]",
    "test_console_releases_browser": "[360-dark-zh-CN]",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those halves as part of the long run."""
    for item in items:
        room = item.path.relative_to(TESTS).with_suffix("").as_posix()
        is_long = room in LONG_ON_POSTGRES and "postgres" in item.name
        if is_long or LONG_HALVES.get(item.path.stem, "\n") in item.name:
            item.add_marker(pytest.mark.faults)
