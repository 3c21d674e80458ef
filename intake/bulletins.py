"""Bulletins of peers: kept as they came before anybody is told so, read afterwards, entered with all that is wrong."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from channels.codecs import bulletin_file, bulletin_seal
from channels.codecs.bulletin_bytes import charset_of
from channels.codecs.cap_seal import Looked, Seal
from channels.codecs.envelope import Hop
from domain.bulletin import ArrivalState, Said
from domain.errors import BadInput, HubError, Unavailable
from domain.handling import Handling, Mode
from domain.ids import mint
from domain.instants import of_our_days
from domain.report import Inbound, Kept
from intake import draining, handed_on, held, proofs, same_event
from intake.draining import Frame
from intake.handed_on import Empty, Looped, Way
from intake.spool import Spool
from sandbox.pool import Pool
from store import arrivals, bulletins, journal, peers
from store import proofs as proofs_heard
from store.arrivals import Arrival, Arriving
from store.blobs import Blobs, note
from store.bulletins import Around, Entered
from store.database import Store
from store.inbox import INLINE
from store.unit import Unit

CHANNEL = "peer"  # in the spool's frames
LIFTED = "application/cap+xml;lifted=yes"  # the type of an alert that was cut out of a feed
TRIES = 5  # readings that failed for a passing reason; then the shelf
WAIT = timedelta(seconds=20)
CANNOT = "cannot_be_read"  # why it is shelved: what is wrong is ours, and nobody knows it yet


def arriving(
    raw: bytes,
    *,
    peer: str,
    media_type: str,
    at: datetime,
    url: str = "",
    signature: str = "",
    blob: str = "",
) -> Arriving:
    """Bytes under the id that they will be kept by."""
    return Arriving(id=mint("bar", at), peer=peer, raw=raw, media_type=media_type[:120], url=url, signature=signature,
                    blob=blob, at=at)  # fmt: skip


def keep_many(unit: Unit, some: Sequence[Arriving]) -> list[tuple[str, bool]]:
    """Keep in the caller's transaction: (id, whether it is new) of each."""
    for one in some:
        if one.blob:
            note(unit, one.blob, len(one.raw), Handling.INTERNAL, one.at)
    return arrivals.keep_many(unit, some)


async def take(one: Arriving, *, name: str, store: Store, blobs: Blobs, spool: Spool) -> tuple[str, bool]:
    """What the door awaits before it says "taken": (id, whether it is new); in the spool while the database is down.

    `name`: of the peer, should it be unknown. Safe to repeat. Raises Unavailable when it could be kept nowhere.
    """
    try:
        if len(one.raw) > INLINE:
            blob = await asyncio.to_thread(blobs.put, one.raw)
            one = Arriving(**{**one.__dict__, "blob": blob})
        return await store.item(keep_many, one)
    except (Unavailable, OSError):  # an unknown COMMIT too: the drain finds the row by its key
        kept = await asyncio.to_thread(spool.put, *_frame(one, name))
        return kept.inbound_id, kept.is_fresh


def drain(spool: Spool, *, store: Store, blobs: Blobs, clock: Callable[[], datetime]) -> list[str]:
    """Bring what waits in the spool into the database, as draining.drain() does; ids of the fresh arrivals."""

    def keep(some: Sequence[Frame]) -> list[str]:
        at, arriving = clock(), [_of_frame(one, blobs) for one in some]

        def work(unit: Unit) -> list[tuple[str, bool]]:
            for one in some:
                peers.ensure_push(unit, one.inbound.sender, str(one.inbound.meta.get("name", "")), at)
            return keep_many(unit, arriving)

        return [arrival_id for arrival_id, is_fresh in store.run(work) if is_fresh]

    return draining.drain(spool, keep, store=store, clock=clock)


def _of_frame(one: Frame, blobs: Blobs) -> Arriving:
    inbound = one.inbound
    return Arriving(
        id=one.minted.inbound_id, peer=inbound.sender, raw=inbound.raw, media_type=inbound.media_type,
        signature=str(inbound.meta.get("signature", "")), at=inbound.received_at,
        blob=blobs.put(inbound.raw) if len(inbound.raw) > INLINE else "",
    )  # fmt: skip


def _frame(one: Arriving, name: str) -> tuple[Inbound, Kept]:
    beside = f":{hashlib.sha256(one.signature.encode()).hexdigest()}" if one.signature else ""
    inbound = Inbound(
        channel=CHANNEL, external_id=f"{one.peer}:{one.sha256}{beside}", raw=one.raw, media_type=one.media_type,
        received_at=one.at, sender=one.peer, meta={"signature": one.signature, "name": name},
    )  # fmt: skip
    return inbound, Kept(inbound_id=one.id, report_id="", code="", is_fresh=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Makes bulletins of arrivals; built once by the wiring."""

    store: Store
    blobs: Blobs
    pool: Pool
    mode: Mode
    ourselves: str  # our CAP sender id
    clock: Callable[[], datetime]
    on_bug: Callable[[str, Exception], object] = field(default=lambda _what, _error: None)
    way: Way = field(default_factory=Way)
    proof_key: bytes = b""  # makes the marks of synthetic bulletins; b"": there are none

    def read(self, arrival_id: str) -> ArrivalState | None:
        """Read one; where it stands then, None when there was nothing to do. Safe to run twice and side by side."""
        try:
            return self._read(arrival_id)
        except Unavailable:  # the store, or no child: nothing is wrong with the bytes
            raise
        except Exception as error:  # one must not be tried for ever, nor be lost
            if not isinstance(error, HubError | OSError):
                self.on_bug("read", error)
            return self._not_read(arrival_id, error.code if isinstance(error, HubError) else CANNOT)

    def _read(self, arrival_id: str) -> ArrivalState | None:
        one = self.store.read(lambda unit: arrivals.load(unit, arrival_id, self.blobs.get))
        if one is None or one.state is not ArrivalState.RECEIVED:
            return None
        if not one.raw:  # signed once more, by somebody else: they are held, and say the same
            return self._let_go(one, lambda _: None)
        try:
            told, body, path = self._opened(one)
        except Looped:
            return self._let_go(one, lambda unit: self._looped(unit, one))
        except Empty:
            return self._let_go(one, lambda _: None)
        except BadInput as error:
            return self._shelve(one, error.code)
        except (HubError, OSError):
            if one.tries >= TRIES:
                return self._shelve(one, "parser_unavailable")
            self.store.run(lambda unit: arrivals.postpone(unit, arrival_id, self.clock() + WAIT))
            return ArrivalState.RECEIVED
        at = self.clock()
        if mark := proofs.is_bulletin(self.proof_key, one.raw):
            return self._let_go(one, lambda unit: proofs_heard.proved(unit, mark.channel, mark.proof, at))
        blob = self._durable(one) if held.first_marked(told) is not None else ""
        is_mine = self.store.run(lambda unit: self._enter(unit, one, told, (body, path, blob), at))
        return ArrivalState.READ if is_mine else None

    def _opened(self, one: Arrival) -> tuple[Sequence[Mapping[str, Any]], bytes, Sequence[Hop]]:
        """The alerts of an arrival, the bytes that hold them, and the hubs that these came by."""
        peer = self.store.read(lambda unit: peers.get(unit, one.peer))
        if peer is None or peer.form != "stream" or self.way.opener is None:
            return self._told(one), one.raw, ()
        taken = self.way.opener.open(one, peer)
        alerts = self._told(replace(one, raw=taken.body, signature="", countersigned="[]", media_type=""))
        return handed_on.sealed([dict(alert) for alert in alerts], taken.looked), taken.body, taken.path

    def _let_go(self, one: Arrival, note: Callable[[Unit], None]) -> ArrivalState | None:
        """It was read, and nothing comes of it but a note; its bytes stay."""

        def work(unit: Unit) -> bool:
            is_mine = arrivals.move(unit, one, "read")
            if is_mine:
                note(unit)
            return is_mine

        return ArrivalState.READ if self.store.run(work) else None

    def _looped(self, unit: Unit, one: Arrival) -> None:
        peers.count_loop(unit, one.peer)
        journal.append(unit, "bulletin", one.id, "loop", by=f"peer:{one.peer}", at=self.clock())

    def _told(self, one: Arrival) -> Sequence[Mapping[str, Any]]:
        """The alerts in it, read in the sandbox, each with what is known of its signature."""
        found = self.store.read(lambda unit: peers.keys_of(unit, one.peer))
        certificates = {key.id: key.material for key in found if key.kind == "x509"}
        plain = {key.id: key.material for key in found if key.kind == "ed25519"}
        options = {
            "keys": certificates,
            "base": one.url,
            "is_lifted": one.media_type == LIFTED,
            "charset": charset_of(one.media_type),
        }
        alerts: list[dict[str, Any]] = self.pool.run(bulletin_file.read, one.raw, options).value["alerts"]
        if not alerts:
            raise BadInput("a list without alerts", code="no_alerts")
        if one.signatures:
            looked = self._best(one, plain)
            for alert in alerts:
                if looked.seal is Seal.BROKEN or alert["seal"] != Seal.VERIFIED.value:
                    alert |= {"seal": looked.seal.value, "seal_key": looked.key, "seal_reason": looked.reason}
        return alerts

    def _best(self, one: Arrival, pinned: Mapping[str, str]) -> Looked:
        """What the signatures beside it prove: the first that holds, or else what is wrong with the first."""
        looks = [
            bulletin_seal.look(one.raw, line, pinned, ourselves=self.ourselves) for line in one.signatures
        ]
        return next((look for look in looks if look.seal is Seal.VERIFIED), looks[0])

    def _enter(
        self, unit: Unit, one: Arrival, told: Sequence[Mapping[str, Any]],
        bytes_of: tuple[bytes, Sequence[Hop], str], at: datetime,
    ) -> bool:  # fmt: skip
        """One transaction: the arrival is read, its bulletins are entered, end others, and are compared with them."""
        if not arrivals.move(unit, one, "read"):
            return False
        body, path, blob = bytes_of
        if (marked := held.first_marked(told)) is not None:
            first = told[marked]
            held.hold(unit, one, str(first["mark"]), sender=str(first["sender"]), n=marked, blob=blob, at=at)
        peer = peers.get(unit, one.peer)
        senders = peer.senders if peer else ()
        for n, alert in enumerate(told):
            if alert["mark"]:
                continue
            around = Around(
                arrival=one.id, peer=one.peer, n=n, mode=self.mode, ourselves=self.ourselves, senders=senders,
                received_at=one.received_at,
            )  # fmt: skip
            entered, bulletin_id = bulletins.enter(unit, said_of(alert), around, at)
            if entered in (Entered.NEW, Entered.RAISED):
                same_event.propose(unit, bulletin_id, at)
                if len(told) == 1:  # a list is nobody's message
                    self.way.hand_on(unit, bulletin_id, body, path, at)
        return True

    def _not_read(self, arrival_id: str, reason: str) -> ArrivalState | None:
        """Try it again some times; then it lies on the shelf, where an officer may have it read once more."""
        at = self.clock()
        tries = self.store.read(lambda unit: arrivals.tries(unit, arrival_id))
        if tries is None:
            return None
        if tries < TRIES:
            self.store.run(lambda unit: arrivals.postpone(unit, arrival_id, at + WAIT))
            return ArrivalState.RECEIVED
        is_mine = self.store.run(lambda unit: arrivals.set_aside(unit, arrival_id, reason, at))
        return ArrivalState.SHELVED if is_mine else None

    def _durable(self, one: Arrival) -> str:
        """The file of bytes that are too large for a row; '' for others."""
        return self.blobs.put(one.raw) if len(one.raw) > INLINE else ""

    def _shelve(self, one: Arrival, reason: str) -> ArrivalState | None:
        at = self.clock()
        if mark := held.mark_of(one.raw):  # nobody else is to look at what is wrong with it
            blob = self._durable(one)
            return self._let_go(one, lambda unit: held.hold(unit, one, mark, blob=blob, at=at))
        is_mine = self.store.run(lambda unit: arrivals.shelve(unit, one, reason, at))
        return ArrivalState.SHELVED if is_mine else None


def said_of(alert: Mapping[str, Any]) -> Said:
    """What the sandbox told of one alert, as values."""
    plain = ("identifier", "sender", "sent_as", "status", "msg_type", "scope", "format", "event_scheme", "event_code",
             "event", "headline", "severity", "category", "areas", "alert", "findings", "digest", "seal", "seal_key",
             "seal_reason")  # fmt: skip
    times = {name: _moment(alert[name]) for name in ("sent", "onset", "effective", "expires")}
    values: dict[str, Any] = {name: alert[name] for name in plain} | times
    return Said(references=tuple((str(s), str(i), _moment(at)) for s, i, at in alert["references"]), **values)


def _moment(text: str | None) -> datetime | None:
    """A time of no people is none: what was sent in the year 1 has no time, and is for an officer."""
    return of_our_days(text) if text else None
