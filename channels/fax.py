"""Faxes that a fax server drops as files, or a gateway sends as mails."""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from channels.codecs.charsets import decode
from domain.report import Inbound

CHANNEL = "fax"


def dropped(raw: bytes, *, name: str, day: str, at: datetime) -> Inbound:
    """A file of the drop folder; `name` with the subfolders that it lay in, which tell of the line or the day.

    The same bytes on one day are one fax: servers write a file again when they restart.
    """
    folder, _, own = name.rpartition("/")  # a number of a folder is the line's, never the caller's
    meta = {"name": storable(own)[:200]} | ({"folder": storable(folder)[-200:]} if folder else {})
    return Inbound(
        channel=CHANNEL, external_id=external_id(raw, day), raw=raw, media_type="application/octet-stream",
        received_at=at, meta=meta,
    )  # fmt: skip


def storable(name: str) -> str:
    """The name of a file as a text: bytes that are no UTF-8 are read as the server's own set, in China GB18030."""
    return decode(name.encode("utf-8", "surrogateescape"))[0]


def external_id(raw: bytes, day: str) -> str:
    """By which the door knows a file again."""
    return f"{hashlib.sha256(raw).hexdigest()}:{day}"


def of_gateway(mail: Inbound, gateways: Collection[str]) -> Inbound:
    """The mail as a fax when its envelope is that of a gateway, else as it is.

    Whoever can forge that envelope can send us a fax under any number as well: what is in it proves nothing.
    """
    if mail.channel == "email" and mail.sender.lower() in gateways:
        return replace(mail, channel=CHANNEL)
    return mail
