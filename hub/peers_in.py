"""Builds what takes in the bulletins of peers: where they may be fetched, and with what they are read."""

import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channels import closed_list
from channels.codecs import bulletin_seal, envelope
from channels.codecs.markup import FEED_BYTES
from channels.egress import Egress
from domain.errors import HubError, Refused
from domain.handling import Mode
from hub.keys import Keys
from hub.log import bug_of
from hub.settings import Settings
from intake import handed_on
from intake.bulletins import Reader
from intake.handed_on import Way
from intake.pull import Get, Puller
from intake.spool import Spool
from outbox.onward import Onward
from outbox.outgoing import Jobs
from sandbox.pool import Pool
from store import peers
from store.blobs import Blobs
from store.database import Store
from store.peers import Peer

LASTS = timedelta(seconds=20)  # of one fetch, name to last byte
SPOOL = "peers"  # a directory in that of the doors; its frames are of another kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What takes in the bulletins of peers, and hands them on."""

    reader: Reader
    puller: Puller
    spool: Spool
    onward: Onward | None = None  # None: this hub hands nothing on


def reader(
    settings: Settings, mode: Mode, *, store: Store, blobs: Blobs, pool: Pool, clock: Callable[[], datetime],
    own_key: str = "", proof_key: bytes = b"",
) -> Reader:  # fmt: skip
    """Makes bulletins of what arrived."""
    opener = handed_on.Opener(store=store, pool=pool, ourselves=settings.sender_id, own_key=own_key)
    way = Way(opener=opener, hand_on=handed_on.hand_on) if settings.peer_hand_on else Way(opener=opener)
    return Reader(
        store=store, blobs=blobs, pool=pool, mode=mode, ourselves=settings.sender_id, clock=clock, way=way,
        on_bug=bug_of("bulletins"), proof_key=proof_key,
    )  # fmt: skip


def onward(settings: Settings, made: Keys, *, store: Store, clock: Callable[[], datetime]) -> Onward | None:
    """Hands on to peers what we publish; None where that is turned off."""
    if not settings.peer_stream:
        return None
    return Onward(
        hub=settings.sender_id, store=store, clock=clock, public_dir=settings.data_dir / "public",
        stop_file=settings.data_dir / "STOP", sign=signer(made), sign_hop=envelope.signer(settings.sender_id, made.bulletin),
    )  # fmt: skip


def puller(
    settings: Settings, mode: Mode, *, store: Store, blobs: Blobs, pool: Pool, clock: Callable[[], datetime],
    bell: Callable[[str, str], None],
) -> Puller:  # fmt: skip
    """Looks at feeds. Only a live hub asks a peer that is not on this machine (law 10), and only by https."""
    inside = tuple(map(ipaddress.ip_network, filter(None, settings.peer_network_list)))
    tls = ssl.create_default_context(cafile=str(settings.peer_ca) if settings.peer_ca else None)

    def get_of(peer: Peer) -> Get:
        own = closed_list.place_of(peer.url, is_of_this_machine=not mode.may_reach_the_world, inside=inside)
        others = [
            closed_list.Place(host=host, inside=inside) for host in peer.hosts if mode.may_reach_the_world
        ]
        return Egress([own, *others], largest=FEED_BYTES, lasts=LASTS, tls=tls, unpacks=True).get

    return Puller(
        store=store,
        blobs=blobs,
        pool=pool,
        clock=clock,
        get_of=get_of,
        bell=bell,
        ourselves=settings.sender_id,
    )


def around(
    settings: Settings, mode: Mode, *, store: Store, blobs: Blobs, pool: Pool, clock: Callable[[], datetime],
    bell: Callable[[str, str], None], made: Keys | None = None,
) -> Around:  # fmt: skip
    """All of it; without keys nothing is handed on."""
    own_key = bulletin_seal.public_text(made.bulletin) if made else ""
    return Around(
        reader=reader(
            settings,
            mode,
            store=store,
            blobs=blobs,
            pool=pool,
            clock=clock,
            own_key=own_key,
            proof_key=made.proof if made else b"",
        ),
        onward=onward(settings, made, store=store, clock=clock) if made else None,
        puller=puller(settings, mode, store=store, blobs=blobs, pool=pool, clock=clock, bell=bell),
        spool=spool(settings),
    )


def all_answer(store: Store, clock: Callable[[], datetime]) -> Callable[[], bool]:
    """Whether every peer that is asked has been heard of late; a database that is down is another trouble."""

    def answer() -> bool:
        try:
            return not store.read(lambda unit: peers.has_silent(unit, clock()))
        except HubError:
            return True

    return answer


def signer(made: Keys) -> Callable[[bytes], str]:
    """Signs what is published, for everybody."""
    key = made.bulletin
    return lambda data: bulletin_seal.sign(data, key)


def with_peers(jobs: Jobs, around: Around) -> Jobs:
    """`jobs` with those of peers."""

    def read_bulletin(arrival_id: str) -> None:
        around.reader.read(arrival_id)

    def pull_peer(peer_id: str) -> None:
        around.puller.pull(peer_id)

    return replace(jobs, read_bulletin=read_bulletin, pull_peer=pull_peer)


def spool(settings: Settings) -> Spool:
    """Where bulletins wait while the database is down."""
    return Spool(settings.data_dir / "spool" / SPOOL)


def must_be_askable(mode: Mode, url: str) -> None:
    """Returns for a feed that a hub of this mode may be told to pull. Raises Never(bad_address), Refused."""
    place = closed_list.place_of(url, is_of_this_machine=not mode.may_reach_the_world)
    if not mode.may_reach_the_world and place.host not in ("127.0.0.1", "localhost", "[::1]"):
        raise Refused(f"a {mode.value} hub may not pull from {place.host}", code="mode_forbids_wire")
