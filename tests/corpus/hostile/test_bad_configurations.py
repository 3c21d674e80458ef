"""H100, R35: a hub starts with no sample, repeated, exposed or clear-text secret, and with no account of ours."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.errors import HubError
from domain.handling import Mode
from hub import birth
from hub.settings import Settings
from hub.wiring import build
from store import people
from store import tables as t
from tests.web.api_world import settings_of, world
from tests.web.console_browser import stranger

ROOT = Path(__file__).parents[3]
LIVE = {"sender_id": "alerts@yj.example.cn", "base_url": "https://desk.example", "secure_cookies": True}
RANDOM = "5a0c2f7d9b1e4c6a8f3d"

SPARE = {"twilio_account_sid": "AC" + "2" * 32, "twilio_auth_token": RANDOM + "1", "twilio_from": "+8610690000000",
         "sms_spare_account_sid": "AC" + "3" * 32, "sms_spare_auth_token": RANDOM + "2",
         "sms_spare_from": "+8610690000001"}  # fmt: skip


def _key(harm: Callable[[Path], Any]) -> Callable[[Path], None]:
    return lambda data: harm(data / "keys") and None


def _mail_key(data: Path) -> None:
    (data / "tls.key").write_text("key")
    (data / "tls.key").chmod(0o644)


FAR = "db.internal"
BAD: dict[str, tuple[str, dict[str, Any], Callable[[Path], Any] | None]] = {
    "a key file that everybody reads": ("key_exposed", {}, _key(lambda k: (k / "field.key").chmod(0o644))),
    "a key file that the group reads": ("key_exposed", {}, _key(lambda k: (k / "cursor.key").chmod(0o640))),
    "an empty key": ("key_weak", {}, _key(lambda k: (k / "field.key").write_bytes(b""))),
    "a sample key": ("key_weak", {}, _key(lambda k: (k / "field.key").write_bytes(b"changeme" * 4))),
    "a key of zeros": ("key_weak", {}, _key(lambda k: (k / "journal-root.key").write_bytes(b"\0" * 32))),
    "a lost key": ("key_missing", {}, _key(lambda k: (k / "journal-head.key").unlink())),
    "one key twice": ("key_repeated", {}, _key(lambda k: shutil.copy(k / "field.key", k / "cursor.key"))),
    "an open directory of keys": ("keys_exposed", {}, _key(lambda k: k.chmod(0o755))),
    "a sample token": ("secret_sample", {"twilio_auth_token": "changeme"}, None),
    "a long sample token": ("secret_sample", {"twilio_auth_token": "Your-Secret-Here"}, None),
    "a short token": ("secret_short", {"metrics_token": "hunter2"}, None),
    "one secret twice": ("secret_repeated", {"metrics_token": RANDOM, "twilio_auth_token": RANDOM}, None),
    "admin/admin": ("password_sample", {"redis_url": "redis://admin:admin@127.0.0.1:1/0"}, None),
    "a database password that is its login": (
        "password_sample", {"redis_url": f"rediss://tocsin:tocsin@{FAR}/0"}, None),
    "clear text to a database elsewhere": (
        "database_cleartext", {"database_url": f"postgresql+psycopg://tocsin:{RANDOM}@{FAR}/tocsin"}, None),
    "clear text if the database wishes": (
        "database_cleartext", {"database_url": f"postgresql+psycopg://t:{RANDOM}@{FAR}/t?sslmode=prefer"}, None),
    "clear text to Redis elsewhere": ("redis_cleartext", {"redis_url": f"redis://:{RANDOM}@{FAR}:6379/0"}, None),
    "Redis elsewhere without a password": ("redis_open", {"redis_url": f"rediss://{FAR}:6379/0"}, None),
    "DEBUG": ("debug", {"debug": True}, None),
    "the desk on 0.0.0.0": ("desk_everywhere", {"host": "0.0.0.0"}, None),
    "the desk on ::": ("desk_everywhere", {"host": "::"}, None),
    "any host": ("host_wildcard", {"allowed_hosts": "desk.example,*"}, None),
    "any proxy": ("proxy_unknown", {"trusted_proxies": "10.0.0.0/8"}, None),
    "a certificate without its key": ("certificate_half", {"smtp_certificate": Path("tls.pem")}, None),
    "a certificate's key that everybody reads": (
        "certificate_exposed", {"smtp_certificate": Path("tls.pem"), "smtp_key": Path("tls.key")}, _mail_key),
    "a live hub under a sample sender": ("sender_sample", {"sender_id": "tocsin@example.invalid"}, None),
    "a live desk over http": ("desk_cleartext", {"base_url": "http://desk.example"}, None),
    "cookies that leave in the clear": ("cookies_insecure", {"secure_cookies": False}, None),
    "a provider over http": (
        "provider_cleartext", {"twilio_base_url": "http://api.example", "twilio_auth_token": RANDOM + "1"}, None),
    "a spare provider over http": (
        "provider_cleartext", {**SPARE, "sms_spare_base_url": "http://api.example"}, None),
    "a spare provider's short token": ("secret_short", {**SPARE, "sms_spare_auth_token": "abc"}, None),
    "a spare provider without a sender": ("spare", {**SPARE, "sms_spare_from": ""}, None),
    "a spare that is the provider itself": (
        "spare", {**SPARE, "sms_spare_account_sid": "AC" + "2" * 32}, None),
    "a mail password in the clear": (
        "mail_login", {"email_relay_host": "smtp.example", "email_relay_user": "hub", "email_domain": "a.example"}, None),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a live hub that starts."""
    data = tmp_path_factory.mktemp("sound") / "data"
    birth.prepare(settings_of(data, **LIVE), Mode.LIVE, datetime.now(UTC))
    build(settings_of(data, **LIVE)).close()
    return data


@pytest.mark.parametrize("name", list(BAD))
def test_h100_r35_a_bad_configuration_refuses_the_start_by_name(
    sound: Path, tmp_path: Path, name: str
) -> None:
    code, changes, harm = BAD[name]
    data = shutil.copytree(sound, tmp_path / "data")
    if harm:
        harm(data)
    changes = {n: data / v if isinstance(v, Path) else v for n, v in changes.items()}
    with pytest.raises(HubError) as refused:
        build(settings_of(data, **{**LIVE, **changes})).close()
    assert refused.value.code == code
    for secret in (RANDOM, "hunter2"):
        assert secret not in refused.value.detail


def test_h100_r35_there_are_more_than_twenty_of_them_each_with_a_name() -> None:
    assert len(BAD) >= 20 and len({code for code, _, _ in BAD.values()}) >= 20


def test_h100_two_hubs_with_one_set_of_keys_do_not_both_start(tmp_path: Path, at: datetime) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    birth.prepare(settings_of(one), Mode.DEMO, at)
    two.mkdir(mode=0o700)
    shutil.copytree(one / "keys", two / "keys")
    with pytest.raises(HubError) as refused:
        birth.prepare(settings_of(two), Mode.DEMO, at)
    assert refused.value.code == "keys_of_another_hub"
    birth.prepare(settings_of(tmp_path / "three"), Mode.DEMO, at)
    shutil.rmtree(tmp_path / "three" / "keys")
    shutil.copytree(one / "keys", tmp_path / "three" / "keys")
    with pytest.raises(HubError):
        build(settings_of(tmp_path / "three"))
    build(settings_of(one)).close()


def test_h100_the_command_says_it_in_one_line_and_ends(tmp_path: Path) -> None:
    birth.prepare(Settings(data_dir=tmp_path), Mode.DEMO, datetime.now(UTC))
    env = {n: v for n, v in os.environ.items() if not n.startswith("TOCSIN_")}
    env |= {"TOCSIN_DEBUG": "1", "TOCSIN_HOST": "0.0.0.0", "TOCSIN_METRICS_TOKEN": "hunter2"}
    for command in ("web", "worker", "smtp"):
        done = subprocess.run([sys.executable, "-m", "tocsin", command, "--data", str(tmp_path)], cwd=ROOT, env=env,
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
        assert all(code in done.stderr for code in ("debug", "desk_everywhere", "secret_short"))
        assert "hunter2" not in done.stderr


def test_r35_a_fresh_hub_has_no_account_no_key_and_no_word_that_opens_it(
    tmp_path: Path, at: datetime
) -> None:
    birth.prepare(settings_of(tmp_path / "live", **LIVE), Mode.LIVE, at)
    hub = build(settings_of(tmp_path / "live", **LIVE))
    try:
        for table in (t.person, t.api_key, t.session, t.login_link):
            assert hub.store.read(lambda unit, table=table: unit.rows(table.select())) == []
    finally:
        hub.close()
    with world(tmp_path / "demo", at) as made:
        made.hub.store.run(lambda unit: people.set_active(unit, "officer", is_active=True))
        for login in ("admin", "officer", "approver", "root", ""):
            for word in ("", "admin", "password", "changeme", login):
                answer = stranger(made).post("/login", {"login": login, "password": word})
                assert answer.status_code in (401, 429), (login, word)
