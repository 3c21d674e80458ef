"""Each thing is broken for real, doctor says so, and the command it names repairs it where it is ours."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from domain.handling import Mode
from domain.ids import mint
from domain.report import Inbound
from hub import birth, hold
from hub.settings import Settings
from hub.wiring import build
from intake import desk
from store import migrate, processes, shelf
from store import tables as t
from store.processes import Process
from tests.conftest import open_store
from tests.servers import free_port, redis
from tocsin import demo, doctor
from tocsin.finding import Level

AT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo hub's data directory to copy from."""
    place = tmp_path_factory.mktemp("model") / "data"
    made = Settings(data_dir=place)
    birth.prepare(made, Mode.DEMO, AT)
    hub = build(made)
    demo.seed(hub, demo.load_secrets(place), AT)
    hub.close()
    return place


@pytest.fixture
def settings(model: Path, tmp_path) -> Settings:
    """A hub of this test's own, not running."""
    shutil.copytree(model, tmp_path / "data")
    return Settings(data_dir=tmp_path / "data")


def _find(settings: Settings, name: str, *, at: datetime = AT):
    (result,) = doctor.examine(settings, at, only=[name])
    return result.finding


def _sql(settings: Settings, work: Callable) -> None:
    hub = build(settings)
    hub.store.run(work)
    hub.close()


def _repair(command: str) -> None:
    """Run what doctor printed, as a person would."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(command, shell=True, cwd=ROOT, env={**os.environ, "PATH": path},
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_check_of_a_fresh_hub_runs_and_none_breaks(settings) -> None:
    results = doctor.examine(settings, AT)
    assert len({r.check.name for r in results}) == len(doctor.CHECKS) == 27
    assert not [r for r in results if "check itself" in r.finding.says]
    assert [r.check.name for r in results if r.finding.level is Level.FAIL] == []
    assert all(bool(r.finding.repair) == (r.finding.level is not Level.OK) for r in results)
    assert all(r.check.zh and r.check.en for r in results)


BROKEN_FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a private directory that others may read": ("directories", lambda d: (d / "blobs").chmod(0o755)),
    "a missing spool": ("directories", lambda d: (d / "spool").rmdir()),
    "a key that others may read": ("keys", lambda d: (d / "keys" / "field.key").chmod(0o644)),
    "a database that others may read": ("guards", lambda d: (d / "tocsin.db").chmod(0o644)),
    "no public directory": ("public", lambda d: shutil.rmtree(d / "public")),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_what_doctor_names_for_a_broken_file_repairs_it(settings, case: str) -> None:
    name, harm = BROKEN_FILES[case]
    harm(settings.data_dir)
    found = _find(settings, name)
    assert found.level is Level.FAIL
    _repair(found.repair)
    assert _find(settings, name).level is not Level.FAIL


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_fix_mends_what_is_safe(settings, case: str) -> None:
    name, harm = BROKEN_FILES[case]
    harm(settings.data_dir)
    (result,) = doctor.examine(settings, AT, only=[name], may_fix=True)
    assert result.finding.level is not Level.FAIL


@pytest.mark.parametrize("harm", [
    lambda d: (d / "keys" / "cursor.key").unlink(),
    lambda d: (d / "keys" / "cursor.key").write_bytes(b"\0" * 32),
    lambda d: (d / "keys" / "cursor.key").write_bytes((d / "keys" / "field.key").read_bytes()),
])  # fmt: skip
def test_a_lost_or_weak_key_is_never_replaced_by_fix(settings, harm) -> None:
    harm(settings.data_dir)
    before = sorted(p.name for p in (settings.data_dir / "keys").iterdir())
    (result,) = doctor.examine(settings, AT, only=["keys"], may_fix=True)
    assert result.finding.level is Level.FAIL
    assert sorted(p.name for p in (settings.data_dir / "keys").iterdir()) == before
    assert _find(settings, "database").level is Level.FAIL


def test_looking_makes_nothing(tmp_path) -> None:
    results = doctor.examine(Settings(data_dir=tmp_path / "none"), AT)
    assert {r.check.name for r in results if r.finding.level is Level.FAIL} >= {
        "directories",
        "keys",
        "database",
    }
    assert not (tmp_path / "none").exists()


def test_an_older_schema_names_migrate_and_migrate_repairs_it(tmp_path, settings) -> None:
    place = settings.data_dir / "tocsin.db"
    for file in settings.data_dir.glob("tocsin.db*"):
        file.unlink()
    migrate.upgrade(f"sqlite:///{place}", to=migrate.steps()[0])
    found = _find(settings, "schema")
    assert found.level is Level.FAIL
    _repair(found.repair)
    assert _find(settings, "schema").level is Level.OK


def test_a_hold_is_shown_with_its_reason_and_its_command_ends_it(settings) -> None:
    hold.put(settings.data_dir, "the provider is being compared")
    found = _find(settings, "hold")
    assert found.level is Level.WARN
    assert "being compared" in found.says
    _repair(found.repair.replace("LOGIN", "officer") + " --yes")
    assert _find(settings, "hold").level is Level.OK


def test_a_backup_is_asked_for_until_there_is_one_and_again_when_it_is_old(settings, tmp_path) -> None:
    found = _find(settings, "backup")
    assert found.level is Level.WARN
    command = found.repair.replace("/var/backups/tocsin", str(tmp_path / "backups"))
    _repair(f"TOCSIN_BACKUP_PASSPHRASE='a long passphrase' {command}")
    now = datetime.now(UTC)
    assert _find(settings, "backup", at=now).level is Level.OK
    assert _find(settings, "backup", at=now + timedelta(hours=30)).level is Level.WARN
    assert _find(settings, "backup", at=now + timedelta(days=8)).level is Level.FAIL


def test_approvers_are_counted_by_person_and_role(settings) -> None:
    assert _find(settings, "approvers").level is Level.WARN
    _sql(
        settings,
        lambda u: u.execute(t.person.update().where(t.person.c.login == "approver").values(is_active=False)),
    )
    found = _find(settings, "approvers")
    assert found.level is Level.FAIL
    _repair(
        "TOCSIN_PASSWORD='long enough to do' " + found.repair.replace("LOGIN", "zhao").replace("NAME", "Zhao")
    )
    assert _find(settings, "approvers").level is Level.WARN


@pytest.mark.parametrize("ends, level", [(timedelta(days=-1), Level.FAIL), (timedelta(days=5), Level.WARN),
                                         (timedelta(days=60), Level.OK)])  # fmt: skip
def test_a_certificate_is_watched(settings, tmp_path, ends, level) -> None:
    path = tmp_path / "smtp.pem"
    path.write_bytes(_certificate(AT + ends))
    assert _find(settings.model_copy(update={"smtp_certificate": path}), "certificate").level is level


def test_an_unreadable_certificate_is_a_failure(settings, tmp_path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    for path in (tmp_path / "x.pem", tmp_path / "missing.pem"):
        assert (
            _find(settings.model_copy(update={"smtp_certificate": path}), "certificate").level is Level.FAIL
        )


@pytest.mark.parametrize(
    "token, level", [("changeme", Level.FAIL), ("short", Level.FAIL), ("a" * 32, Level.OK)]
)
def test_weak_secrets_are_named_and_not_shown(settings, token, level) -> None:
    found = _find(settings.model_copy(update={"metrics_token": SecretStr(token)}), "secrets")
    assert found.level is level
    assert token not in found.says


def test_a_live_hub_needs_a_sender_of_its_own_and_should_have_a_wire(tmp_path) -> None:
    made = Settings(data_dir=tmp_path / "live")
    birth.prepare(made, Mode.LIVE, AT)
    assert _find(made, "sender").level is Level.FAIL
    assert _find(made, "channels").level is Level.WARN
    assert _find(made, "backup").level is Level.FAIL
    mended = made.model_copy(update={"sender_id": "alerts@yj.example.cn", "twilio_account_sid": "AC1"})
    assert _find(mended, "sender").level is Level.OK
    assert _find(mended, "channels").level is Level.FAIL


def test_redis_is_asked_and_its_log_is_checked(settings, tmp_path) -> None:
    gone = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    assert _find(gone, "redis").level is Level.FAIL
    with redis(tmp_path) as url:
        there = settings.model_copy(update={"redis_url": url})
        assert _find(there, "redis").level is Level.OK
        _repair(f"redis-cli -u {url} CONFIG SET appendonly no")
        found = _find(there, "redis")
        assert found.level is Level.WARN
        _repair(found.repair.split(" && ")[0].replace("redis-cli", f"redis-cli -u {url}"))
        assert _find(there, "redis").level is Level.OK


def test_a_silent_process_is_a_failure_and_a_missing_worker_a_warning(settings) -> None:
    assert _find(settings, "processes").level is Level.WARN
    row = Process(id=mint("prc", AT), kind="worker", host="h", pid=1, version="1", started_at=AT, seen_at=AT)
    _sql(settings, lambda u: processes.seen(u, row, AT))
    assert _find(settings, "processes", at=AT + timedelta(seconds=20)).level is Level.OK
    assert _find(settings, "processes", at=AT + timedelta(seconds=60)).level is Level.FAIL
    _sql(settings, lambda u: processes.left(u, row.id, AT))
    assert _find(settings, "processes", at=AT + timedelta(seconds=60)).level is Level.WARN


def test_waiting_rows_frames_and_a_full_shelf_are_seen(settings) -> None:
    later = AT + timedelta(minutes=5)
    assert _find(settings, "inbound", at=later).level is Level.FAIL  # the demo's own, nobody has filed them
    inbound = Inbound(
        channel="sms", external_id="1", raw=b"x", media_type="text/plain", received_at=AT, sender=""
    )
    hub = build(settings)
    hub.spool.put(inbound, desk.mint_names(AT))
    hub.close()
    assert _find(settings, "spool").level is Level.WARN
    for n in range(21):
        _sql(settings, lambda u, n=n: shelf.put(u, "sms", "unreadable", at=AT, origin=str(n)))
    assert _find(settings, "shelf").level is Level.WARN
    assert _find(settings, "journal", at=later).level is Level.WARN  # nothing sealed it


def test_a_due_dispatch_that_nobody_takes_is_a_failure(settings) -> None:
    _sql(settings, lambda u: u.execute(t.dispatch.insert(), {
        "id": "dsp_1", "notice": "ack", "notice_payload": b"x", "channel": "sms", "language": "en",
        "sha256": "0" * 64, "lane": "sms", "state": "ready", "next_due": AT, "expires": AT, "created_at": AT}))  # fmt: skip
    assert _find(settings, "outbox").level is Level.OK
    assert _find(settings, "outbox", at=AT + timedelta(minutes=5)).level is Level.FAIL


def test_a_changed_journal_and_lost_guards_are_found(settings) -> None:
    def harm(unit) -> None:
        unit.connection.exec_driver_sql("DROP TRIGGER journal_no_update")
        unit.connection.exec_driver_sql(
            "UPDATE journal_head SET hash = prev FROM (SELECT hash AS prev FROM journal LIMIT 1)"
        )

    _sql(settings, harm)
    assert _find(settings, "guards").level is Level.FAIL
    assert _find(settings, "journal").level is Level.FAIL


def test_a_row_from_the_future_says_that_the_clock_was_turned_back(settings) -> None:
    assert _find(settings, "clock").level is Level.OK
    assert _find(settings, "clock", at=AT - timedelta(minutes=1)).level is Level.FAIL


@pytest.mark.parametrize(
    "database_url", ["postgres"], indirect=True
)  # SQLite asserts its own at every connection
def test_postgres_without_fsync_or_under_a_superuser_is_named(database_url, settings, at) -> None:
    store = open_store(database_url)
    store.close()
    on_server = settings.model_copy(update={"database_url": database_url})
    found = _find(on_server, "durability")
    assert found.level is Level.FAIL
    assert "ALTER SYSTEM SET" in found.repair
    assert _find(on_server, "guards").level is Level.WARN


def test_a_server_that_does_not_answer_is_one_failure_and_no_traceback(settings) -> None:
    gone = settings.model_copy(update={"database_url": f"postgresql://x:canary@127.0.0.1:{free_port()}/x"})
    results = doctor.examine(gone, AT)
    assert {r.check.name for r in results if r.finding.level is Level.FAIL} >= {
        "database",
        "schema",
        "outbox",
    }
    assert "canary" not in json.dumps([r.to_json() for r in results])


def test_the_command_prints_json_and_exits_with_the_worst(settings) -> None:
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tocsin", "doctor", "--data", str(settings.data_dir), *more]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}
        return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=120)

    assert run("--only", "python").returncode == 0
    assert run("--only", "approvers").returncode == 1
    (settings.data_dir / "keys" / "field.key").chmod(0o644)
    failing = run("--json", "--only", "keys")
    assert failing.returncode == 2
    assert json.loads(failing.stdout)[0]["repair"].startswith("chmod 600")
    assert run("--fix", "--only", "keys").returncode == 0
    assert run("--only", "nonsense").returncode == 2


def _certificate(ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(AT - timedelta(days=90)).not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM)


def test_the_way_through_to_the_public_files_may_be_open_and_nothing_else(settings) -> None:
    settings.data_dir.chmod(0o711)
    assert _find(settings, "directories").level is Level.OK
    for path in settings.data_dir.iterdir():
        assert path.name in ("public", "public-site") or not path.stat().st_mode & 0o077, path
    settings.data_dir.chmod(0o755)
    assert _find(settings, "directories").level is Level.FAIL
