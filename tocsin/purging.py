"""The files of what two persons destroyed: deleted again and again until they are gone."""

from datetime import timedelta

from duty.quarantine import Sweeper
from hub.wiring import Hub
from workers.timers import Chore


def chore(hub: Hub) -> Chore:
    """What the sweep runs."""
    sweeper = Sweeper(store=hub.store, blobs=hub.blobs, thumbs=hub.thumbnails.forget, clock=hub.clock)
    return Chore(name="purges", every=timedelta(minutes=1), run=sweeper.sweep)
