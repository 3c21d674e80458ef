"""Configurations that no hub starts with: what is a sample, said twice, said in the clear, or open to everybody."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from domain.errors import Refused
from domain.handling import Mode
from hub.settings import Settings

SAMPLES = (
    "tocsin@example.invalid",
    "changeme",
    "change-me",
    "secret",
    "password",
    "example",
    "test",
    "admin",
    "changemechangeme",
    "your-secret-here",
    "insert-your-token",
)
SHORTEST_SECRET = 16  # letters of a token somebody chose: 16 random ones are 80 bits and more
_SURE_TLS = {"require", "verify-ca", "verify-full"}  # libpq: all others go on in the clear
_EVERYWHERE = {"0.0.0.0", "::", "[::]", "*", ""}  # noqa: S104 (what is refused)


def must_be_sound(settings: Settings, mode: Mode | None = None) -> None:
    """Raises Refused: its code is that of the first fault, its detail names them all.

    Without a mode, what any hub may not have: asked before the database is, which could be in the clear.
    """
    found = list(faults(settings, mode))
    if found:
        raise Refused("; ".join(f"{says} ({code})" for code, says in found), code=found[0][0])


def faults(settings: Settings, mode: Mode | None) -> Iterator[tuple[str, str]]:
    """(code, sentence) of everything that is wrong; a sentence never repeats a secret."""
    yield from _secrets(settings)
    yield from _lines(settings)
    yield from _desk(settings, mode)
    yield from _files(settings)


def is_this_machine(host: str) -> bool:
    """Whether what is said to `host` stays on this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def weak_secrets(settings: Settings) -> list[str]:
    """The names of secrets that are samples or too short to be random."""
    given = _given(settings)
    return [n for n, text in given.items() if len(text) < SHORTEST_SECRET or text.lower() in SAMPLES]


def _given(settings: Settings) -> dict[str, str]:
    secrets = {
        "TOCSIN_TWILIO_AUTH_TOKEN": settings.twilio_auth_token,
        "TOCSIN_SMS_SPARE_AUTH_TOKEN": settings.sms_spare_auth_token,
        "TOCSIN_TELEGRAM_TOKEN": settings.telegram_token,
        "TOCSIN_TELEGRAM_WEBHOOK_SECRET": settings.telegram_webhook_secret,
        "TOCSIN_METRICS_TOKEN": settings.metrics_token,
        "TOCSIN_EMAIL_RELAY_PASSWORD": settings.email_relay_password,
    }
    return {name: text for name, secret in secrets.items() if (text := secret.get_secret_value())}


def _secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    given = _given(settings)
    for name in weak_secrets(settings):
        is_sample = given[name].lower() in SAMPLES
        yield ("secret_sample", f"{name} is a sample") if is_sample else ("secret_short", f"{name} is short")
    if len(set(given.values())) < len(given):
        yield "secret_repeated", "two secrets are the same"
    for name, url in (
        ("TOCSIN_DATABASE_URL", settings.database_url),
        ("TOCSIN_REDIS_URL", settings.redis_url),
    ):
        parts = urlsplit(url)
        password = unquote(parts.password or "").lower()
        if password and (password in SAMPLES or password in (parts.username or "").lower()):
            yield "password_sample", f"the password in {name} is a sample, or its own login"


def _lines(settings: Settings) -> Iterator[tuple[str, str]]:
    """What would be said in the clear where others can listen."""
    database = urlsplit(settings.database_url)
    if _leaves(settings.database_url):
        modes = parse_qs(database.query).get("sslmode", [""])
        if modes[-1] not in _SURE_TLS:
            yield "database_cleartext", "the database is on another machine: add ?sslmode=verify-full"
    if _leaves(settings.redis_url):
        if not settings.redis_url.startswith("rediss://"):
            yield "redis_cleartext", "Redis is on another machine: use rediss://"
        if not urlsplit(settings.redis_url).password:
            yield "redis_open", "Redis is on another machine and asks for no password"
    providers = ((settings.twilio_account_sid, settings.twilio_base_url),
                 (settings.sms_spare_account_sid, settings.sms_spare_base_url))  # fmt: skip
    if any(account and _leaves(url) and not url.startswith("https://") for account, url in providers):
        yield "provider_cleartext", "an SMS provider is on another machine: use https://"


def _leaves(url: str) -> bool:
    """Whether `url` names another machine; a socket in the file system has no host."""
    host = urlsplit(url).hostname
    return bool(host) and not is_this_machine(host or "")


def _desk(settings: Settings, mode: Mode | None) -> Iterator[tuple[str, str]]:
    if settings.debug:
        yield "debug", "TOCSIN_DEBUG is set: what a debugger shows is not for strangers"
    if settings.host.strip() in _EVERYWHERE:
        yield "desk_everywhere", "the desk would listen on every address: name one, and put a proxy before it"
    if any("*" in name for name in settings.allowed_hosts.split(",")):
        yield "host_wildcard", "TOCSIN_ALLOWED_HOSTS names hosts one by one"
    if any(sign in settings.trusted_proxies for sign in ("*", "/")):  # everybody could say who he is
        yield "proxy_unknown", "TOCSIN_TRUSTED_PROXIES names addresses one by one"
    yield from _host_of_files(settings)
    if mode is None or not mode.may_reach_the_world:
        return
    if settings.sender_id.lower() in SAMPLES:
        yield "sender_sample", "a live hub sends under the sample of TOCSIN_SENDER_ID"
    if _leaves(settings.site) and not settings.site.startswith("https://"):
        yield "desk_cleartext", "officers would log in over http: set TOCSIN_BASE_URL to https://"
    if settings.site.startswith("https://") and not settings.secure_cookies:
        yield "cookies_insecure", "behind https, set TOCSIN_SECURE_COOKIES=true"


def _host_of_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """A cookie is sent to every port of a host: only another name keeps files and sessions apart (RFC 6265 §8.5)."""
    if not settings.files_url:
        return
    parts = urlsplit(settings.files_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        yield "files_url", "TOCSIN_FILES_URL is a scheme and a host, e.g. https://files.yj.example.cn"
        return
    urls = (settings.site, settings.public_site, settings.twilio_webhook_url, settings.twilio_status_url,
            settings.twilio_voice_url)  # fmt: skip
    others = {(urlsplit(url).hostname or "").lower() for url in urls}
    others |= {name.strip().lower() for name in settings.allowed_hosts.split(",")}
    if parts.hostname.lower() in others:
        yield "files_host", "TOCSIN_FILES_URL needs a host name that nothing else of the hub has"
    if settings.site.startswith("https://") and parts.scheme != "https":
        yield "files_cleartext", "the desk is behind https: TOCSIN_FILES_URL must be, too"


def _files(settings: Settings) -> Iterator[tuple[str, str]]:
    if bool(settings.smtp_key) is not bool(settings.smtp_certificate):
        yield "certificate_half", "the mail door needs a certificate and its key, or neither"
    if settings.smtp_key and _is_open(settings.smtp_key):
        yield "certificate_exposed", "TOCSIN_SMTP_KEY can be read by others: chmod 600"
    if _is_open(settings.data_dir / "keys"):
        yield "keys_exposed", "the directory of the keys is open to others: chmod 700"


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False  # whoever needs it says that it is missing
