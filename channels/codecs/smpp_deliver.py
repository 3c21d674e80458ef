"""What a deliver_sm or data_sm says: a message from a phone, or the receipt of one of ours.

Sources: SMPP 3.4 §4.6 (deliver_sm), §4.7 (data_sm), §5.2.12 (esm_class), §5.2.28 (message_state), Appendix B (text of a receipt).
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from channels.codecs import smpp_pdu, sms_parts
from channels.codecs.smpp_pdu import BadPdu, Short, Tag
from domain.errors import BadInput
from domain.parcel import DeliveryState, Receipt
from domain.report import Inbound

MEDIA_TYPE = "application/x-smpp-deliver-sm"
DATA_TYPE = "application/x-smpp-data-sm"
REPEATED = timedelta(
    minutes=10
)  # the same octets within it are the same message, sent again for a lost answer
PREFIX = "smpp:"  # of the provider's names: channel sms has other providers beside
_KIND = 0x3C  # esm_class, bits 5-2
_RECEIPTS = (0x04, 0x20)  # delivery receipt, intermediate notification
_STATES = {  # §5.2.28
    1: DeliveryState.SENT,  # ENROUTE
    2: DeliveryState.DELIVERED,
    3: DeliveryState.FAILED,  # EXPIRED
    4: DeliveryState.FAILED,  # DELETED
    5: DeliveryState.FAILED,  # UNDELIVERABLE
    6: DeliveryState.SENT,  # ACCEPTED
    7: DeliveryState.SENT,  # UNKNOWN: nobody knows, so nothing is lowered
    8: DeliveryState.FAILED,  # REJECTED
}
_WORDS = {"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7,
          "REJECTD": 8}  # fmt: skip
_ID = re.compile(rb"\bid:\s*([\x21-\x7e]{1,64})", re.IGNORECASE)
_STAT = re.compile(rb"\bstat:\s*([A-Za-z]{7,9})", re.IGNORECASE)
_ERR = re.compile(rb"\berr:\s*([0-9A-Za-z]{1,10})", re.IGNORECASE)


def is_receipt(message: Short) -> bool:
    """Whether it reports on one of ours: by its kind, or by the name of one, which no phone can put there.

    Some centres leave esm_class at 0 and let the TLVs speak (§5.3.2.12).
    """
    return message.esm_class & _KIND in _RECEIPTS or Tag.RECEIPTED_MESSAGE_ID in message.tags


def receipt(message: Short, raw: bytes, *, ids: str, at: datetime) -> Receipt:
    """What it reports, by its TLVs, else by its text. `ids`: see provider_id().

    Raises BadInput(code="bad_shape" | "unknown_status").
    """
    text = message.content
    state = message.tags.get(Tag.MESSAGE_STATE, b"")
    tagged = message.tags.get(Tag.RECEIPTED_MESSAGE_ID, b"").partition(b"\0")[0]
    said, stat, err = _ID.search(text), _STAT.search(text), _ERR.search(text)
    number = tagged.decode("latin-1") or (said[1].decode("latin-1") if said else "")
    if not number:
        raise BadInput("a receipt of nothing", code="bad_shape")
    value = state[0] if len(state) == 1 else _WORDS.get(stat[1].decode().upper()[:7], 0) if stat else 0
    if value not in _STATES:
        raise BadInput("no state of a message", code="unknown_status")
    is_final = _STATES[value] is DeliveryState.FAILED
    code = err[1].decode() if err and is_final else ""
    return Receipt(
        channel="sms", provider_id=provider_id(number, ids, is_receipt=not tagged), state=_STATES[value],
        code=code.lstrip("0")[:20], received_at=at, raw=raw,
    )  # fmt: skip


def provider_id(number: str, ids: str, *, is_receipt: bool) -> str:
    """One name for a message, however its two places write it.

    `ids`: "same" compares them as texts; "hex_dec": a submit_sm_resp says it in hex and the text of a receipt in
    decimal, as Appendix B has it; "dec_hex" the other way. The TLV of a receipt is what the submit_sm_resp said.
    """
    base = {"hex_dec": 10 if is_receipt else 16, "dec_hex": 16 if is_receipt else 10}.get(ids)
    if base is not None:
        try:
            return f"{PREFIX}{int(number, base)}"[:80]
        except ValueError:
            pass
    return f"{PREFIX}{number.lower()}"[:80]


def inbound(
    body: bytes, message: Short | None, *, system: str, alphabet: str, at: datetime, media_type: str = MEDIA_TYPE
) -> Inbound:  # fmt: skip
    """A message from a phone as the door keeps it; one that nobody can read too.

    A deliver_sm has no name of its own. Its octets are its name, within REPEATED (see repeats()): a gateway sends it
    again when our answer was lost, and the same words of one phone within ten minutes say nothing new.
    """
    sender = address(message.source, message.source_ton) if message else ""
    meta = {"system": system, "alphabet": alphabet, "to": message.dest if message else ""}
    return Inbound(
        channel="sms", external_id=named(body, system=system, at=at), raw=body, media_type=media_type, received_at=at,
        sender=sender, meta={key: value for key, value in meta.items() if value},
    )  # fmt: skip


def named(body: bytes, *, system: str, at: datetime) -> str:
    """The name of these octets at that time."""
    digest = hashlib.sha256(system.encode() + b"\0" + body).hexdigest()[:40]
    return f"{PREFIX}{digest}.{int(at.timestamp() // REPEATED.total_seconds())}"


def address(text: str, ton: int) -> str:
    """An address as it is shown: international numbers with their +, all others as the gateway wrote them.

    12379, 95598 and ports of 106 are names, not numbers: nothing is put before them.
    """
    is_whole = ton == 1 and re.fullmatch(r"[1-9][0-9]{6,14}", text)
    return f"+{text}" if is_whole else text


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """What a message says, for `intake.reading`. Raises BadInput(code="bad_shape")."""
    try:
        is_data = options.get("media_type") == DATA_TYPE
        message = smpp_pdu.read_data(raw) if is_data else smpp_pdu.read_short(raw)
    except BadPdu:
        raise BadInput("no deliver_sm", code="bad_shape") from None
    default = str(options.get("alphabet") or "gsm7")
    share, octets, has_port = share_of(message)
    coding = sms_parts.coding_of(message.data_coding)
    text, findings = sms_parts.decode(octets, coding, default=default)
    findings += [sms_parts.BINARY] if has_port and sms_parts.BINARY not in findings else []
    findings += [] if text.strip() else ["no_readable_text"]
    sender = address(message.source, message.source_ton)
    found: dict[str, Any] = {"sender": sender, "text": text, "findings": findings}
    if share:
        who = f"smpp:{message.source}:{message.dest}"
        thread = f"{who}:{share.reference}:{share.total}"
        found["piece"] = {
            "correspondent": who, "thread": thread, "message": f"{thread}:{share.n}", "n": share.n,
            "total": share.total,
            "body": {"coding": message.data_coding, "octets": octets.hex(), "alphabet": default},
        }  # fmt: skip
    return found, []


def share_of(message: Short) -> tuple[sms_parts.Share | None, bytes, bool]:
    """(its part, its octets without a header, whether it is for a port)."""
    octets = message.content
    share, has_port = None, False
    if message.esm_class & sms_parts.UDHI:
        share, octets, has_port = sms_parts.header(octets)
    if share is None and Tag.SAR_TOTAL_SEGMENTS in message.tags:
        reference, total, n = (
            int.from_bytes(message.tags.get(tag, b"")[:2], "big")
            for tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
        )
        if 1 < total <= sms_parts.MOST_PARTS and 1 <= n <= total:
            share = sms_parts.Share(reference=reference, total=total, n=n)
    return share, octets, has_port
