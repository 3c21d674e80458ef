"""What doctor looks at on this machine: program, directories, keys, disk, clock tables, settings, certificate."""

import os
import shlex
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography import x509

from domain.errors import Unavailable
from domain.handling import Mode
from hub import birth, hold, keys
from hub.refusals import weak_secrets
from hub.room import Level, Room
from intake.spool import LIMIT_BYTES
from store import hub as hub_row
from tocsin.finding import Case, Check, Finding, fail, ok, warn
from workers.app import append_only

OLDEST_PYTHON = (3, 11)
CERTIFICATE_ENDS = timedelta(days=21)  # three weeks to get another one


def _python(_: Case) -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return fail(f"Python {found} is too old.", "apt install python3.11 && make clean up")
    return ok(f"Python {found}.")


def _zone(case: Case) -> Finding:
    try:
        ZoneInfo(case.settings.zone)
    except (ZoneInfoNotFoundError, ValueError):
        return fail(f"No time zone data for {case.settings.zone}.", "apt install tzdata")
    return ok(f"Screens and texts use {case.settings.zone}.")


def _private(case: Case) -> list[Path]:
    """Directories that let others in; the way through to public/ may be open, a look around may not."""
    open_to_all = {case.data: 0o066, **{case.data / n: 0o077 for n in birth.DIRECTORIES if n != "public"}}
    return [path for path, bits in open_to_all.items() if path.is_dir() and path.stat().st_mode & bits]


def _directories(case: Case) -> Finding:
    missing = [name for name in birth.DIRECTORIES if not (case.data / name).is_dir()]
    if missing:
        places = " ".join(shlex.quote(str(case.data / name)) for name in missing)
        return fail(f"Missing in the data directory: {', '.join(missing)}.", f"mkdir -m 700 -p {places}")
    exposed = _private(case)
    if exposed:
        places = " ".join(shlex.quote(str(path)) for path in exposed)
        return fail(f"{len(exposed)} private directories are open to other users.", f"chmod 700 {places}")
    if any(not os.access(case.data / name, os.W_OK) for name in birth.DIRECTORIES):
        return fail("A directory cannot be written.", f"chown -R $(id -un) {shlex.quote(str(case.data))}")
    return ok(f"{case.data} is whole and private.")


def _mend_directories(case: Case) -> None:
    for name in birth.DIRECTORIES:
        (case.data / name).mkdir(parents=True, exist_ok=True, mode=0o755 if name == "public" else 0o700)
    for path in _private(case):
        path.chmod(0o700)


def _keys(case: Case) -> Finding:
    try:
        keys.load(case.data / "keys", may_make=False)
    except Unavailable as error:
        place = shlex.quote(str(case.data / "keys"))
        if error.code == "key_exposed":
            return fail(f"{error.detail}.", f"chmod 600 {place}/*.key")
        return fail(
            f"{error.detail}.", "tocsin restore BACKUP --data DIR  # new keys would not open old data"
        )
    return ok("All keys are there, private and distinct.")


def _mend_keys(case: Case) -> None:
    for path in (case.data / "keys").glob("*.key"):
        path.chmod(0o600)


def _disk(case: Case) -> Finding:
    if not case.data.exists():
        return ok(f"{shutil.disk_usage('/').free >> 20} MiB are free.")
    room = Room(case.data)
    name, worst = max(room.places.items(), key=lambda item: (item[1].level, -item[1].free))
    says = f"{worst.free >> 20} MiB of {worst.total >> 20} MiB are free ({name})."
    path = case.data if name in ("data", "log") else case.data / name
    look = f"du -xh {shlex.quote(str(path))} | sort -h | tail -20"
    if worst.level is Level.OUT:
        return fail(f"{says} The doors are closed; recall and all-clear work.", look)
    if worst.level is Level.LOW:
        return warn(says, look)
    if "spool" in room.places and room.places["spool"].free < LIMIT_BYTES:
        return warn(f"{says} The spool alone may take {LIMIT_BYTES >> 20} MiB.", look)
    if not room.has_ballast:
        return warn(f"{says} The ballast is not there yet; a running hub makes it.", case.command("worker"))
    return ok(f"{says} The ballast is there.")


def _redis(case: Case) -> Finding:
    url = case.settings.redis_url
    if not url:
        return ok("No Redis is set: bells ring inside each process, the sweep finds the rest.")
    try:
        is_kept = append_only(url)
    except Exception as error:  # whatever the client raises, it does not answer
        return fail(
            f"Redis does not answer ({type(error).__name__}). Work is found 5 s later.",
            "systemctl restart redis-server",
        )
    if not is_kept:
        return warn(
            "Redis keeps nothing on disk.", "redis-cli CONFIG SET appendonly yes && redis-cli CONFIG REWRITE"
        )
    return ok("Redis answers and writes its log.")


def _certificate(case: Case) -> Finding:
    path = case.settings.smtp_certificate
    if path is None:
        return ok("The SMTP door offers no STARTTLS: no certificate is set.")
    renew = "certbot renew && systemctl restart tocsin-smtp"
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return fail(
            f"{path} cannot be read as a certificate.", "tocsin config show  # TOCSIN_SMTP_CERTIFICATE"
        )
    if ends < case.at:
        return fail(f"The certificate of the SMTP door ended on {ends.date()}.", renew)
    if ends - case.at < CERTIFICATE_ENDS:
        return warn(f"The certificate of the SMTP door ends on {ends.date()}.", renew)
    return ok(f"The certificate of the SMTP door holds until {ends.date()}.")


def _mode(case: Case) -> Mode | None:
    return case.store.read(hub_row.mode) if case.store else None


def _sender(case: Case) -> Finding:
    is_sample = case.settings.sender_id.endswith((".invalid", ".example"))
    if is_sample and _mode(case) is Mode.LIVE:
        return fail(
            "CAP alerts leave under a sample sender.", "export TOCSIN_SENDER_ID=alerts@your-office.gov.cn"
        )
    return ok(f"CAP alerts name {case.settings.sender_id} as their sender.")


def _channels(case: Case) -> Finding:
    settings = case.settings
    is_set = bool(settings.twilio_account_sid)
    if is_set and not settings.twilio_auth_token.get_secret_value():
        return fail("The SMS wire has an account and no token.", "export TOCSIN_TWILIO_AUTH_TOKEN=...")
    if is_set and not settings.twilio_from:
        return fail("The SMS wire has no sender.", "export TOCSIN_TWILIO_FROM=...")
    if settings.email_relay_user and not settings.email_relay_password.get_secret_value():
        return fail("The mail relay has a login and no password.", "export TOCSIN_EMAIL_RELAY_PASSWORD=...")
    wires = {
        "SMS": ("TWILIO_ACCOUNT_SID", is_set),
        "mail": ("EMAIL_RELAY_HOST", bool(settings.email_relay_host)),
    }
    missing = [name for name, (_, is_there) in wires.items() if not is_there]
    if missing and _mode(case) is Mode.LIVE:
        settings_of = " ".join(f"TOCSIN_{wires[name][0]}=..." for name in missing)
        return warn(f"A live hub without a wire for {' and '.join(missing)}.", f"export {settings_of}")
    there = [name for name in wires if name not in missing]
    return ok(f"Credentials are complete for: {', '.join(there) or 'no wire'}; nothing was sent.")


def _name_servers(case: Case) -> Finding:
    found = case.settings.name_servers
    if not found and _mode(case) is Mode.LIVE:
        return warn(
            "No name server is set: nobody looks whether mail is from whom it says.",
            "export TOCSIN_DNS_SERVERS=$(awk '/^nameserver/ {print $2; exit}' /etc/resolv.conf)",
        )
    return ok(f"Name servers that are asked about senders of mail: {len(found)}; nothing was asked.")


def _secrets(case: Case) -> Finding:
    weak = weak_secrets(case.settings)
    if weak:
        return fail(f"Weak or sample: {', '.join(weak)}.", f"export {weak[0]}=$(openssl rand -hex 24)")
    return ok("No secret is a sample or short.")


def _hold(case: Case) -> Finding:
    reason = hold.reason(case.data)
    if reason is None:
        return ok("Nothing is held.")
    says = f"Everything is held: {reason or 'no reason was given'}."
    return warn(says, case.command("release-hold --by LOGIN"))


def _spool(case: Case) -> Finding:
    waiting = list((case.data / "spool").glob("*.frame"))
    torn = list((case.data / "spool" / "unreadable").glob("*"))
    if waiting:
        return warn(
            f"{len(waiting)} messages wait in the spool; a running hub takes them in.", case.command("worker")
        )
    if torn:
        return warn(
            f"{len(torn)} spool frames are torn; the shelf names them.",
            f"ls -l {shlex.quote(str(torn[0].parent))}",
        )
    return ok("The spool is empty.")


def _public(case: Case) -> Finding:
    place = case.data / "public"
    if not place.is_dir() or not os.access(place, os.W_OK):
        return fail("The public directory cannot be written.", f"install -d -m 755 {shlex.quote(str(place))}")
    if not (place / "index.html").exists():
        return warn("There is no public page yet; a worker writes it when it starts.", case.command("worker"))
    return ok("The public pages are there and can be written.")


CHECKS = (
    Check(name="python", zh="Python 版本", en="Python", run=_python),
    Check(name="zone", zh="时区数据", en="time zone data", run=_zone),
    Check(name="directories", zh="数据目录", en="data directory", run=_directories, fix=_mend_directories),
    Check(name="keys", zh="密钥", en="keys", run=_keys, fix=_mend_keys),
    Check(name="disk", zh="磁盘空间", en="disk space", run=_disk),
    Check(name="redis", zh="消息代理", en="broker", run=_redis),
    Check(name="certificate", zh="邮件证书", en="SMTP certificate", run=_certificate),
    Check(name="sender", zh="CAP 发布者", en="CAP sender", run=_sender),
    Check(name="channels", zh="渠道凭据", en="channel credentials", run=_channels),
    Check(name="name_servers", zh="域名服务器", en="name servers", run=_name_servers),
    Check(name="secrets", zh="口令强度", en="secrets", run=_secrets),
    Check(name="hold", zh="停发开关", en="hold", run=_hold),
    Check(name="spool", zh="暂存区", en="spool", run=_spool),
    Check(name="public", zh="公众目录", en="public directory", run=_public, fix=_mend_directories),
)
