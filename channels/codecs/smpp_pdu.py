"""The bytes of SMPP 3.4: a header, mandatory fields in order, then tagged optional ones.

Source: "Short Message Peer to Peer Protocol Specification v3.4", Issue 1.2: §3.2 (header), §4 (operations),
§5.1 (parameters), §5.3 (TLVs). Ours, since the libraries of Python block a thread, are under the LGPL, or leave the
receipt of a deliver_sm to a callback that cannot wait for a COMMIT (docs/decisions).
"""

import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

HEADER = 16
LARGEST = 70_000  # octets of a PDU: a message_payload of 65,535 and its fields; more is not SMPP
_RESPONSE = 0x80000000


class Command(IntEnum):
    """§5.1.2.1."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER = 0x00000002
    BIND_TRANSMITTER_RESP = 0x80000002
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    DATA_SM = 0x00000103
    DATA_SM_RESP = 0x80000103
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015


class Status(IntEnum):
    """§5.1.3: those that this side acts upon or says."""

    OK = 0x00
    INVMSGLEN = 0x01
    INVCMDLEN = 0x02
    INVCMDID = 0x03
    INVBNDSTS = 0x04
    ALYBND = 0x05
    SYSERR = 0x08
    INVSRCADR = 0x0A
    INVDSTADR = 0x0B
    BINDFAIL = 0x0D
    INVPASWD = 0x0E
    INVSYSID = 0x0F
    MSGQFUL = 0x14
    INVDSTTON = 0x50
    INVDSTNPI = 0x51
    THROTTLED = 0x58
    INVESMCLASS = 0x43
    SUBMITFAIL = 0x45
    X_T_APPN = 0x64  # ESME receiver temporary error: the other side tries again
    X_P_APPN = 0x65
    X_R_APPN = 0x66
    UNKNOWNERR = 0xFF


class Tag(IntEnum):
    """§5.3.2."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    MESSAGE_PAYLOAD = 0x0424
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_STATE = 0x0427


class BadPdu(Exception):
    """Bytes that are no PDU; the session cannot find the next one behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pdu:
    """One of them. `body` is what follows the header."""

    command: int
    status: int = Status.OK
    sequence: int
    body: bytes = b""

    def pack(self) -> bytes:
        """The bytes on the wire."""
        return (
            struct.pack(">4I", HEADER + len(self.body), self.command, self.status, self.sequence) + self.body
        )

    @property
    def is_response(self) -> bool:
        """Whether it answers one of ours."""
        return bool(self.command & _RESPONSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """The fields of submit_sm and deliver_sm, which are the same (§4.4.1, §4.6.1)."""

    service_type: str = ""
    source: str = ""
    source_ton: int = 0
    source_npi: int = 0
    dest: str = ""
    dest_ton: int = 0
    dest_npi: int = 0
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule: str = ""
    validity: str = ""
    registered_delivery: int = 0
    replace: int = 0
    data_coding: int = 0
    default_message: int = 0
    message: bytes = b""
    tags: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The message, wherever it is carried (§5.3.2.32)."""
        return self.message or self.tags.get(Tag.MESSAGE_PAYLOAD, b"")


def length(header: bytes) -> int:
    """How long the PDU is that begins with these 4 bytes. Raises BadPdu."""
    (size,) = struct.unpack(">I", header)
    if not HEADER <= size <= LARGEST:
        raise BadPdu(f"a length of {size}")
    return int(size)


def unpack(data: bytes) -> Pdu:
    """A whole PDU. Raises BadPdu."""
    if len(data) < HEADER or length(data[:4]) != len(data):
        raise BadPdu("cut short")
    _, command, status, sequence = struct.unpack(">4I", data[:HEADER])
    return Pdu(command=command, status=status, sequence=sequence, body=data[HEADER:])


def bind(*, system_id: str, password: str, system_type: str = "") -> bytes:
    """The body of any bind (§4.1): version 3.4, no address range."""
    return _text(system_id, 16) + _text(password, 9) + _text(system_type, 13) + b"\x34\x00\x00\x00"


def read_bind(body: bytes) -> tuple[str, str]:
    """(system_id, password) of a bind."""
    fields = _Fields(body)
    return fields.text(16), fields.text(9)


def name(text: str) -> bytes:
    """The body of an answer that is one name: a system_id or a message_id."""
    return _text(text, 65)


def read_name(body: bytes) -> str:
    """The name in an answer; '' when there is none."""
    return _Fields(body).text(65) if body else ""


def short(given: Short) -> bytes:
    """The body of a submit_sm or deliver_sm. Raises BadPdu for what does not fit."""
    if len(given.message) > 254:
        raise BadPdu("a short message has 254 octets")
    head = _text(given.service_type, 6)
    head += bytes((given.source_ton, given.source_npi)) + _text(given.source, 21)
    head += bytes((given.dest_ton, given.dest_npi)) + _text(given.dest, 21)
    head += bytes((given.esm_class, given.protocol_id, given.priority))
    head += _text(given.schedule, 17) + _text(given.validity, 17)
    head += bytes((given.registered_delivery, given.replace, given.data_coding, given.default_message))
    head += bytes((len(given.message),)) + given.message
    return head + b"".join(struct.pack(">2H", tag, len(value)) + value for tag, value in given.tags.items())


def read_short(body: bytes) -> Short:
    """The fields of a submit_sm or deliver_sm. Raises BadPdu."""
    f = _Fields(body)
    service = f.text(6)
    source_ton, source_npi, source = f.octet(), f.octet(), f.text(21)
    dest_ton, dest_npi, dest = f.octet(), f.octet(), f.text(21)
    esm_class, protocol_id, priority = f.octet(), f.octet(), f.octet()
    schedule, validity = f.text(17), f.text(17)
    registered, replace, coding, default = f.octet(), f.octet(), f.octet(), f.octet()
    message = f.take(f.octet())
    return Short(
        service_type=service, source=source, source_ton=source_ton, source_npi=source_npi, dest=dest,
        dest_ton=dest_ton, dest_npi=dest_npi, esm_class=esm_class, protocol_id=protocol_id, priority=priority,
        schedule=schedule, validity=validity, registered_delivery=registered, replace=replace, data_coding=coding,
        default_message=default, message=message, tags=f.tags(),
    )  # fmt: skip


def data(given: Short) -> bytes:
    """The body of a data_sm (§4.7.1); the message of `given` goes into its message_payload. Raises BadPdu."""
    body = _text(given.service_type, 6)
    body += bytes((given.source_ton, given.source_npi)) + _text(given.source, 65)
    body += bytes((given.dest_ton, given.dest_npi)) + _text(given.dest, 65)
    body += bytes((given.esm_class, given.registered_delivery, given.data_coding))
    tags = dict(given.tags) | ({int(Tag.MESSAGE_PAYLOAD): given.message} if given.message else {})
    return body + b"".join(struct.pack(">2H", tag, len(value)) + value for tag, value in tags.items())


def read_data(body: bytes) -> Short:
    """The fields of a data_sm, which has no message but in an optional field (§4.7.1). Raises BadPdu."""
    f = _Fields(body)
    service = f.text(6)
    source_ton, source_npi, source = f.octet(), f.octet(), f.text(65)
    dest_ton, dest_npi, dest = f.octet(), f.octet(), f.text(65)
    esm_class, registered, coding = f.octet(), f.octet(), f.octet()
    return Short(
        service_type=service, source=source, source_ton=source_ton, source_npi=source_npi, dest=dest,
        dest_ton=dest_ton, dest_npi=dest_npi, esm_class=esm_class, registered_delivery=registered,
        data_coding=coding, tags=f.tags(),
    )  # fmt: skip


class _Fields:
    """Reads a body from its beginning. Raises BadPdu where it ends too early."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def octet(self) -> int:
        return self.take(1)[0]

    def take(self, count: int) -> bytes:
        found = self._body[self._at : self._at + count]
        if len(found) < count:
            raise BadPdu("it ends inside a field")
        self._at += count
        return found

    def text(self, most: int) -> str:
        """A C-octet string; one that is too long for its field is taken all the same, some gateways send it."""
        end = self._body.find(b"\0", self._at, self._at + max(most, 256))
        if end < 0:
            raise BadPdu("a text does not end")
        found = self._body[self._at : end]
        self._at = end + 1
        return found.decode("latin-1")

    def tags(self) -> dict[int, bytes]:
        """The optional fields; of two alike the first. Zeros that fill up the end are none.

        What breaks off there takes nothing from the mandatory fields, which say who sent what.
        """
        found: dict[int, bytes] = {}
        with contextlib.suppress(BadPdu):
            while any(self._body[self._at :]):
                tag, size = struct.unpack(">2H", self.take(4))
                found.setdefault(tag, self.take(size))
        return found


def _text(text: str, most: int) -> bytes:
    data = text.encode("latin-1", "replace").replace(b"\0", b"")
    if len(data) >= most:
        raise BadPdu(f"{text[:20]!r} does not fit {most - 1} octets")
    return data + b"\0"
