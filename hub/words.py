"""Who understands the words that waited in the spool: the switchboard's, and what a provider said of a message."""

import json
from dataclasses import asdict
from datetime import datetime

from domain.call import DeskAct, DeskCall
from domain.report import Inbound
from hub.settings import Settings
from hub.wires import SmsDoor
from intake import rings
from intake.spool import Spool
from intake.words import SPOOL, Words, word
from outbox import receipts
from store.unit import Unit

CTI, RECEIPT = "cti", "receipt"


def words(settings: Settings, twilio: SmsDoor) -> Words:
    """Of one hub."""

    def receipt(unit: Unit, word: Inbound) -> None:
        query, signer = str(word.meta["query"]), str(word.meta["signer"])
        receipts.take(unit, twilio.parse_status(word.raw, query, signer, word.received_at), word.received_at)

    return Words(spool=Spool(settings.data_dir / "spool" / SPOOL), puts={CTI: _ring, RECEIPT: receipt})


def of_call(said: DeskCall, at: datetime) -> Inbound:
    """A word of the switchboard."""
    return word(CTI, json.dumps(asdict(said)).encode(), of=said.call_id, at=at)


def of_receipt(raw: bytes, query: str, signer: str, at: datetime) -> Inbound:
    """A callback of a provider whose signature is known to be good."""
    return word(RECEIPT, raw, of=query, at=at, query=query, signer=signer)


def _ring(unit: Unit, word: Inbound) -> None:
    said = json.loads(word.raw)
    call = DeskCall(**said | {"act": DeskAct(said["act"]), "agents": tuple(said["agents"])})
    rings.take(unit, call, word.received_at)
