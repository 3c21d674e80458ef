"""Proof of life: every few minutes a synthetic report goes through the real door of each channel, and is looked for.

A way is what a stranger would do: an SMTP dialogue, a signed webhook, a form, a request with a key. The report says
its mark and nothing else, so it is settled where a real one would enter the queue (intake/proofs).
"""

import hashlib
import http.client
import json
import smtplib
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from urllib.parse import urlencode, urlsplit

from channels.codecs import twilio_signature
from channels.contract import Wire
from domain import proof
from domain.errors import HubError
from domain.ids import mint
from domain.person import Scope
from hub import proof_ways
from hub.keys import Keys
from hub.log import log
from hub.proof_ways import Hear, Way
from hub.settings import Settings
from store import people, proofs
from store.database import Store
from store.unit import Unit

GRACE = timedelta(seconds=60)  # from the door to filed: a burst of 10,000 reports is worked off in that
PATIENCE = 10.0  # s for one answer of a door
KEY = "key_proof"  # the API key by which a synthetic report comes; it may hand in reports and nothing else
# Whose last word the desk shows; those without a way below are proved by people alone.
PEER_KEY = "key_proof_peer"  # and the one that may push bulletins
CHANNELS = ("phone", "voice", "sms", "telegram", "email", "fax", "web", "api", "peer")
NOBODY = "000"  # the number that they are from: dialled by no phone, answered by no notice

# A way takes the mark and a name of 32 hex digits, and says what the door said: ok, or why not.


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """Sends what is due; one process is faster, the others leave it."""

    store: Store
    key: bytes
    clock: Callable[[], datetime]
    every: timedelta
    ways: Mapping[str, Way]
    prepare: Callable[[Unit, datetime], None]  # what a way needs in the store
    _running: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Send what is due beside whoever calls: a door that hangs holds up nobody."""
        if self.ways and self._running.acquire(blocking=False):
            threading.Thread(target=self._run, name="proofs", daemon=True).start()

    def send(self) -> dict[str, str]:
        """Channel -> what its door said, of those that were due."""
        said: dict[str, str] = {}
        self.store.run(lambda unit: self.prepare(unit, self.clock()))
        for channel, way in self.ways.items():
            at = self.clock()
            name = mint("prf", at)

            def is_ours(unit: Unit, channel: str = channel, name: str = name, at: datetime = at) -> bool:
                return proofs.claim(unit, channel, name, at=at, due_at=at + self.every)

            if not self.store.run(is_ours):
                continue
            try:
                said[channel] = way(
                    proof.mark(self.key, channel, name), hashlib.sha256(name.encode()).hexdigest()[:32]
                )
            except (OSError, smtplib.SMTPException, http.client.HTTPException) as error:
                said[channel] = type(error).__name__
            self._note(channel, name, said[channel])
        return said

    def _note(self, channel: str, name: str, answer: str) -> None:
        self.store.run(lambda unit: proofs.answered(unit, channel, name, answer))
        if answer != "ok":
            log("proof.refused", channel=channel, answer=answer)

    def _run(self) -> None:
        try:
            with suppress(HubError):  # a database that is down is another trouble
                self.send()
        finally:
            self._running.release()


def prober(
    settings: Settings, keys: Keys, store: Store, *, clock: Callable[[], datetime], is_live: bool, line: Wire | None = None
) -> Prober:  # fmt: skip
    """The prober of a hub; without ways where it is turned off. `line`: the wire of its SMS centre."""
    every = timedelta(minutes=settings.proof_minutes)
    tokens = {use: api_token(keys, is_live=is_live, use=use) for use in ("api", "peer")}
    ways = _ways(settings, tokens, clock, getattr(line, "hear", None)) if settings.proof_minutes else {}

    def prepare(unit: Unit, at: datetime) -> None:
        keep_key(unit, tokens["api"], settings.organisation, at)
        keep_key(unit, tokens["peer"], settings.organisation, at, name=PEER_KEY, scope=Scope.PEER)

    return Prober(store=store, key=keys.proof, clock=clock, every=every, ways=ways, prepare=prepare)


def api_token(keys: Keys, *, is_live: bool, use: str = "api") -> str:
    """The API key of synthetic reports: derived, so that every process knows it and none hands it on."""
    kind = "live" if is_live else "test"
    return f"tocsin_{kind}_{hashlib.sha256(keys.proof + f' {use}'.encode()).hexdigest()}"


def keep_key(
    unit: Unit, token: str, organisation: str, at: datetime, *, name: str = KEY, scope: Scope = Scope.REPORT
) -> None:
    """Enter the API key once; a revoked one stays revoked."""
    if not people.has_key(unit, name):
        people.add_key(unit, name, token, name="proof of life", organisation=organisation, person_id=None,
                       scopes={scope}, at=at)  # fmt: skip


def channels(settings: Settings) -> tuple[str, ...]:
    """Those that are proved by these settings."""
    return tuple(_ways(settings, {"api": "", "peer": ""}, _never, None)) if settings.proof_minutes else ()


def silent(heard: list[proofs.Heard], wanted: tuple[str, ...], at: datetime) -> frozenset[str]:
    """Channels whose last proof was not filed in time, or that nobody has proved any more."""
    known = {one.channel: one for one in heard}
    return frozenset(channel for channel in wanted if channel in known and _is_silent(known[channel], at))


def _is_silent(one: proofs.Heard, at: datetime) -> bool:
    is_proved = one.proved_at is not None and one.proved_at >= one.sent_at
    has_stopped = at > one.due_at + GRACE  # no process sends any more
    return has_stopped or (not is_proved and at > one.sent_at + GRACE)


def all_heard(store: Store, settings: Settings, clock: Callable[[], datetime]) -> Callable[[], bool]:
    """Whether no channel that is proved has gone silent; a database that is down is another trouble."""
    wanted = channels(settings)

    def answer() -> bool:
        try:
            return not wanted or not silent(store.read(lambda u: proofs.all_of(u, wanted)), wanted, clock())
        except HubError:
            return True

    return answer


def _never() -> datetime:
    raise AssertionError("nothing is sent by it")


def _ways(
    settings: Settings, tokens: Mapping[str, str], clock: Callable[[], datetime], hear: Hear | None
) -> dict[str, Way]:
    """Every door of these settings and how a synthetic report comes in there."""
    site = settings.proof_url or f"http://{_local(settings.host)}:{settings.port}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def email(mark: str, name: str) -> str:
        return _mail(settings, mark, name)

    def web(mark: str, name: str) -> str:
        return _post(f"{site}/report", urlencode({"text": mark}), form | {"Idempotency-Key": name})

    def api(mark: str, name: str) -> str:
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {tokens['api']}",
            "Idempotency-Key": name,
        }
        return _post(f"{site}/v1/reports", json.dumps({"text": mark}), headers)

    peer = proof_ways.bulletin(_post, f"{site}/v1/bulletins", tokens["peer"])
    found: dict[str, Way] = {"email": email, "web": web, "api": api, "peer": peer}
    if settings.twilio_account_sid and settings.twilio_auth_token.get_secret_value():
        found |= {"sms": _sms(settings, site), "voice": _voice(settings, site)}
    elif settings.smpp_host:
        found["sms"] = proof_ways.sms_centre(hear)
    bot, secret = telegram_bot(settings), settings.telegram_webhook_secret.get_secret_value()
    if bot and secret:  # a bot that asks has heard an answer within a minute, or the door is deaf
        found["telegram"] = proof_ways.chat(
            _post, f"{site}/hooks/telegram", bot=bot, secret=secret, clock=clock
        )
    if settings.fax_dir:
        found["fax"] = proof_ways.fax(settings.fax_dir)
    return found


def telegram_bot(settings: Settings) -> str:
    """The number of the bot, '' without one: what stands before the colon of its token."""
    number = settings.telegram_token.get_secret_value().partition(":")[0]
    return number if number.isdigit() else ""


def _sms(settings: Settings, site: str) -> Way:
    url = settings.twilio_webhook_url or f"{settings.site}/hooks/sms/twilio"

    def send(mark: str, name: str) -> str:
        sid = f"SM{name}"
        form = {"AccountSid": settings.twilio_account_sid, "Body": mark, "From": NOBODY, "MessageSid": sid,
                "NumMedia": "0", "SmsSid": sid, "To": "0000"}  # fmt: skip
        return _signed(settings, url, f"{site}/hooks/sms/twilio", form)

    return send


def _voice(settings: Settings, site: str) -> Way:
    url = settings.twilio_voice_url or f"{settings.site}/hooks/voice/twilio"

    def send(mark: str, name: str) -> str:
        form = {"AccountSid": settings.twilio_account_sid, "CallSid": f"CA{name}", "CallStatus": "ringing",
                "CallerName": mark, "Direction": "inbound", "From": NOBODY, "To": "0000"}  # fmt: skip
        return _signed(settings, url, f"{site}/hooks/voice/twilio", form)

    return send


def _signed(settings: Settings, url: str, door: str, form: dict[str, str]) -> str:
    signature = twilio_signature.sign(url, form, settings.twilio_auth_token.get_secret_value())
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return _post(door, urlencode(form), headers)


def _post(url: str, body: str, headers: Mapping[str, str]) -> str:
    """ok for an answer that means taken; else its status."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    wire = kind(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        wire.request("POST", parts.path, body.encode(), {"User-Agent": "tocsin-proof", **headers})
        status = wire.getresponse().status
    finally:
        wire.close()
    return "ok" if status in (200, 201, 202, 303) else f"http_{status}"


def _mail(settings: Settings, mark: str, name: str) -> str:
    domain = settings.mail_domain or "tocsin.invalid"
    letter = EmailMessage()
    letter["From"], letter["To"] = f"proof@{domain}", f"report@{domain}"
    letter["Subject"], letter["Message-ID"] = mark, f"<{name}@{domain}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: whoever reads it answers nothing
    letter.set_content(mark + "\n")
    with smtplib.SMTP(_local(settings.smtp_host), settings.smtp_port, timeout=PATIENCE) as wire:
        refused = wire.send_message(letter, from_addr=f"proof@{domain}", to_addrs=[f"report@{domain}"])
    return "refused" if refused else "ok"


def _local(host: str) -> str:
    """An address of this machine for one that means all of them."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}.get(host, host)  # noqa: S104 (nothing is bound)
