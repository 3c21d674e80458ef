"""Is a mail from whom it says: DKIM, SPF and DMARC brought to one verdict; runs in the sandbox.

`claims` reads the mail; `judge` is called again and again, each time with more DNS answers, until it asks
for none. So strangers' bytes and keys are handled without a network, and the network without them.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.codecs import mail_auth_dkim as dkim
from channels.codecs import mail_auth_dmarc as dmarc
from channels.codecs import mail_auth_spf as spf
from channels.codecs.mail_auth_domains import alike, ascii_domain, is_lookalike
from channels.codecs.mail_headers import addresses
from channels.codecs.mime import HEADER_MAX, first, header_block
from domain.sender import Verdict

# Fields of which a mail has exactly one. Signers cover each once, so a second one rides along unsigned.
ONCE = ("from", "subject", "date", "to", "message-id")
AT_MOST_ONCE = (
    *ONCE,
    "reply-to",
    "sender",
    "cc",
    "content-type",
    "content-transfer-encoding",
    "mime-version",
)
_COMMENT = re.compile(rb"\([^()]*\)")


def claims(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """{author, marks, claims, message_id}. `options`: ``received_at``, ``names`` (ours), ``known`` (domains).

    `marks` are what takes all trust from a mail, whoever has signed it. `author` is the domain in From.
    """
    shown, _, size = header_block(raw, is_top=True)
    found = dkim.split(raw)
    fields, body = found or ([], b"")
    author = _author(shown)
    marks = [*_marks(shown, fields, raw)]
    if size > HEADER_MAX or found is None or [name.decode() for name, _ in fields] != [n for n, _ in shown]:
        marks.append("header_unclear")
    if any(_is_ours(value, options["names"]) for name, value in shown if name == "authentication-results"):
        marks.append("forged_results")
    if author and is_lookalike(author, options["known"]):
        marks.append("domain_lookalike")
    if not author:
        marks.append("no_domain")
    at = datetime.fromisoformat(options["received_at"])
    signatures = dkim.claims(fields, body, author=author, at=at) if size <= HEADER_MAX else []
    return {
        "author": author,
        "marks": list(dict.fromkeys(marks)),
        "claims": [claim.value() for claim in signatures],
        "message_id": first(shown, "message-id").decode("latin-1"),
    }, []


def judge(_: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """{ask: [[type, name]]}, or {verdict, reasons, results, seal} once nothing is left to ask.

    `options`: what `claims` returned, ``peer, helo, sender`` of the envelope, ``answers`` so far. `seal` names
    the signed mail itself, the same however often it comes.
    """
    answers, author = options["answers"], options["author"]
    signatures = [dkim.Claim(**claim) for claim in options["claims"]]
    wanted = [claim.question for claim in signatures if not claim.fault]
    wanted += dmarc.questions(author) if author else []
    envelope = {name: options[name] for name in ("peer", "sender", "helo")}
    try:
        allowed = spf.check(**envelope, answers=answers)
    except spf.Ask as more:
        wanted.append(more.question)
    ask = [question for question in dict.fromkeys(wanted) if " ".join(question) not in answers]
    if ask:
        return {"ask": [list(question) for question in ask]}, []
    signed = [(claim, *dkim.verify(claim, answers.get(" ".join(claim.question), {}))) for claim in signatures]
    policy = dmarc.policy(author, answers) if author else dmarc.Policy(reason="no_domain")
    good = [
        c
        for c, said, _ in signed
        if said == "pass" and alike(c.domain, author, is_strict=policy.is_strict_dkim)
    ]
    is_allowed = allowed.said is spf.Said.PASS and alike(
        allowed.domain, author, is_strict=policy.is_strict_spf
    )
    verdict, reasons = _verdict(
        options["marks"], policy, signed, allowed, is_vouched=bool(good) or is_allowed
    )
    return {
        "verdict": verdict.value,
        "reasons": reasons,
        "results": _results(author, signed, allowed, policy, is_vouched=bool(good) or is_allowed),
        "seal": _seal(good[0], options["message_id"]) if good and verdict is Verdict.VERIFIED else "",
    }, []


def _verdict(
    marks: Sequence[str], policy: dmarc.Policy, signed: Sequence[tuple[dkim.Claim, str, str]],
    allowed: spf.Outcome, *, is_vouched: bool,
) -> tuple[Verdict, list[str]]:  # fmt: skip
    """A mark beats everything; a DNS that did not answer leaves the question open; then DMARC decides."""
    faults = [reason for _, said, reason in signed if said != "pass" and reason != "not_looked_at"]
    faults += [allowed.reason] if allowed.reason else []
    if not signed:
        faults.append("not_signed")
    elif not is_vouched and any(said == "pass" for _, said, _ in signed):
        faults.insert(0, "signed_by_others")
    if len(signed) > dkim.LOOKED_AT:
        faults.append("many_signatures")
    reasons = list(dict.fromkeys([*marks, *filter(None, [policy.reason]), *([] if is_vouched else faults)]))
    if marks:
        return Verdict.UNVERIFIED, reasons
    if "dns_unavailable" in reasons and (policy.reason or not is_vouched):
        is_open = policy.reason in ("", "dns_unavailable")
        return (Verdict.UNCHECKED if is_open else Verdict.UNVERIFIED), reasons
    if is_vouched and not policy.reason:
        return Verdict.VERIFIED, []
    return Verdict.UNVERIFIED, reasons


def _results(
    author: str, signed: Sequence[tuple[dkim.Claim, str, str]], allowed: spf.Outcome, policy: dmarc.Policy,
    *, is_vouched: bool,
) -> dict[str, Any]:  # fmt: skip
    """For the record, in the words of RFC 8601 §2.7."""
    no_policy = "temperror" if policy.reason == "dns_unavailable" else "permerror"
    of_policy = {"": "pass" if is_vouched else "fail", "dmarc_missing": "none", "dmarc_monitors": "none"}
    return {
        "from": author,
        "dkim": [
            {"result": said, "domain": c.domain, "selector": c.selector[:63], "reason": reason}
            for c, said, reason in signed
        ],
        "spf": {"result": allowed.said.value, "domain": allowed.domain, "reason": allowed.reason},
        "dmarc": {"result": of_policy.get(policy.reason, no_policy), "domain": policy.domain,
                  "policy": policy.asks, "reason": policy.reason},
    }  # fmt: skip


def _marks(shown: Sequence[tuple[str, bytes]], fields: Sequence[dkim.Field], raw: bytes) -> Iterator[str]:
    counts = {name: [n for n, _ in shown].count(name) for name in AT_MOST_ONCE}
    counts |= {n: max(counts[n], [f.decode() for f, _ in fields].count(n)) for n in AT_MOST_ONCE}
    if any(n > 1 for n in counts.values()):
        yield "field_twice"
    if any(counts[name] == 0 for name in ONCE):
        yield "field_missing"
    pairs = raw.count(b"\r\n")
    if raw.count(b"\n") != pairs or raw.count(b"\r") != pairs:  # where lines end depends on who reads
        yield "header_unclear"


def _author(shown: Sequence[tuple[str, bytes]]) -> str:
    """The domain of the one address in From; '' when there are more or none."""
    found = [a for a in addresses(first(tuple(shown), "from")[:4_000], most=3) if a.address or a.name]
    return ascii_domain(found[0].address.rpartition("@")[2]) if len(found) == 1 else ""


def _is_ours(value: bytes, names: Sequence[str]) -> bool:
    """Whether a field of results (RFC 8601 §2.2) is signed with a name of this hub: it can only be forged."""
    said = _COMMENT.sub(b"", value[:1_000]).split(b";")[0].split()
    return bool(said) and said[0].decode("latin-1").strip('".').lower() in names


def _seal(claim: dkim.Claim, message_id: str) -> str:
    """The signed mail by (d, bh, Message-ID); where the id is not signed, by the signature itself."""
    name = message_id if claim.covers_id else claim.signature
    return hashlib.sha256("\0".join((claim.domain, claim.body_hash, name)).encode()).hexdigest()
