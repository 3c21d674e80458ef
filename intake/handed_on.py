"""Bulletins that another hub hands on: believed by its signature, taken once however they come round, handed on in turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from channels.codecs import bulletin_seal, envelope
from channels.codecs.cap_seal import Looked, Seal
from channels.codecs.envelope import HOPS, Envelope, Hop
from domain.bulletin import Standing
from domain.errors import BadInput
from sandbox.pool import Pool
from store import bulletins, peers, streams
from store.arrivals import Arrival
from store.database import Store
from store.peers import Peer
from store.unit import Unit

PASSED_ON = "passed_on"  # the peer vouches for it; who said it first has no key here


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A bulletin out of its envelope: its bytes, the hubs that had it, and what is known of who said it first."""

    body: bytes
    path: tuple[Hop, ...]
    looked: Looked


class Empty(Exception):
    """Nothing stands under its number."""


class Looped(Exception):
    """It bears our own signature on its path: it was here before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Opens envelopes; built once by the wiring."""

    store: Store
    pool: Pool
    ourselves: str
    own_key: str  # our public key, by which we know our own signature again

    def open(self, one: Arrival, peer: Peer) -> Taken:
        """The bulletin in an envelope of `peer`. Raises Looped, Empty, or BadInput with the reason for the shelf."""
        mine = {
            key.id: key.material
            for key in self.store.read(lambda u: peers.keys_of(u, peer.id, kind="ed25519"))
        }
        looks = [
            bulletin_seal.look(one.raw, line, mine, ourselves=self.ourselves).seal
            for line in one.signatures or [""]
        ]
        if Seal.VERIFIED not in looks:
            raise BadInput("not signed by a pinned key of this peer", code=f"envelope_{looks[0].value}")
        result = self.pool.run(envelope.read, one.raw, {})
        found = envelope.of_values(result.value, result.blobs[0])
        if found.hub != peer.hub or urlsplit(one.url).path.rpartition("/")[2] != f"{found.seq}.json":
            raise BadInput("not what was asked for", code="bad_envelope")
        looked = self._path(found, mine)
        if not found.body:
            raise Empty
        return Taken(body=found.body, path=found.path, looked=looked)

    def _path(self, one: Envelope, mine: Mapping[str, str]) -> Looked:
        """What the path proves of who said it first. Raises Looped, BadInput(forged_path)."""
        hubs = one.hubs
        known = self.store.read(lambda unit: peers.keys_by_hub(unit, hubs)) | {one.hub: dict(mine)}
        seen = [envelope.look_at_hop(one, n, self._keys(hub, known)) for n, hub in enumerate(hubs)]
        is_forged = any(
            looked.seal in (Seal.BROKEN, Seal.UNSUPPORTED)
            or (
                looked.seal is Seal.UNKNOWN_KEY and known.get(hub)
            )  # its keys are here, and this is none of them
            for hub, looked in zip(hubs, seen, strict=True)
        )
        if is_forged or len(set(hubs)) < len(hubs) or seen[-1].seal is not Seal.VERIFIED:
            raise BadInput("a path that its hubs have not signed", code="forged_path")
        if self.ourselves in hubs:
            if seen[hubs.index(self.ourselves)].seal is not Seal.VERIFIED:
                raise BadInput("our name, and not our signature", code="forged_path")
            raise Looped
        if seen[0].seal is Seal.VERIFIED:
            return seen[0]
        return Looked(seal=Seal.NONE, reason=PASSED_ON)

    def _keys(self, hub: str, known: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
        return {"ourselves": self.own_key} if hub == self.ourselves else known.get(hub, {})


def _nobody(_unit: Unit, _bulletin: str, _body: bytes, _path: Sequence[Hop], _at: datetime) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How this hub treats what is handed on: `opener` None, and envelopes are not read."""

    opener: Opener | None = None
    hand_on: Callable[[Unit, str, bytes, Sequence[Hop], datetime], None] = field(default=_nobody)


def hand_on(unit: Unit, bulletin: str, body: bytes, path: Sequence[Hop], at: datetime) -> None:
    """Into our stream, in the transaction that takes it in: only what counts here, and is for all."""
    found = bulletins.get(unit, bulletin)
    if (
        found is None
        or found.state is not Standing.CURRENT
        or len(path) >= HOPS
        or streams.has(unit, bulletin)
    ):
        return
    if found.seal == Seal.VERIFIED.value or found.seal_reason == PASSED_ON:
        streams.add(unit, body, path=path, bulletin=bulletin, at=at)


def sealed(alerts: Sequence[dict[str, Any]], looked: Looked) -> Sequence[dict[str, Any]]:
    """The alerts of an envelope: what their own signature does not say is said by who handed them on."""
    for alert in alerts:
        if alert["seal"] not in (Seal.VERIFIED.value, Seal.BROKEN.value):
            alert |= {"seal": looked.seal.value, "seal_key": looked.key, "seal_reason": looked.reason}
    return alerts
