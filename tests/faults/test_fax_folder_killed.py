"""A process that takes faxes is killed again and again: each fax is kept once, and none is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from store import tables as t
from tests import fax_kit
from tests.conftest import open_store
from tests.servers import _ROOT

FAXES = 20
TAKER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from intake.fax_folder import FaxFolder
from intake.spool import Spool
from store.blobs import Blobs
from tests.conftest import open_store
url, place = sys.argv[1], Path(sys.argv[2])
store = open_store(url)
folder = FaxFolder(directory=place / "in", store=store, blobs=Blobs(place / "blobs"), spool=Spool(place / "spool"),
                   clock=lambda: datetime.now(UTC), zone=UTC, largest=1 << 20, admit=lambda _size: None)
while True:
    folder.look()
    print(flush=True)
    time.sleep(0.05)
"""

pytestmark = pytest.mark.faults


def _names(place: Path) -> list[str]:
    return [p.name for p in place.iterdir() if p.is_file()] if place.exists() else []


def test_faxes_survive_every_kill_of_the_process_that_takes_them(database_url: str, tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    inbox.mkdir()
    old = time.time() - 3
    for n in range(FAXES):
        path = inbox / f"{n:02}.tif"
        path.write_bytes(fax_kit.tiff(1, seed=n * 40))
        os.utime(path, (old, old))
    luck, kills = random.Random(7), 0
    deadline = time.monotonic() + 120
    while _names(inbox) and time.monotonic() < deadline:
        with subprocess.Popen([sys.executable, "-c", TAKER, database_url, str(tmp_path)], cwd=_ROOT,
                              stdout=subprocess.PIPE) as taker:  # fmt: skip
            assert taker.stdout is not None
            taker.stdout.readline()  # it has looked once; files are whole four seconds later
            enough = min(len(_names(inbox / "done")) + luck.randint(1, 7), FAXES)
            while len(_names(inbox / "done")) < enough and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(luck.random() / 40)  # about as long as one of them takes
            taker.send_signal(signal.SIGKILL)
            kills += 1
    store = open_store(database_url)
    try:
        kept = store.read(
            lambda u: u.rows(sa.select(t.inbound.c.external_id).where(t.inbound.c.channel == "fax"))
        )
    finally:
        store.close()
    assert kills >= 2
    assert len({row.external_id for row in kept}) == len(kept) == FAXES
    assert len(_names(inbox / "done")) == FAXES
