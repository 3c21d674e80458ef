"""DKIM signatures of a mail (RFC 6376, RFC 8463), read and verified under stricter rules than the RFC's.

The library that others use, dkimpy, calls a mail good whose second Subject stands above the signed one, and
one with text appended behind ``l=``; it reads the key while it verifies. Here the two are apart: `claims`
needs the mail and no network, `verify` the key record and no mail.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from channels.codecs.mail_auth_domains import alike, ascii_domain, organisation

LOOKED_AT = 3  # signatures that cost a look-up and a verification; a mail has one, a list's copy two or three
READ_MAX = 10  # signatures that are read at all; more are counted
NAMES_MAX = 100  # of h=
OLDEST = timedelta(days=7)  # of t=: five days in a sender's queue (RFC 5321 §4.5.4.1), and a week-end
SKEW = timedelta(hours=1)  # that a sender's clock may be ahead
KEY_BITS = (1024, 4096)  # RFC 8301 §3.2; more than 4096 is only an attack on our time
KEY_TEXT = 4096  # letters of a key record; RSA of 4096 bits has 740
COVERED = ("from", "subject", "date")  # that h= must name; RFC 6376 §5.4.1 recommends more than is sent

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)  # RFC 5322 §2.2
_NEXT_FIELD = re.compile(rb"\r\n(?![ \t])")
_SIGNATURE_OF_B = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BLANKS = re.compile(rb"[ \t]+")

Field = tuple[bytes, bytes]  # name in lower case, the field as it stood without its last CRLF


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One signature: who signs, and all that is needed to verify it but the key."""

    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    agent: str = ""  # i=, the domain of it
    fault: str = ""  # why it counts as no signature, whatever the key says
    signed: str = ""  # base64 of the bytes that b= is over
    signature: str = ""  # base64
    body_hash: str = ""
    covers_id: bool = False  # Message-ID is in h=

    @property
    def question(self) -> tuple[str, str]:
        """The look-up of the key."""
        return "TXT", f"{self.selector}._domainkey.{self.domain}"

    def value(self) -> dict[str, Any]:
        """For the way out of the sandbox, and back in."""
        return asdict(self)


def split(raw: bytes) -> tuple[list[Field], bytes] | None:
    """The fields as a signer sees them, and the body; None when the header is not what RFC 5322 calls one."""
    head, _, body = (b"", b"", raw[2:]) if raw.startswith(b"\r\n") else raw.partition(b"\r\n\r\n")
    fields: list[Field] = []
    for whole in _NEXT_FIELD.split(head.removesuffix(b"\r\n")) if head else ():
        found = _FIELD.fullmatch(whole)
        if found is None:
            return None
        fields.append((found[1].lower(), whole))
    return fields, body


def claims(fields: Sequence[Field], body: bytes, *, author: str, at: datetime) -> list[Claim]:
    """Every signature that is read, the first `LOOKED_AT` sound ones without a fault; those of `author` first."""
    hashes: dict[str, str] = {}
    found: list[Claim] = []
    for place, (name, _) in enumerate(fields):
        if name == b"dkim-signature" and len(found) < READ_MAX:
            found.append(_claim(fields, place, body, hashes, at))
    found.sort(key=lambda claim: not alike(claim.domain, author))
    sound = [claim for claim in found if not claim.fault]
    late = {id(claim) for claim in sound[LOOKED_AT:]}
    return [
        Claim(domain=c.domain, selector=c.selector, fault="not_looked_at") if id(c) in late else c
        for c in found
    ]


def verify(claim: Claim, answer: Mapping[str, Any]) -> tuple[str, str]:
    """(result, reason) with the look-up's answer; results are those of RFC 8601 §2.7.1."""
    if claim.fault:
        return ("neutral" if claim.fault == "not_looked_at" else "policy"), claim.fault
    if answer["status"] == "failed":
        return "temperror", "dns_unavailable"
    if not answer["records"]:
        return "permerror", "key_missing"
    if len(answer["records"]) > 1 or len(answer["records"][0]) > KEY_TEXT:
        return "permerror", "key_unusable"
    record = tags(answer["records"][0])
    if record is None or not _fits(record, claim):
        return "permerror", "key_unusable"
    if "y" in _words(record.get("t", "")):
        return "policy", "key_on_trial"
    try:
        key = base64.b64decode("".join(record["p"].split()), validate=True)
        return _proved(claim, key)
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        return "permerror", "key_unusable"


def tags(text: str) -> dict[str, str] | None:
    """The tag list of RFC 6376 §3.2; None for one that is none, or says something twice."""
    found: dict[str, str] = {}
    pieces = text.split(";")
    for piece in pieces[:-1] if not pieces[-1].strip() else pieces:
        name, equals, value = piece.partition("=")
        name = name.strip()
        if not equals or not _TAG.fullmatch(name) or name in found:
            return None
        found[name] = value.replace("\r\n", "").strip()
    return found


def _claim(fields: Sequence[Field], place: int, body: bytes, hashes: dict[str, str], at: datetime) -> Claim:
    whole = fields[place][1]
    try:
        given = tags(whole.partition(b":")[2].decode("utf-8")) or {}
    except UnicodeDecodeError:
        given = {}
    domain, selector = ascii_domain(given.get("d", "")), given.get("s", "").lower()
    names = tuple(_words(given.get("h", "")))
    who = Claim(domain=domain, selector=selector, fault=_fault(given, domain, names, fields, at))
    if who.fault:
        return who
    of_header, of_body = _canons(given.get("c", ""))
    if of_body not in hashes:
        hashes[of_body] = base64.b64encode(hashlib.sha256(canonical_body(body, of_body)).digest()).decode()
    if hashes[of_body] != "".join(given["bh"].split()):
        return Claim(domain=domain, selector=selector, fault="body_changed")
    return Claim(
        domain=domain, selector=selector, algorithm=given["a"].lower(), body_hash=hashes[of_body],
        agent=ascii_domain(given.get("i", f"@{domain}").rpartition("@")[2]), covers_id="message-id" in names,
        signed=base64.b64encode(_signed(fields, place, names, of_header)).decode(),
        signature="".join(given["b"].split()),
    )  # fmt: skip


def _fault(
    given: Mapping[str, str], domain: str, names: Sequence[str], fields: Sequence[Field], at: datetime
) -> str:
    """Why a signature counts as none: the policy table. In the order in which it is told."""
    is_whole = given.get("v") == "1" and all(given.get(n) for n in ("a", "b", "bh", "d", "h", "s"))
    agent = ascii_domain(given.get("i", f"@{domain}").rpartition("@")[2])
    is_sane = (
        bool(domain) and (agent == domain or agent.endswith(f".{domain}"))
        and len(names) <= NAMES_MAX and set(_canons(given.get("c", ""))) <= {"simple", "relaxed"}
        and "dns/txt" in _words(given.get("q", "dns/txt"))
    )  # fmt: skip
    if not is_whole or not is_sane:
        return "bad_signature"
    if given["a"].lower().endswith("-sha1"):
        return "signature_weak"
    if given["a"].lower() not in ("rsa-sha256", "ed25519-sha256"):
        return "bad_signature"
    if "l" in given:  # whatever is appended would be believed
        return "signature_partial"
    is_there = {name for name, _ in fields}
    if not set(COVERED) <= set(names) or (b"reply-to" in is_there and "reply-to" not in names):
        return "signature_partial"
    if not organisation(domain):
        return "public_suffix"
    return _age(given, at)


def _age(given: Mapping[str, str], at: datetime) -> str:
    """'' or why the times of a signature speak against it."""
    try:
        signed, until = (float(given[n]) if n in given else None for n in ("t", "x"))
    except ValueError:
        return "bad_signature"
    now = at.timestamp()
    if signed is not None and not now - OLDEST.total_seconds() <= signed <= now + SKEW.total_seconds():
        return "signature_old"
    return "signature_old" if until is not None and not now < until else ""


def _canons(given: str) -> tuple[str, str]:
    of_header, _, of_body = "".join(given.lower().split()).partition("/")
    return of_header or "simple", of_body or "simple"


def _words(text: str) -> list[str]:
    """A list with colons, in lower case."""
    return ["".join(word.split()).lower() for word in text.split(":")]


def _signed(fields: Sequence[Field], place: int, names: Sequence[str], canon: str) -> bytes:
    """What b= is over: of a repeated field the instances are taken from the bottom up (RFC 6376 §5.4.2)."""
    left: dict[bytes, list[bytes]] = {}
    for n, (field, whole) in enumerate(fields):
        if n != place:
            left.setdefault(field, []).append(whole)
    out = []
    for name in names:
        if there := left.get(name.encode()):
            out.append(_canonical_field(there.pop(), canon) + b"\r\n")
    own, colon, value = fields[place][1].partition(b":")
    emptied = own + colon + _SIGNATURE_OF_B.sub(rb"\1", value, count=1)
    return b"".join([*out, _canonical_field(emptied, canon)])


def _canonical_field(whole: bytes, canon: str) -> bytes:
    """RFC 6376 §3.4.1 and §3.4.2."""
    if canon == "simple":
        return whole
    name, _, value = whole.partition(b":")
    return name.strip().lower() + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def canonical_body(body: bytes, canon: str) -> bytes:
    """RFC 6376 §3.4.3 and §3.4.4, in linear time."""
    if canon == "relaxed":
        body = _BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n").removesuffix(b" ")
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n" if end or canon == "simple" else b""


def _fits(record: Mapping[str, str], claim: Claim) -> bool:
    """Whether a key record is one, and for this use (RFC 6376 §3.6.1)."""
    kind = claim.algorithm.partition("-")[0]
    return (
        record.get("v", "DKIM1") == "DKIM1"
        and (next(iter(record)) == "v" or "v" not in record)
        and record.get("k", "rsa").lower() == kind
        and ("h" not in record or "sha256" in _words(record["h"]))
        and bool({"*", "email"} & set(_words(record.get("s", "*"))))
        and bool(record.get("p"))
        and ("s" not in _words(record.get("t", "")) or claim.agent == claim.domain)
    )


def _proved(claim: Claim, key: bytes) -> tuple[str, str]:
    signed, signature = base64.b64decode(claim.signed), base64.b64decode(claim.signature, validate=True)
    try:
        if claim.algorithm == "ed25519-sha256":  # RFC 8463: over the hash, with the bare key in p=
            ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, hashlib.sha256(signed).digest())
            return "pass", ""
        opened = load_der_public_key(key)
        if not isinstance(opened, rsa.RSAPublicKey) or opened.key_size > KEY_BITS[1]:
            return "permerror", "key_unusable"
        if opened.key_size < KEY_BITS[0]:
            return "policy", "signature_weak"
        opened.verify(signature, signed, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return "fail", "wrong_signature"
    return "pass", ""
