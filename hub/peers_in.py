"""Builds what takes in the bulletins of peers: where they may be fetched, and with what they are read."""

import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channels import closed_list
from channels.codecs import bulletin_seal
from channels.codecs.markup import FEED_BYTES
from channels.egress import Egress
from domain.errors import HubError, Refused
from domain.handling import Mode
from hub.keys import Keys
from hub.log import bug_of
from hub.settings import Settings
from intake.bulletins import Reader
from intake.pull import Get, Puller
from intake.spool import Spool
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
    """What takes in the bulletins of peers."""

    reader: Reader
    puller: Puller
    spool: Spool


def reader(
    settings: Settings, mode: Mode, *, store: Store, blobs: Blobs, pool: Pool, clock: Callable[[], datetime]
) -> Reader:
    """Makes bulletins of what arrived."""
    return Reader(store=store, blobs=blobs, pool=pool, mode=mode, ourselves=settings.sender_id, clock=clock,
                  on_bug=bug_of("bulletins"))  # fmt: skip


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

    return Puller(store=store, blobs=blobs, pool=pool, clock=clock, get_of=get_of, bell=bell)


def around(
    settings: Settings, mode: Mode, *, store: Store, blobs: Blobs, pool: Pool, clock: Callable[[], datetime],
    bell: Callable[[str, str], None],
) -> Around:  # fmt: skip
    """All three."""
    return Around(
        reader=reader(settings, mode, store=store, blobs=blobs, pool=pool, clock=clock),
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
