"""Bulletins as hubs of our kind hand them on: numbered, with the path of the hubs that had them, and the heartbeat.

An envelope is JSON with the bytes of one bulletin; beside it lies a line of bulletin_seal over the whole. Every hub on
its path has signed what it was: the bulletin and the path up to itself, so that nobody puts another's name into it
(PROMISES H60). The heartbeat says how far the stream has come and what was last in it (R36).
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.codecs import bulletin_seal
from channels.codecs.cap_seal import Looked
from domain.errors import BadInput

TYPE = "application/vnd.tocsin.envelope+json"
HOPS = 8  # hubs that a bulletin goes through at most: state, province, city, county and back
LAST = 10  # bulletins that a heartbeat names
BYTES = 3 << 20  # of an envelope: 1 MB of CAP in base64, with its path
_PURPOSE = b"tocsin/hop/v1"
_HUB = re.compile(
    r"[\x21-\x2b\x2d-\x3b\x3d\x3f-\x7e]{1,200}"
)  # a sender id of CAP 1.2: no space, comma, < or &
_SHA256 = re.compile(r"[0-9a-f]{64}")

Hop = tuple[str, str]  # (hub, its line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One bulletin on its way. `path`: the hubs that had it, the first one first, the one that hands it on last.

    Without a body it says that there is nothing under its number: that was recalled first, or is one of a gap.
    """

    hub: str
    seq: int
    path: tuple[Hop, ...]
    body: bytes

    @property
    def hubs(self) -> tuple[str, ...]:
        """The names on its path."""
        return tuple(hub for hub, _ in self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """How far the stream of a hub has come. `last`: (number, SHA-256 of the envelope), the latest last."""

    hub: str
    at: datetime
    head: int
    last: tuple[tuple[int, str], ...]


def hop(body: bytes, before: Sequence[Hop], hub: str, key: Ed25519PrivateKey) -> Hop:
    """What `hub` signs when it hands on `body` that came by `before`."""
    return hub, bulletin_seal.sign(_said(body, [*(name for name, _ in before), hub]), key)


def look_at_hop(one: Envelope, n: int, pinned: Mapping[str, str]) -> Looked:
    """What the line of the n-th hub on the path proves, by keys that are pinned for it."""
    line = one.path[n][1]
    return bulletin_seal.look(_said(one.body, one.hubs[: n + 1]), line, pinned, ourselves="")


def write(one: Envelope) -> bytes:
    """The bytes that are signed and stored: the same for the same envelope."""
    return _json({
        "v": 1, "hub": one.hub, "seq": one.seq, "hops": len(one.path), "path": [list(hop) for hop in one.path],
        "sha256": hashlib.sha256(one.body).hexdigest(), "body": base64.b64encode(one.body).decode(),
    })  # fmt: skip


def read(data: bytes, _options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """``{"hub", "seq", "path"}`` and the bulletin as a blob; for the sandbox. Raises BadInput(bad_envelope | bad_hops)."""
    found = _object(data)
    path, hops = found.get("path"), found.get("hops")
    if type(hops) is not int or not isinstance(path, list) or not 1 <= hops <= HOPS or hops != len(path):
        raise BadInput(f"a path has 1 to {HOPS} hubs, and says how many", code="bad_hops")
    if not all(
        isinstance(one, list) and len(one) == 2 and _is_hub(one[0]) and _is_line(one[1]) for one in path
    ):
        raise BadInput("a path is of hubs and their signatures", code="bad_hops")
    hub, seq = found.get("hub"), found.get("seq")
    if not _is_hub(hub) or type(seq) is not int or not 0 < seq < 1 << 62 or path[-1][0] != hub:
        raise BadInput("an envelope names the hub that hands it on, last on its path", code="bad_envelope")
    try:
        body = base64.b64decode(str(found.get("body", "?")), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("no body", code="bad_envelope") from None
    if (not body and hops > 1) or hashlib.sha256(body).hexdigest() != found.get("sha256"):
        raise BadInput("not the body that it names", code="bad_envelope")
    return {"hub": hub, "seq": seq, "path": path}, [body]


def of_values(values: Mapping[str, Any], body: bytes) -> Envelope:
    """What read() told, as an envelope."""
    path = tuple((str(hub), str(line)) for hub, line in values["path"])
    return Envelope(hub=values["hub"], seq=values["seq"], path=path, body=body)


def write_heartbeat(one: Heartbeat, sign: Callable[[bytes], str]) -> bytes:
    """One file, for it is written anew each minute: a line of JSON, and the line that signs it."""
    last = [{"seq": seq, "sha256": sha256} for seq, sha256 in one.last]
    said = _json({"v": 1, "hub": one.hub, "at": one.at.isoformat(), "head": one.head, "last": last})
    return said + sign(said).encode() + b"\n"


def look_at_heartbeat(data: bytes, pinned: Mapping[str, str], *, ourselves: str) -> Looked:
    """What its second line proves."""
    said, _, line = data.partition(b"\n")
    return bulletin_seal.look(said + b"\n", line.decode("ascii", "replace"), pinned, ourselves=ourselves)


def read_heartbeat(data: bytes) -> Heartbeat:
    """Of bytes whose signature was found good. Raises BadInput(bad_heartbeat)."""
    data = data.partition(b"\n")[0]
    try:
        found = _object(data)
        at = datetime.fromisoformat(str(found["at"]))
        last = tuple((int(one["seq"]), str(one["sha256"])) for one in list(found["last"])[-LAST:])
        head = found["head"]
    except (BadInput, KeyError, TypeError, ValueError):
        raise BadInput("no heartbeat", code="bad_heartbeat") from None
    is_good = (
        _is_hub(found.get("hub")) and type(head) is int and 0 <= head < 1 << 62 and at.tzinfo is not None
    )
    if not is_good or not all(0 < seq <= head and _SHA256.fullmatch(sha256) for seq, sha256 in last):
        raise BadInput("no heartbeat", code="bad_heartbeat")
    return Heartbeat(hub=found["hub"], at=at, head=head, last=last)


def signer(hub: str, key: Ed25519PrivateKey) -> Callable[[bytes, Sequence[Hop]], Hop]:
    """hop() of one hub."""
    return lambda body, before: hop(body, before, hub, key)


def _said(body: bytes, hubs: Sequence[str]) -> bytes:
    return b"\0".join((_PURPOSE, hashlib.sha256(body).digest(), *(hub.encode() for hub in hubs)))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data) if len(data) <= BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("v") != 1:
        raise BadInput("no envelope of ours", code="bad_envelope")
    return found


def _is_hub(value: object) -> bool:
    return isinstance(value, str) and bool(_HUB.fullmatch(value))


def _is_line(value: object) -> bool:
    return isinstance(value, str) and len(value) <= bulletin_seal.LINE_MAX
