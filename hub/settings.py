"""Every setting, read once from ``TOCSIN_*``; nothing below this room reads the environment."""

import ipaddress
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DNS_PORT = 53


class Settings(BaseSettings):
    """Frozen. `tocsin config show` prints each value with its origin, secrets masked."""

    model_config = SettingsConfigDict(env_prefix="TOCSIN_", frozen=True, extra="ignore")

    data_dir: Path = Field(Path("data"), description="database, blobs, spool, keys and public files")
    database_url: str = Field("", description="empty: SQLite in the data directory; else postgresql://...")
    redis_url: str = Field("", description="empty: bells ring inside the process; else redis://...")
    host: str = Field("127.0.0.1", description="address of the web port")
    port: int = Field(8000, ge=0, le=65535, description="web port; 0 takes a free one")
    smtp_host: str = Field("127.0.0.1", description="address of the SMTP door")
    smtp_port: int = Field(2525, ge=0, le=65535, description="SMTP door; 0 takes a free one")
    smtp_certificate: Path | None = Field(None, description="PEM chain; with the key it turns STARTTLS on")
    smtp_key: Path | None = Field(None, description="PEM key of the SMTP certificate")
    fax_dir: Path | None = Field(None, description="folder into which a fax server drops TIFF and PDF files")
    fax_gateways: str = Field("", description="envelope senders whose mails are faxes, comma separated")
    base_url: str = Field("", description="how officers reach the desk; empty: http://host:port")
    public_url: str = Field("", description="how the public reaches pages and feeds; empty: as base_url")
    files_url: str = Field(
        "",
        description="a host of its own for downloads of strangers' files; empty: the desk gives them itself",
    )
    allowed_hosts: str = Field("", description="further Host names that are answered, comma separated")
    trusted_proxies: str = Field(
        "", description="addresses whose X-Forwarded-For is believed, comma separated"
    )
    zone: str = Field("Asia/Shanghai", description="time zone of screens and texts")
    region: str = Field("CN", description="country of phone numbers without one")
    area_code: str = Field("", description="area code of 7 and 8-digit local numbers, e.g. 0571")
    rules_dir: Path | None = Field(
        None, description="the deployment's own rules of triage (events.toml, elements.toml, places.toml)"
    )
    organisation: str = Field("示例省应急管理厅", description="the authority this hub belongs to")
    issuers_en: dict[str, str] = Field(
        {"示例省应急管理厅": "Shili Province Emergency Management Department"},
        description='English names of issuers, as JSON: {"示例省气象台": "Shili Meteorological Office"}',
    )
    public_numbers: str = Field(
        "", description="telephone numbers that texts may name besides the national ones, comma separated"
    )
    report_hop: Literal["unit_county", "county_city", "city_province", "province_state"] = Field(
        "county_city", description="from whom to whom this hub reports up; limits of other hops set no clocks"
    )
    sender_id: str = Field("tocsin@example.invalid", description="CAP sender: globally unique, no spaces")
    session_hours: int = Field(12, ge=1, le=24, description="a session lasts a shift")
    secure_cookies: bool = Field(False, description="set behind HTTPS: cookies get the __Host- prefix")
    max_body_bytes: int = Field(26_214_400, description="largest request and mail: five photos of 5 MB")
    twilio_account_sid: str = Field("", description="empty: no SMS wire (the demo has its simulator)")
    twilio_auth_token: SecretStr = Field(SecretStr(""), description="signs webhooks and calls")
    twilio_from: str = Field("", description="number, sender id or messaging service that sends")
    twilio_base_url: str = Field("https://api.twilio.com", description="the provider, or its simulator")
    twilio_webhook_url: str = Field("", description="address the provider signs for incoming SMS")
    twilio_status_url: str = Field("", description="address the provider signs for receipts")
    twilio_voice_url: str = Field(
        "", description="address the provider signs for calls, without the step at its end"
    )
    twilio_media_hosts: str = Field(
        "mms.twiliocdn.com,media.twiliocdn.com",
        description="hosts the provider's media redirect to, comma separated; no others are asked",
    )
    cti_token: SecretStr = Field(
        SecretStr(""), description="opens /hooks/cti to the desk's telephone system; empty: it is not there"
    )
    sms_spare_account_sid: str = Field(
        "", description="second SMS provider, called while the first does not answer; empty: none"
    )
    sms_spare_auth_token: SecretStr = Field(
        SecretStr(""), description="signs the second one's webhooks and calls"
    )
    sms_spare_from: str = Field("", description="number, sender id or messaging service at the second one")
    sms_spare_base_url: str = Field(
        "https://api.twilio.com", description="the second provider, or its simulator"
    )
    sms_calls_per_second: float = Field(100.0, gt=0, description="pace of this process towards the provider")
    sms_calls_in_flight: int = Field(
        32, ge=1, le=256, description="calls that this process makes at the same time"
    )
    telegram_token: SecretStr = Field(
        SecretStr(""), description="of the bot; empty: no chat (the demo has its simulator)"
    )
    telegram_api_url: str = Field(
        "https://api.telegram.org", description="the Bot API, a server of its own, or its simulator"
    )
    telegram_webhook_secret: SecretStr = Field(
        SecretStr(""), description="updates are posted to us and bear it; empty: the hub asks for them"
    )
    telegram_webhook_url: str = Field(
        "", description="address that updates are posted to; empty: /hooks/telegram of the desk's"
    )
    telegram_messages_per_second: float = Field(
        25.0, gt=0, description="pace of this process towards Telegram, which allows a bot about 30"
    )
    smpp_host: str = Field("", description="SMS centre that speaks SMPP 3.4; empty: none")
    smpp_port: int = Field(2775, ge=1, le=65535, description="its port")
    smpp_role: Literal["first", "spare"] = Field(
        "first", description="beside another SMS provider: called first, or while that one does not answer"
    )
    smpp_system_id: str = Field("", description="who we are there")
    smpp_password: SecretStr = Field(
        SecretStr(""), description="password of the system id, 8 letters at most"
    )
    smpp_system_type: str = Field("", description="where the centre asks for one")
    smpp_from: str = Field("", description="number, short number or name that texts are from")
    smpp_tls: bool = Field(False, description="SMPP inside TLS, its certificate checked")
    smpp_ca: Path | None = Field(None, description="PEM of an authority that the system does not know")
    smpp_long: Literal["udh", "payload"] = Field(
        "udh", description="long texts: udh cuts them here, payload leaves that to the centre"
    )
    smpp_message_ids: Literal["same", "hex_dec", "dec_hex"] = Field(
        "same", description="how answers and texts of receipts write a message's number, in this order"
    )
    smpp_alphabet: Literal["gsm7", "latin1", "ascii"] = Field(
        "gsm7", description="what the centre means by data_coding 0"
    )
    email_relay_host: str = Field(
        "", description="relay that takes mail; empty: no mail wire (the demo has its own)"
    )
    email_relay_port: int = Field(
        25, ge=1, le=65535, description="port of the relay; 587 and 465 are usual too"
    )
    email_relay_tls: Literal["never", "offered", "starttls", "implicit"] = Field(
        "offered", description="never, offered, starttls or implicit; the last two check the certificate"
    )
    email_relay_ca: Path | None = Field(None, description="PEM of an authority that the system does not know")
    email_relay_user: str = Field("", description="login at the relay; needs starttls or implicit")
    email_relay_password: SecretStr = Field(SecretStr(""), description="password of that login")
    email_from: str = Field("", description="address that mail is from; empty: alerts@ the mail domain")
    email_domain: str = Field(
        "", description="domain whose mail comes to the SMTP door: bounces+... and unsubscribe+... live there"
    )
    emails_per_second: float = Field(20.0, gt=0, description="pace of this process towards the relay")
    dns_servers: str = Field(
        "",
        description="name servers that are asked whether mail is from whom it says, address or address:port, "
        "comma separated; empty: every mail stays unverified",
    )
    department_domains: str = Field(
        "",
        description="domains of departments that write to us, comma separated; their look-alikes are marked",
    )
    peer_networks: str = Field(
        "", description="private networks in which peers may be pulled, e.g. 10.20.0.0/16, comma separated"
    )
    webhook_networks: str = Field(
        "",
        description="private networks in which departments may be called, e.g. 10.30.0.0/16, comma separated",
    )
    peer_stream: bool = Field(
        False, description="offer what is published to peers as a signed stream, public/peer/heartbeat.json"
    )
    peer_hand_on: bool = Field(
        False, description="hand on in that stream what peers' streams and signed bulletins brought"
    )
    peer_ca: Path | None = Field(
        None, description="PEM of the authority of peers' servers; empty: the system's"
    )
    proof_minutes: int = Field(
        0,
        ge=0,
        le=1440,
        description="minutes between synthetic reports through each door; 0: none (the demo has 5)",
    )
    proof_url: str = Field(
        "", description="where this machine reaches the web doors for them; empty: http://host:port"
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="opens /metrics as a bearer; empty: only this machine may read it"
    )
    worker_threads: int = Field(4, ge=1, le=64, description="actors side by side in one worker process")
    parser_children: int = Field(2, ge=1, le=16, description="children that parse strangers' bytes")
    debug: bool = Field(False, description="no hub starts with it: traces are not for strangers")
    clock_file: Path | None = Field(
        None, description="tests: seconds to add to the clock; a live hub refuses"
    )

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        ZoneInfo(value)
        return value

    @field_validator("cti_token")
    @classmethod
    def _long_token(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not re.fullmatch(r"[A-Za-z0-9_-]{24,200}", value.get_secret_value()):
            raise ValueError("a token of 24 letters and digits or more: it is all that proves who calls")
        return value

    @field_validator("email_domain")
    @classmethod
    def _short_domain(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,38}[A-Za-z0-9])?", value):
            raise ValueError("a domain in ASCII of at most 40 letters")
        return value.lower()

    @field_validator("dns_servers")
    @classmethod
    def _name_servers(cls, value: str) -> str:
        for one in filter(str.strip, value.split(",")):
            _server(one.strip())
        return value

    @field_validator("peer_networks", "webhook_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for one in filter(str.strip, value.split(",")):
            ipaddress.ip_network(one.strip())
        return value

    @field_validator("email_from")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,250}", value):
            raise ValueError("an address such as alerts@yj.example.gov.cn, without a name")
        return value

    @property
    def mail_domain(self) -> str:
        """Where mail of ours comes back to; '' when none can."""
        return self.email_domain or self.email_from.rpartition("@")[2].lower()

    @property
    def mail_from(self) -> str:
        """What stands in From."""
        return self.email_from or f"alerts@{self.mail_domain}"

    @property
    def name_servers(self) -> tuple[tuple[str, int], ...]:
        """(address, port) of each name server."""
        return tuple(_server(one.strip()) for one in self.dns_servers.split(",") if one.strip())

    @property
    def peer_network_list(self) -> tuple[str, ...]:
        """Each private network of peers."""
        return tuple(one.strip() for one in self.peer_networks.split(",") if one.strip())

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve()}/tocsin.db"

    @property
    def write_lock(self) -> Path | None:
        """The file on which SQLite's writers take turns."""
        return self.data_dir / "tocsin.db.lock" if self.database.startswith("sqlite") else None

    @property
    def site(self) -> str:
        """Where the desk is reached."""
        return self.base_url or f"http://{self.host}:{self.port}"

    @property
    def public_site(self) -> str:
        """Where the public pages are reached."""
        return self.public_url or self.site

    def shown(self) -> dict[str, dict[str, Any]]:
        """name -> {value, is_default, about}; secrets masked."""
        rows: dict[str, dict[str, Any]] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            is_default = name not in self.model_fields_set
            rows[name] = {
                "value": _masked(value),
                "origin": "default" if is_default else f"TOCSIN_{name.upper()}",
                "about": field.description,
            }
        return rows


def _server(text: str) -> tuple[str, int]:
    """An address with a port or without: 10.0.0.53, 10.0.0.53:5353, [::1]:53. Raises ValueError."""
    is_bare = text.count(":") > 1 and not text.startswith("[")
    parts = urlsplit(f"//[{text}]" if is_bare else f"//{text}")
    return str(ipaddress.ip_address(parts.hostname or "")), parts.port or DNS_PORT


def _masked(value: object) -> str:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    text = str(value)
    before, at, after = text.rpartition("@")
    if at and "://" in before and ":" in before.split("://", 1)[1]:  # a password inside a URL
        scheme, credentials = before.split("://", 1)
        return f"{scheme}://{credentials.split(':')[0]}:********@{after}"
    return text
