"""A backup is whole, a restore is equal, and a restored hub sends nothing until somebody says so (R27, F37)."""

import json
import secrets
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import BadInput, Refused
from domain.handling import Mode
from domain.report import Inbound
from hub import anchor, birth, hold, keys
from hub.settings import Settings
from hub.wiring import build
from intake import desk
from intake.spool import Spool
from outbox import onward
from store import journal, streams
from tests.conftest import _psql
from tests.walks.houses import get, house, until
from tocsin import backup as backups
from tocsin import demo, manifest
from tocsin import restore as restores

AT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def _quiet(_name: str) -> None:
    return None


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path):
    """A filled demo hub that is not running: reports, a blob, a frame in the spool, a sealed root."""
    url = ""
    if request.param == "postgres":
        server, name = request.getfixturevalue("postgres_url"), f"b{secrets.token_hex(4)}"
        _psql(server, f"CREATE DATABASE {name}")
        url = f"{server}/{name}"
    made = Settings(data_dir=tmp_path / "data", database_url=url)
    birth.prepare(made, Mode.DEMO, AT)
    hub = build(made)
    demo.seed(hub, demo.load_secrets(made.data_dir), AT)
    hub.blobs.put(b"x" * 300_000)
    hub.spool.put(_inbound("spooled"), desk.mint_names(AT))
    anchor.seal(hub)
    hub.close()
    yield made
    if url:
        _psql(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _inbound(name: str) -> Inbound:
    return Inbound(channel="sms", external_id=name, raw=b"raw", media_type="text/plain", received_at=AT,
                   sender="+8613800138000")  # fmt: skip


def _target(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """An empty place of the same kind."""
    if not settings.database_url:
        return settings.model_copy(update={"data_dir": tmp_path / "again"})
    name = f"r{secrets.token_hex(4)}"
    server = request.getfixturevalue("postgres_url")
    _psql(server, f"CREATE DATABASE {name}")
    return settings.model_copy(update={"data_dir": tmp_path / "again", "database_url": f"{server}/{name}"})


def _backup(settings: Settings, target: Path, passphrase: str = "") -> manifest.Manifest:
    return backups.backup(settings, target, passphrase=passphrase, at=AT, step=_quiet)


def test_what_was_saved_comes_back_equal_and_held(settings, tmp_path, request) -> None:
    made = _backup(settings, tmp_path / "b", "a long passphrase")
    assert made.keys == "sealed"
    assert not list((tmp_path / "b" / "keys").glob("*.key"))
    assert {p.stat().st_mode & 0o077 for p in (tmp_path / "b").rglob("*")} == {0}
    again = _target(settings, tmp_path, request)
    found = restores.restore(again, tmp_path / "b", passphrase="a long passphrase", at=AT, step=_quiet)
    assert found.is_equal, (found.differences, found.findings)
    assert found.entries > 10
    assert hold.reason(again.data_dir)
    assert hold.is_restored(again.data_dir)
    assert len(Spool(again.data_dir / "spool").waiting()) == 1
    assert (
        keys.load(again.data_dir / "keys", may_make=False).field
        == keys.load(settings.data_dir / "keys", may_make=False).field
    )
    names = {str(p.relative_to(again.data_dir)) for p in again.data_dir.rglob("*") if p.is_file()}
    assert {n for n in made.files if n.startswith(("blobs", "public", "spool"))} <= names


def test_a_restored_hub_gives_no_number_of_its_stream_again(settings, tmp_path, request) -> None:
    lies = settings.data_dir / "public" / "public" / "peer" / "7.json"
    lies.parent.mkdir(parents=True)
    lies.write_text("copied after the database was")
    _backup(settings, tmp_path / "b")
    again = _target(settings, tmp_path, request).model_copy(update={"peer_stream": True})
    restores.restore(again, tmp_path / "b", passphrase="", at=AT, step=_quiet)
    hub = build(again)
    assert hub.store.read(streams.given) == 7 + onward.LOST
    assert hub.store.read(streams.open_gaps) == [(1, 7 + onward.LOST)]
    hub.close()


def test_a_file_server_of_another_user_reads_every_restored_page(settings, tmp_path, request) -> None:
    page = settings.data_dir / "public" / "alerts" / "rel_x" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("page")
    _backup(settings, tmp_path / "b")
    again = _target(settings, tmp_path, request)
    restores.restore(again, tmp_path / "b", passphrase="", at=AT, step=_quiet)
    public = again.data_dir / "public"
    assert (public / "alerts" / "rel_x" / "index.html").read_text() == "page"
    for path in (public, *public.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    private = [p for p in again.data_dir.iterdir() if p != public]
    assert all(p.stat().st_mode & 0o077 == 0 for p in private)


def test_a_restored_journal_goes_on_and_is_sealed_and_verified(settings, tmp_path, request) -> None:
    _backup(settings, tmp_path / "b")
    again = _target(settings, tmp_path, request)
    restores.restore(again, tmp_path / "b", passphrase="", at=AT, step=_quiet)
    hub = build(again)
    hub.store.run(lambda unit: journal.append(unit, "auth", "x", "login", by="x", at=AT))
    assert anchor.seal(hub), "the entries written since are sealed, on a cluster that counts anew too"
    hub.store.run(lambda unit: journal.append(unit, "auth", "x", "logout", by="x", at=AT))
    assert anchor.seal(hub)
    hub.close()
    _backup(again, tmp_path / "b2")
    assert restores.verify(again, tmp_path / "b2", passphrase="", at=AT, step=_quiet).is_equal


def test_verify_leaves_nothing_behind_and_changes_nothing(settings, tmp_path) -> None:
    _backup(settings, tmp_path / "b")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "b").rglob("*")}
    found = restores.verify(settings, tmp_path / "b", passphrase="", at=AT, step=_quiet)
    assert found.is_equal
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "b").rglob("*")} == before
    assert not (settings.data_dir / "STOP").exists()


@pytest.fixture
def saved(tmp_path) -> tuple[Settings, Path]:
    """A small hub on SQLite and its backup."""
    made = Settings(data_dir=tmp_path / "data")
    birth.prepare(made, Mode.DEMO, AT)
    _backup(made, tmp_path / "b")
    return made, tmp_path / "b"


def _again(made: Settings, tmp_path: Path) -> Settings:
    return made.model_copy(update={"data_dir": tmp_path / "again"})


@pytest.mark.parametrize("harm, code", [
    (lambda b: (b / "manifest.json").unlink(), "no_backup"),
    (lambda b: (b / "manifest.json").write_text("{"), "no_backup"),
    (lambda b: (b / "manifest.json").write_text('{"format": 99}'), "backup_format"),
    (lambda b: (b / "tocsin.db").write_bytes(b"x"), "backup_changed"),
    (lambda b: (b / "tocsin.db").unlink(), "backup_incomplete"),
    (lambda b: _rename_in_manifest(b, "../../etc/passwd"), "bad_manifest"),
    (lambda b: _rename_in_manifest(b, "/etc/passwd"), "bad_manifest"),
])  # fmt: skip
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(
    saved, tmp_path, harm, code
) -> None:
    made, place = saved
    harm(place)
    with pytest.raises(BadInput) as refused:
        restores.restore(_again(made, tmp_path), place, passphrase="", at=AT, step=_quiet)
    assert refused.value.code == code
    assert not (tmp_path / "again").exists()


def _rename_in_manifest(place: Path, name: str) -> None:
    found = json.loads((place / "manifest.json").read_text())
    found["files"][name] = next(iter(found["files"].values()))
    (place / "manifest.json").write_text(json.dumps(found))


def test_nothing_is_overwritten(saved, tmp_path) -> None:
    made, place = saved
    with pytest.raises(Refused, match="not empty"):
        restores.restore(made, place, passphrase="", at=AT, step=_quiet)
    with pytest.raises(Refused, match="not empty"):
        _backup(made, place)
    with pytest.raises(Refused, match="inside"):
        _backup(made, made.data_dir / "b")


def test_the_wrong_passphrase_and_a_short_one_are_refused_and_leave_nothing(saved, tmp_path) -> None:
    made, _ = saved
    with pytest.raises(Refused, match="at least"):
        _backup(made, tmp_path / "short", "short")
    _backup(made, tmp_path / "sealed", "a long passphrase")
    for wrong in ("", "another passphrase"):
        with pytest.raises(BadInput) as refused:
            restores.restore(
                _again(made, tmp_path), tmp_path / "sealed", passphrase=wrong, at=AT, step=_quiet
            )
        assert refused.value.code == "bad_passphrase"
        assert not (tmp_path / "again").exists()


def test_a_restore_that_differs_says_where(saved, tmp_path) -> None:
    made, place = saved
    found = json.loads((place / "manifest.json").read_text())
    found["census"]["rows"]["journal"] += 1
    found["census"]["journal"]["root_hash"] = "1" * 64
    (place / "manifest.json").write_text(json.dumps(found))
    result = restores.restore(_again(made, tmp_path), place, passphrase="", at=AT, step=_quiet)
    assert not result.is_equal
    assert any("journal" in one for one in result.differences)


def test_a_sqlite_backup_is_not_put_into_postgres(saved, tmp_path) -> None:
    made, place = saved
    other = _again(made, tmp_path).model_copy(update={"database_url": "postgresql://127.0.0.1:1/x"})
    with pytest.raises(Refused) as refused:
        restores.restore(other, place, passphrase="", at=AT, step=_quiet)
    assert refused.value.code == "other_database"


def test_a_copy_taken_while_the_hub_writes_is_of_one_moment(settings, tmp_path, request) -> None:
    hub = build(settings)
    written = [hub.store.submit(lambda u, n=n: journal.append(u, "auth", f"s{n}", "login", by="x", at=AT))
               for n in range(300)]  # fmt: skip
    _backup(settings, tmp_path / "b")
    for one in written:
        one.result()
    hub.close()
    assert restores.verify(settings, tmp_path / "b", passphrase="", at=AT, step=_quiet).is_equal


def test_a_stale_copy_of_a_hub_in_full_flight_sends_nothing_until_it_is_released(tmp_path) -> None:
    with house(tmp_path / "data") as made:
        made.provider.script({"act": "throttle", "retry_after": "1"})
        made.start("all", "up")
        until(lambda: get(f"{made.url}/readyz") is not None, "the hub answers")
        body = next(t for t in made.api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
        release = made.api("POST", "/v1/releases", body, **{"Idempotency-Key": "stale"})["id"]
        digest = made.api("POST", f"/v1/releases/{release}/submit", {})["digest"]
        made.api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, key="approver")
        until(lambda: made.api("GET", f"/v1/releases/{release}/summary")["channels"]["sms"]["states"].get("queued", 0) > 0,
              "parcels wait")  # fmt: skip
        assert _tocsin(made, "backup", str(tmp_path / "b")).returncode == 0
        made.stop()
        made.provider.script()
        sent = len(made.provider.ledger())
        restored = tmp_path / "restored"
        done = _tocsin(made, "restore", str(tmp_path / "b"), "--data", str(restored))
        assert done.returncode == 0, done.stderr
        made.environment["TOCSIN_DATA_DIR"] = str(restored)
        made.start("all", "up")
        until(lambda: "held" in made_ready(made)["troubles"], "the restored hub answers, and is held")
        claimed = _claims(restored)
        until(lambda: _claims(restored) > claimed + 2, "its workers have had their turns")
        assert len(made.provider.ledger()) == sent
        assert _tocsin(made, "release-hold", "--by", "nobody", "--yes").returncode != 0
        assert _tocsin(made, "release-hold", "--by", "auditor", "--yes").returncode != 0
        assert (restored / "STOP").exists()
        assert _tocsin(made, "release-hold", "--by", "officer", "--yes").returncode == 0
        until(lambda: len(made.provider.ledger()) > sent, "what was due leaves now")


def made_ready(made) -> dict:
    return get(f"{made.url}/readyz")


def _claims(data: Path) -> int:
    """How often a worker has taken up a parcel."""
    with sqlite3.connect(data / "tocsin.db", timeout=30) as c:
        return int(c.execute("SELECT sum(fence) FROM parcel").fetchone()[0])


def _tocsin(made, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tocsin", *arguments], cwd=ROOT, env=made.environment,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
