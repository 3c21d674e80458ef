"""The wires and their doors, from the settings: with hub/wiring the only place that names one (law 10)."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from channels import email, twilio_media, twilio_sms, twilio_voice
from channels.codecs.mail_wrap import Letterhead
from channels.codecs.return_path import DOMAIN_MAX, ReturnPath
from channels.codecs.smtp_relay import Relay, Tls
from channels.codecs.stop_word import is_stop
from channels.contract import Wire
from channels.egress import Egress
from domain.call import Step, Turn
from domain.errors import NotAllowed, Refused
from domain.handling import Mode
from domain.parcel import Receipt
from domain.report import Inbound
from hub import keys
from hub.refusals import is_this_machine
from hub.settings import Settings
from intake.conversation import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsDoor:
    """What the web room needs of the SMS wires, without knowing which they are."""

    verify: Callable[
        [str, bytes, str | None], str
    ]  # url, raw body, signature -> who signed; raises NotAllowed
    parse_message: Callable[[bytes, str, datetime], Inbound]  # raw body, who signed
    parse_status: Callable[[bytes, str, str, datetime], Receipt]  # raw body, query, who signed
    is_stop: Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceDoor:
    """What the web room needs of the telephone wire; who calls is verified by the SMS door, of the same account."""

    parse: Callable[
        [Step, bytes, str, str, datetime], tuple[Inbound, Inbound | None]
    ]  # raw, query, who signed
    state: Callable[[str], tuple[str, int]]  # query -> language, how often a question was asked
    answer: Callable[[Turn, str], str]  # what is said, address of the door -> TwiML
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account at a provider of SMS."""

    name: str  # of its wire
    sid: str
    token: str
    sender: str
    url: str


def sms_wires(settings: Settings, mode: Mode) -> list[Wire]:
    """The SMS wire and its spare, when set. Only a live hub holds one that leaves this machine (law 10)."""
    return [_sms_wire(account, settings, mode) for account in _sms_accounts(settings)]


def _sms_wire(account: Account, settings: Settings, mode: Mode) -> Wire:
    reaches_the_world = not _is_loopback(account.url)
    if reaches_the_world and not mode.may_reach_the_world:
        raise Refused(
            f"a {mode.value} hub may not hold a wire to {urlsplit(account.url).hostname}",
            code="mode_forbids_wire",
        )
    return twilio_sms.TwilioSms(
        name=account.name,
        account_sid=account.sid,
        auth_token=account.token,
        sender=account.sender,
        base_url=account.url,
        status_callback_url=settings.twilio_status_url or f"{settings.site}/hooks/dlr/twilio",
        reaches_the_world=reaches_the_world,
        window=settings.sms_calls_in_flight,
    )


def _sms_accounts(settings: Settings) -> list[Account]:
    """The accounts that SMS go by, the first one first. Raises Refused for a spare that is no other."""
    if not settings.twilio_account_sid:
        return []
    own = Account(
        name="twilio_sms", sid=settings.twilio_account_sid, url=settings.twilio_base_url,
        token=settings.twilio_auth_token.get_secret_value(), sender=settings.twilio_from,
    )  # fmt: skip
    if not settings.sms_spare_account_sid:
        return [own]
    spare = Account(
        name="twilio_sms_spare", sid=settings.sms_spare_account_sid, url=settings.sms_spare_base_url,
        token=settings.sms_spare_auth_token.get_secret_value(), sender=settings.sms_spare_from,
    )  # fmt: skip
    if spare.sid == own.sid:
        raise Refused("TOCSIN_SMS_SPARE_ACCOUNT_SID is the account it would stand in for", code="spare")
    if not (spare.token and spare.sender):
        raise Refused("a second SMS provider needs TOCSIN_SMS_SPARE_AUTH_TOKEN and _FROM", code="spare")
    return [own, spare]


def media_host(settings: Settings, mode: Mode) -> Egress:
    """Where the media of an MMS may be fetched: at the provider, or at its simulator on this machine."""
    hosts = [host.strip().lower() for host in settings.twilio_media_hosts.split(",") if host.strip()]
    places = [
        place
        for account in _sms_accounts(settings)
        for place in twilio_media.places(
            account.url, account_sid=account.sid, auth_token=account.token, hosts=hosts,
            is_simulator=_is_loopback(account.url) and not mode.may_reach_the_world,
        )
    ]  # fmt: skip
    return Egress(list(dict.fromkeys(places)))


def return_path(settings: Settings, made: keys.Keys) -> ReturnPath | None:
    """None without a domain. Raises Refused for one that is too long for what a delivery keeps."""
    domain = settings.mail_domain
    if len(domain) > DOMAIN_MAX:
        raise Refused(
            f"TOCSIN_EMAIL_DOMAIN may have {DOMAIN_MAX} letters: set a shorter one", code="mail_domain"
        )
    return ReturnPath(key=made.return_path, domain=domain) if domain else None


def mail_wires(
    settings: Settings, mode: Mode, path: ReturnPath | None, clock: Callable[[], datetime]
) -> list[Wire]:
    """The mail wire, when a relay is set; like sms_wires(), and no password is said where others can listen."""
    host, tls = settings.email_relay_host, Tls(settings.email_relay_tls)
    if not host:
        return []
    if path is None:
        raise Refused("a mail relay needs TOCSIN_EMAIL_DOMAIN or TOCSIN_EMAIL_FROM", code="mail_domain")
    reaches_the_world = not is_this_machine(host)
    if reaches_the_world and not mode.may_reach_the_world:
        raise Refused(f"a {mode.value} hub may not hold a wire to {host}", code="mode_forbids_wire")
    if settings.email_relay_user and reaches_the_world and not tls.is_sure:
        raise Refused(
            "a login at the relay needs TOCSIN_EMAIL_RELAY_TLS=starttls or implicit", code="mail_login"
        )
    relay = Relay(
        host=host, port=settings.email_relay_port, tls=tls, authority=str(settings.email_relay_ca or ""),
        user=settings.email_relay_user, password=settings.email_relay_password.get_secret_value(), helo=path.domain,
    )  # fmt: skip
    head = Letterhead(name=settings.organisation, address=settings.mail_from, path=path)
    return [email.Email(relay=relay, head=head, now=clock, reaches_the_world=reaches_the_world)]


def sms_door(settings: Settings) -> SmsDoor:
    """The door of both accounts: each signs for itself and for no other."""
    accounts = [account for account in _sms_accounts(settings) if account.token]

    def verify(url: str, raw: bytes, signature: str | None) -> str:
        if not accounts:
            raise Refused("no SMS wire is configured", code="no_such_door")
        for account in accounts[:-1]:
            with suppress(NotAllowed):
                twilio_sms.verify(url, raw, signature, account.token)
                return account.sid
        twilio_sms.verify(url, raw, signature, accounts[-1].token)
        return accounts[-1].sid

    def parse_message(raw: bytes, signer: str, at: datetime) -> Inbound:
        return twilio_sms.parse_message(raw, account_sid=signer, at=at)

    def parse_status(raw: bytes, query: str, signer: str, at: datetime) -> Receipt:
        return twilio_sms.parse_status(raw, query, account_sid=signer, at=at)

    return SmsDoor(verify=verify, parse_message=parse_message, parse_status=parse_status, is_stop=is_stop)


def voice_door(settings: Settings, mode: Mode) -> VoiceDoor:
    """The door of telephone calls."""

    def parse(
        step: Step, raw: bytes, query: str, signer: str, at: datetime
    ) -> tuple[Inbound, Inbound | None]:
        return twilio_voice.parse(step, raw, query, account_sid=signer, at=at)

    line = Line(mode=mode, organisation=settings.organisation)
    return VoiceDoor(parse=parse, state=twilio_voice.state, answer=twilio_voice.answer, line=line)


def _is_loopback(url: str) -> bool:
    return is_this_machine(urlsplit(url).hostname or "")
