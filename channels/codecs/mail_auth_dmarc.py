"""DMARC (RFC 7489): what the domain in From asks of mail that claims to be from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from channels.codecs.mail_auth_dkim import tags
from channels.codecs.mail_auth_domains import organisation

ENFORCED = ("quarantine", "reject")  # a domain that asks for less does not vouch for its mail
RECORD_MAX = 4096  # letters; a record has a few hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The record in force for a domain; `reason` says why it is worth nothing."""

    domain: str = ""  # where it was found
    asks: str = ""  # none | quarantine | reject
    is_strict_dkim: bool = False
    is_strict_spf: bool = False
    reason: str = ""


def questions(author: str) -> list[tuple[str, str]]:
    """Where a record may stand: at the domain, then at its organisation."""
    names = dict.fromkeys(filter(None, (author, organisation(author))))
    return [("TXT", f"_dmarc.{name}") for name in names]


def policy(author: str, answers: Mapping[str, Mapping[str, Any]]) -> Policy:
    """The policy for mail from `author`; `answers` hold those to `questions`. Two records are none."""
    for kind, name in questions(author):
        answer, domain = answers[f"{kind} {name}"], name.removeprefix("_dmarc.")
        if answer["status"] == "failed":
            return Policy(domain=domain, reason="dns_unavailable")
        records = [text for text in answer["records"] if text.replace(" ", "").startswith("v=DMARC1")]
        if len(records) > 1:
            return Policy(domain=domain, reason="dmarc_twice")
        if records:
            return _read(records[0], domain, is_own=domain == author)
    return Policy(reason="dmarc_missing")


def _read(record: str, domain: str, *, is_own: bool) -> Policy:
    found = tags(record) if len(record) <= RECORD_MAX else None
    if found is None or next(iter(found)) != "v":
        return Policy(domain=domain, reason="dmarc_broken")
    asks = found.get("p", "") if is_own else found.get("sp", found.get("p", ""))
    if asks.lower() not in ENFORCED or found.get("pct", "100") != "100" or found.get("t", "n").lower() == "y":
        return Policy(domain=domain, asks=asks.lower()[:10], reason="dmarc_monitors")
    return Policy(
        domain=domain,
        asks=asks.lower(),
        is_strict_dkim=found.get("adkim", "r").lower() == "s",
        is_strict_spf=found.get("aspf", "r").lower() == "s",
    )
