"""The recurring chores that bring in what waits in the spools of this machine."""

from datetime import timedelta

from hub.wiring import Hub
from intake import bulletins, desk
from workers.timers import Chore


def chores(hub: Hub) -> list[Chore]:
    """Bring in what waits in the spools of this machine; each by itself, and releases are looked at between them."""

    def reports() -> None:
        for inbound_id in desk.drain(hub.spool, store=hub.store, blobs=hub.blobs, clock=hub.clock):
            hub.bell("file_report", inbound_id)

    def from_peers() -> None:
        for arrival_id in bulletins.drain(hub.peers.spool, store=hub.store, blobs=hub.blobs, clock=hub.clock):
            hub.bell("read_bulletin", arrival_id)

    def words() -> None:
        hub.words.drain(store=hub.store, clock=hub.clock)

    brought = {"spool": reports, "spool_words": words, "spool_peers": from_peers}
    return [Chore(name=name, every=timedelta(seconds=1), run=run) for name, run in brought.items()]
