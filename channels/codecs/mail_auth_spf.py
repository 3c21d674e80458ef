"""SPF (RFC 7208): whether an address may send for a domain, from answers that somebody else has fetched.

Stricter than the RFC where a record says nothing or asks for too much: ``+all`` and networks of that size
are no pass, a name that would carry the mailbox to a stranger's server (``exists:%{l}...``) is not looked up,
and ``ptr`` matches nobody (RFC 7208 §5.5 wants it unused).
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from channels.codecs.mail_auth_domains import ascii_domain

LOOKUPS_MAX = 10  # RFC 7208 §4.6.4: terms that cause look-ups
VOID_MAX = 2  # of them, without an answer
HOSTS_MAX = 10  # of one mx
RECORD_MAX = 4096  # letters of a record; RFC 7208 §3.4 wants 450
WIDEST = {4: 8, 6: 16}  # prefixes shorter than that cover the Internet in a few terms, as +all does

Answers = Mapping[str, Mapping[str, Any]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Said(StrEnum):
    """RFC 7208 §2.6, and POLICY for a pass that we do not believe (RFC 8601 §2.4)."""

    PASS = "pass"  # noqa: S105 not a password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What SPF says of one mail."""

    domain: str
    said: Said
    reason: str = ""


class Ask(Exception):
    """An answer that is not here yet."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind)
        self.question = (kind, name)


class _End(Exception):
    """The evaluation is over, wherever it stands."""

    def __init__(self, said: Said, reason: str) -> None:
        super().__init__(reason)
        self.said, self.reason = said, reason


_QUALIFIED = {"+": Said.PASS, "-": Said.FAIL, "~": Said.SOFTFAIL, "?": Said.NEUTRAL}
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
_MECHANISM = re.compile(
    r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]*(?:/(?!\d|/\d)[^/]*)*))?(/.*)?", re.IGNORECASE
)
_IP = re.compile(r"([+?~-]?)(ip[46]):([0-9A-Fa-f:.]+)(?:/(0|[1-9]\d{0,2}))?", re.IGNORECASE)
_CIDR = re.compile(r"(?:/(0|[1-9]\d{0,2}))?(?://(0|[1-9]\d{0,2}))?")
_MACRO = re.compile(r"%(?:\{([a-z])(\d{0,3})(r?)([.\-+,/_=]*)\}|([%_-]))", re.IGNORECASE)
_SPEC = re.compile(
    r"[!-~]*(?:\.(?!-)[A-Za-z0-9-]*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|%\{[^}]+\}|%[%_-])"
)
_MUST_NAME = ("include", "exists")
_TAKES_CIDR = ("a", "mx")


def check(*, peer: str, sender: str, helo: str, answers: Answers) -> Outcome:
    """The outcome for the envelope. Raises Ask for an answer that `answers` does not hold.

    `answers`: "TYPE name" -> {status: found | none | failed, records}.
    """
    mailbox = sender if "@" in sender else f"postmaster@{helo}"
    domain = ascii_domain(mailbox.rpartition("@")[2])
    try:
        address: Address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return Outcome(domain=domain, said=Said.NONE)
    if not domain:
        return Outcome(domain="", said=Said.NONE)
    walk = _Walk(address=getattr(address, "ipv4_mapped", None) or address, domain=domain, helo=helo, answers=answers)  # fmt: skip
    try:
        said = walk.evaluate(domain)
    except _End as end:
        return Outcome(domain=domain, said=end.said, reason=end.reason)
    return Outcome(domain=domain, said=said, reason="" if said is Said.PASS else f"spf_{said}")


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One evaluation; the limits are over all records together."""

    address: Address
    domain: str
    helo: str
    answers: Answers
    terms: int = 0
    voids: int = 0

    def evaluate(self, domain: str) -> Said:
        """check_host() of RFC 7208 §4, with every syntax error found before anything matches."""
        record = self._record(domain)
        if record is None:
            return Said.NONE
        words = [word for word in record.split(" ")[1:] if word]
        modifiers = _modifiers(words)
        for qualifier, name, spec, cidr in [_mechanism(w) for w in words if not _MODIFIER.fullmatch(w)]:
            if self._matches(name, spec, cidr, domain):
                said = _QUALIFIED[qualifier or "+"]
                if name == "all" and said is Said.PASS:
                    raise _End(Said.POLICY, "spf_open")
                return said
        if "redirect" not in modifiers:
            return Said.NEUTRAL
        self._count()
        said = self.evaluate(self._expanded(modifiers["redirect"], domain))
        if said is Said.NONE:
            raise _End(Said.PERMERROR, "spf_broken")
        return said

    def _record(self, domain: str) -> str | None:
        name = ascii_domain(domain)
        found = self._ask("TXT", name) if name else []
        records = [text for text in found if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]
        if len(records) > 1 or any(len(r) > RECORD_MAX or not _is_plain(r) for r in records):
            raise _End(Said.PERMERROR, "spf_broken")
        return records[0] if records else None

    def _matches(self, name: str, spec: str, cidr: tuple[int, int], domain: str) -> bool:
        if name == "all":
            return True
        if name in ("ip4", "ip6"):
            return _holds(spec, self.address)
        self._count()
        target = self._expanded(spec, domain) if spec else domain
        if name == "include":
            said = self.evaluate(target)
            if said is Said.NONE:
                raise _End(Said.PERMERROR, "spf_broken")
            return said is Said.PASS
        asked = ascii_domain(target)
        if name == "ptr" or not asked:
            return False
        if name == "exists":
            return bool(self._asked("A", asked))
        return any(self._is_host(host, cidr) for host in self._hosts(name, asked))

    def _hosts(self, name: str, target: str) -> list[str]:
        if name == "a":
            return [target]
        hosts = self._asked("MX", target)
        if len(hosts) > HOSTS_MAX:
            raise _End(Said.PERMERROR, "spf_too_much")
        return [host for given in hosts if (host := ascii_domain(given))]

    def _is_host(self, host: str, cidr: tuple[int, int]) -> bool:
        version = self.address.version
        width = cidr[0] if version == 4 else cidr[1]
        found = self._asked("A" if version == 4 else "AAAA", host)
        return any(_holds(f"{address}/{width}", self.address) for address in found)

    def _asked(self, kind: str, name: str) -> list[str]:
        """Look up for a term; looking for nothing may be done twice (RFC 7208 §4.6.4)."""
        found = self._ask(kind, name)
        if not found:
            self.voids += 1
            if self.voids > VOID_MAX:
                raise _End(Said.PERMERROR, "spf_too_much")
        return found

    def _ask(self, kind: str, name: str) -> list[str]:
        answer = self.answers.get(f"{kind} {name}")
        if answer is None:
            raise Ask(kind, name)
        if answer["status"] == "failed":
            raise _End(Said.TEMPERROR, "dns_unavailable")
        return list(answer["records"])

    def _count(self) -> None:
        self.terms += 1
        if self.terms > LOOKUPS_MAX:
            raise _End(Said.PERMERROR, "spf_too_much")

    def _expanded(self, spec: str, domain: str) -> str:
        """A domain-spec with its macros (RFC 7208 §7); the end of what is too long for a name."""
        name = _MACRO.sub(lambda match: self._macro(match, domain), spec)
        while len(name) > 253:
            name = name.partition(".")[2]
        return name

    def _macro(self, match: re.Match[str], domain: str) -> str:
        letter, digits, is_reversed, delimiters, plain = match.groups()
        if plain:
            return {"%": "%", "_": " ", "-": "%20"}[plain]
        letter = letter.lower()
        if letter in "sl":
            raise _End(Said.POLICY, "spf_asks_who")
        of_version = {4: "in-addr", 6: "ip6"}[self.address.version]
        values = {"o": self.domain, "d": domain, "i": _dotted(self.address), "p": "unknown", "v": of_version,
                  "h": self.helo}  # fmt: skip
        if letter not in values or digits == "0":
            raise _End(Said.PERMERROR, "spf_broken")
        parts = re.split(f"[{re.escape(delimiters or '.')}]", values[letter])
        parts = parts[::-1] if is_reversed else parts
        return ".".join(parts[-int(digits) :] if digits else parts)


def _modifiers(words: list[str]) -> dict[str, str]:
    """redirect= and exp=, each once at most; others are for future versions (RFC 7208 §6)."""
    found: dict[str, str] = {}
    for match in filter(None, map(_MODIFIER.fullmatch, words)):
        name = match[1].lower()
        if name in ("redirect", "exp"):
            if name in found or not _is_spec(match[2]):
                raise _End(Said.PERMERROR, "spf_broken")
            found[name] = match[2]
        elif "%" in _MACRO.sub("", match[2]):
            raise _End(Said.PERMERROR, "spf_broken")
    return found


def _mechanism(word: str) -> tuple[str, str, str, tuple[int, int]]:
    """(qualifier, name, spec, prefix lengths). Raises _End(PERMERROR) for what is none."""
    if match := _IP.fullmatch(word):
        qualifier, name, network, length = match.groups()
        return qualifier, name.lower(), _network(name.lower(), network, length), (32, 128)
    match = _MECHANISM.fullmatch(word)
    if match is None or match[2].lower().startswith("ip"):
        raise _End(Said.PERMERROR, "spf_broken")
    name, spec, tail = match[2].lower(), match[3], match[4] or ""
    cidr = _CIDR.fullmatch(tail)
    lengths = (int(cidr[1] or 32), int(cidr[2] or 128)) if cidr else (33, 129)
    is_wrong = (
        (tail and name not in _TAKES_CIDR)
        or lengths[0] > 32
        or lengths[1] > 128
        or (name in _MUST_NAME and not spec)
        or (name == "all" and spec is not None)
        or (spec is not None and not _is_spec(spec))
    )
    if is_wrong:
        raise _End(Said.PERMERROR, "spf_broken")
    return match[1], name, spec or "", lengths


def _network(name: str, network: str, length: str | None) -> str:
    try:
        found = ipaddress.ip_network(f"{network}/{length}" if length is not None else network, strict=False)
    except ValueError:
        raise _End(Said.PERMERROR, "spf_broken") from None
    if f"ip{found.version}" != name:
        raise _End(Said.PERMERROR, "spf_broken")
    return str(found)


def _holds(network: str, address: Address) -> bool:
    """Whether the address is in the network. Raises _End(POLICY) for a network as wide as the Internet."""
    try:
        found = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    if found.version != address.version or address not in found:
        return False
    if found.prefixlen < WIDEST[found.version]:
        raise _End(Said.POLICY, "spf_open")
    return True


def _is_spec(spec: str) -> bool:
    """domain-spec of RFC 7208 §7.1: ends in a name with a letter, or in a macro; every % is one."""
    return bool(_SPEC.fullmatch(spec)) and "%" not in _MACRO.sub("", spec)


def _is_plain(text: str) -> bool:
    return all(" " <= c <= "~" for c in text)


def _dotted(address: Address) -> str:
    return str(address) if address.version == 4 else ".".join(address.exploded.replace(":", ""))
