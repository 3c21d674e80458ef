"""Mail to our own return paths: receipts and ends of subscriptions, in place of reports."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from channels.codecs import mail, mail_bounce
from channels.codecs.mail_bounce import Came
from channels.codecs.return_path import Box, Returned, ReturnPath
from channels.codecs.stop_word import is_stop
from domain.errors import BadInput, HubError
from domain.parcel import DeliveryState, Receipt
from domain.report import Inbound
from intake.reading import Reading
from outbox import receipts
from sandbox.pool import Pool
from store import audience, inbox, journal
from store import receipts as receipt_book
from store.inbox import Arrived
from store.unit import Unit

FINDING = "return_path_unknown"  # it came to such an address, and we cannot say to which delivery
_STATES = {
    Came.FAILED: DeliveryState.FAILED,
    Came.DELIVERED: DeliveryState.DELIVERED,
    Came.RELAYED: DeliveryState.SENT,
}


class Act(StrEnum):
    """What settles such a mail."""

    NONE = ""
    RECEIPT = "receipt"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a mail to a return path is; Act.NONE: a letter, for the queue."""

    delivery_id: str = ""
    message_id: str = ""
    act: Act = Act.NONE
    came: Came = Came.LETTER
    code: str = ""
    is_only_a_stop: bool = False


def examine(arrived: Arrived, path: ReturnPath | None, pool: Pool, *, is_last_try: bool) -> Verdict | None:
    """What is known of the mail before anything is written; None when it came to no return path alone.

    Raises HubError when the parsers are not available, unless this is the last try: then a person reads it.
    """
    returned = _alone(arrived.inbound, path)
    if returned is None or path is None:
        return None
    if not returned.delivery_id:
        return Verdict()
    known = Verdict(delivery_id=returned.delivery_id, message_id=path.message_id(returned.delivery_id))
    parser = mail.read if returned.box is Box.UNSUBSCRIBE else mail_bounce.read
    try:
        said = pool.run(parser, arrived.inbound.raw, {"envelope_from": arrived.inbound.sender}).value
    except BadInput:
        return known
    except HubError:
        if not is_last_try:
            raise
        return known
    return _of_stop(known, said) if returned.box is Box.UNSUBSCRIBE else _of_bounce(known, said)


def settle(unit: Unit, arrived: Arrived, verdict: Verdict, at: datetime) -> bool:
    """Do what the verdict says, once: True when the arrival is filed with it and no report is to be made."""
    if verdict.act is Act.RECEIPT:
        return _take_receipt(unit, arrived, verdict, at)
    return verdict.act is Act.STOP and _end_subscription(unit, arrived, verdict, at)


def marked(found: Reading, verdict: Verdict | None) -> Reading:
    """The reading of a mail that goes into the queue, with the finding that nobody knows its delivery."""
    is_unknown = verdict is not None and (not verdict.delivery_id or verdict.act is Act.RECEIPT)
    return replace(found, findings=(*found.findings, FINDING)) if is_unknown else found


def _alone(inbound: Inbound, path: ReturnPath | None) -> Returned | None:
    """The return path a mail came to; a mail that also went to somebody else here is an ordinary one."""
    recipients = list(inbound.meta.get("rcpt_to") or [])
    if path is None or inbound.channel != "email" or len(recipients) != 1:
        return None
    return path.read(str(recipients[0]))


def _of_bounce(known: Verdict, said: Mapping[str, Any]) -> Verdict:
    came = Came(said["came"])
    return (
        known if came is Came.LETTER else replace(known, act=Act.RECEIPT, came=came, code=str(said["code"]))
    )


def _of_stop(known: Verdict, said: Mapping[str, Any]) -> Verdict:
    """A STOP in the subject or as the whole text; with more beside it a person reads the mail as well."""
    subject, text = str(said["subject"]), str(said["text"])
    if not is_stop(text) and not is_stop(subject):
        return known
    return replace(known, act=Act.STOP, is_only_a_stop=is_stop(text) or not text.strip())


def _take_receipt(unit: Unit, arrived: Arrived, verdict: Verdict, at: datetime) -> bool:
    of = _target(unit, verdict.delivery_id, at)
    if of is None or not inbox.move(unit, arrived, "file"):
        return False
    taken, state = "", _STATES.get(verdict.came)
    if state is not None:
        receipt = Receipt(
            channel="email", provider_id=of.provider_id or verdict.message_id, state=state,
            code=verdict.code or "bounced" * (state is DeliveryState.FAILED), delivery_id=verdict.delivery_id,
            received_at=arrived.inbound.received_at, raw=arrived.inbound.raw,
        )  # fmt: skip
        taken = receipts.take(unit, receipt, at).value
    journal.append(unit, "inbound", arrived.id, "returned", by="system", at=at,
                   detail={"delivery": verdict.delivery_id, "came": verdict.came.value, "taken": taken})  # fmt: skip
    return True


def _end_subscription(unit: Unit, arrived: Arrived, verdict: Verdict, at: datetime) -> bool:
    """Of the address that the mail of ours went to, whoever answers; a responsible person's goes to people."""
    of = _target(unit, verdict.delivery_id, at)
    if of is None or audience.ended_by(unit, arrived.id):
        return False
    scope = audience.opt_out(unit, "email", of.address, inbound=arrived.id, at=at)
    is_all = verdict.is_only_a_stop and scope != audience.RESPONSIBLE and inbox.move(unit, arrived, "file")
    journal.append(unit, "inbound", arrived.id, "opt_out", by="system", at=at, detail={"scope": scope})
    return is_all


def _target(unit: Unit, delivery_id: str, at: datetime) -> receipt_book.Target | None:
    asked = Receipt(
        channel="email", provider_id="", state=DeliveryState.FAILED, delivery_id=delivery_id, received_at=at
    )
    return receipt_book.target(unit, asked)
