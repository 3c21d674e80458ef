"""One worker's life with one promise, in a process of its own that gets killed: the real relay, from begin to end."""

from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

from outbox import relay
from tests.conftest import open_store
from tests.outbox.outbox_kit import Wire, outgoing


def live(url: str, dispatch: str, at: datetime, directory: str, line: Connection) -> None:
    """Tells that it begins, each parcel whose chunk is committed, and what relay() has answered."""
    store = open_store(url)
    out = outgoing(store, at, Path(directory), wire=Wire(), bell=lambda _job, parcel: line.send(parcel))
    line.send("begins")
    line.send(relay.relay(out, dispatch))
    store.close()
