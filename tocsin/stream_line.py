"""The recurring chore that writes what is handed on to peers, with its heartbeat."""

from datetime import timedelta
from threading import Event

from hub import hold
from hub.wiring import Hub
from workers.timers import Chore


def chores(hub: Hub) -> list[Chore]:
    """None where nothing is handed on. A restored hub leaves its files alone until its hold is released."""
    onward, begun = hub.peers.onward, Event()

    def write() -> None:
        if onward is None or hold.is_restored(hub.settings.data_dir):
            return
        if not begun.is_set():
            onward.resume()
            begun.set()
        onward.write()

    return [Chore(name="stream", every=timedelta(seconds=2), run=write)] if onward else []
