"""The stream of a hub of our kind: a signed heartbeat says how far it has come, and every number of it is fetched.

A number that was not to be had is asked for again; none is passed over because a later one came (PROMISES R19, R36).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urljoin, urlsplit

from channels.codecs import envelope
from channels.codecs.cap_seal import Seal
from channels.codecs.envelope import Heartbeat
from domain.errors import BadInput
from store import arrivals, peers, shelf
from store.peers import Peer
from store.unit import Unit

NAME = "heartbeat.json"  # at the end of its address
STALE = "stale_heartbeat"
FRESH = timedelta(minutes=3)  # an older one is played again, or nobody lives there (R36)
AHEAD = timedelta(minutes=10)  # of our clock, as for bulletins (H58)
LONGEST = timedelta(
    minutes=1
)  # between looks, whatever failed: what was missed is here 90 s after it can be had
NAMED = 2_000  # files named at one look; the next look goes on, and is made at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a look at a heartbeat found: files to be named, and how far that goes."""

    beat: Heartbeat
    key: str  # that signed it, as it is pinned
    upto: int
    files: tuple[tuple[str, str], ...]  # (address, stamp)

    @property
    def is_all(self) -> bool:
        """Whether every number of the stream is named with these."""
        return self.upto >= self.beat.head


def is_stream(url: str) -> bool:
    """Whether an address is that of a heartbeat."""
    return urlsplit(url).path.endswith(f"/{NAME}")


def ahead(mine: Peer, data: bytes, pinned: Mapping[str, str], at: datetime, *, ourselves: str) -> Ahead:
    """Read a heartbeat. Raises BadInput with the reason why it is not believed: the peer counts as not heard."""
    looked = envelope.look_at_heartbeat(data, pinned, ourselves=ourselves)
    if looked.seal is not Seal.VERIFIED:
        raise BadInput(
            "the heartbeat is not signed by a pinned key", code=f"heartbeat_{looked.seal.value}"[:40]
        )
    beat = envelope.read_heartbeat(data)
    if beat.hub == ourselves or (mine.hub and beat.hub != mine.hub):
        raise BadInput("another hub speaks there", code="other_hub")
    if not at - FRESH <= beat.at <= at + AHEAD:
        raise BadInput("an old heartbeat", code=STALE)
    if beat.head < mine.head:
        raise BadInput("the stream has gone back", code="stream_went_back")
    upto = min(beat.head, mine.head + NAMED)
    files = tuple((urljoin(mine.url, f"{seq}.json"), "") for seq in range(mine.head + 1, upto + 1))
    return Ahead(beat=beat, key=pinned[looked.key], upto=upto, files=files)


def note(unit: Unit, mine: Peer, found: Ahead, at: datetime) -> None:
    """Name what is to be fetched; what the heartbeat says otherwise than what we have is for an officer.

    Raises BadInput(hub_name_taken): two peers under one name would sign for each other.
    """
    if peers.is_name_taken(unit, mine, found.beat.hub, found.key):
        raise BadInput("another peer has this name", code="hub_name_taken")
    peers.name_items(unit, mine.id, found.files, at)
    peers.follow(unit, mine, found.beat.hub, found.upto)
    address = {seq: urljoin(mine.url, f"{seq}.json") for seq, _ in found.beat.last}
    fetched = peers.are_kept(unit, mine.id, address.values())
    held = arrivals.held(unit, mine.id, [sha256 for _, sha256 in found.beat.last])
    for seq, sha256 in found.beat.last:
        is_other = address[seq] in fetched and sha256 not in held
        if is_other and not shelf.held(unit, "peer", f"{mine.id}#{seq}"):
            shelf.put(unit, "peer", "stream_conflict", origin=f"{mine.id}#{seq}", at=at)
