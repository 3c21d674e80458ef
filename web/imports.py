"""Starts the reading of a list of recipients beside the requests; both /v1 and the desk do."""

import threading

from duty.list_reading import Reader
from hub.wiring import Hub
from store.operations import Operation


def start(hub: Hub, operation: Operation, raw: bytes) -> None:
    """Read in a thread of its own: no request waits, and a stopping hub does not wait for it either.

    When the process goes the operation is ended by duty.addressbook.tidy of another one, and nothing is imported.
    """
    reader = Reader(
        store=hub.store, pool=hub.pool, region=hub.settings.region, area_code=hub.settings.area_code,
        clock=hub.clock,
    )  # fmt: skip
    threading.Thread(target=reader.read, args=(operation, raw), name="list", daemon=True).start()
