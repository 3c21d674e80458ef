"""The database is away for an hour of reports, and a spool that is killed while it writes (F15, F16)."""

import json
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub import birth, keys
from intake import desk
from intake.spool import Spool
from store import tables as t
from store.blobs import Blobs
from store.database import Store
from tests.conftest import _psql
from tests.faults import walkers
from tests.faults.crashpoint import Crashpoint
from tests.faults.kill import warm_hub
from tests.faults.wire import Kind, Wire
from tests.walks.houses import ROOT, get, until

pytestmark = pytest.mark.faults
REPORTS = 20_000
CALLERS = 32
WRITER = """
import ctypes, os, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from domain.report import Inbound
from intake import desk
from intake.spool import Spool
if "CRASHPOINT_FILE" in os.environ:
    ctypes.CDLL(None).crashpoint_count()
spool = Spool(Path(sys.argv[1]))
for n in range(3):
    at = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=n)
    inbound = Inbound(channel="sms", external_id=f"SM{n}", raw=b"x" * 10_000, media_type="text/plain", received_at=at)
    spool.put(inbound, desk.mint_names(at))
    print(n, flush=True)
"""


def test_f15_twenty_thousand_reports_wait_for_the_database_and_are_there_once_in_their_order(
    postgres_url, forge, tmp_path
) -> None:
    host, port = postgres_url.rpartition("@")[2].split(":")
    name = f"h{secrets.token_hex(4)}"
    _psql(postgres_url, f"CREATE DATABASE {name} TEMPLATE model")
    try:
        with Wire(host, int(port)) as line:
            url = f"postgresql+psycopg://tocsin@127.0.0.1:{line.port}/{name}"
            with warm_hub(tmp_path / "hub", forge, database_url=url) as (made, _, _, store):
                _run(made, store, line, tmp_path)
    finally:
        _psql(postgres_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _run(made, store: Store, line: Wire, tmp_path: Path) -> None:
    made.start("web", "web")
    walkers.insist(lambda: made.api("GET", "/v1/templates"))
    before = store.read(_ids)
    store.close()
    spool = Spool(made.settings.data_dir / "spool")
    line.turn(Kind.REFUSE)
    line.reset()
    heard = _flood(made, tmp_path)
    assert heard["statuses"] == {"200": REPORTS}
    walkers.sms(made, "sms gone-1", 1)
    walkers.sms(made, "sms gone-1", 1)
    made.kill("web")  # what it was told lies on the disk, whoever brings it in
    frames = [path.stem for path in spool.waiting()]
    assert len(frames) == REPORTS + 1
    line.turn(Kind.PASS)
    made.start_again("web")
    assert walkers.insist(lambda: get(f"{made.url}/healthz"))
    begun = datetime.now(UTC)
    until(lambda: not spool.waiting(), "the spool is drained", 300)
    print(f"\n{REPORTS} kept without a database at {len(heard['taken']) / heard['seconds']:.0f}/s, "
          f"drained in {(datetime.now(UTC) - begun).total_seconds():.0f} s")  # fmt: skip
    walkers.sms(made, "sms gone-1", 1)
    settings = made.settings
    again = birth.open_store(settings, keys.load(settings.data_dir / "keys", may_make=False))
    try:
        ids = [name for name in again.read(_ids) if name not in set(before)]
        named = again.read(
            lambda unit: {row.external_id for row in unit.rows(sa.select(t.inbound.c.external_id))}
        )
    finally:
        again.close()
    assert ids == frames  # in the order in which they came
    assert set(heard["taken"]) <= named


def _ids(unit) -> list[str]:
    """Messages in the order in which the journal begins them."""
    j = t.journal.c
    return [row.entity for row in unit.rows(
        sa.select(j.entity).where(j.kind == "inbound", j.act == "receive").order_by(j.seq))]  # fmt: skip


def _flood(made, tmp_path: Path) -> dict:
    settings = made.settings
    order = {"kind": "sms", "port": settings.port, "url": settings.twilio_webhook_url, "sid": settings.twilio_account_sid,
             "number": settings.twilio_from, "token": settings.twilio_auth_token.get_secret_value(), "rate": 0,
             "seconds": 1_800, "connections": CALLERS, "count": REPORTS, "out": str(tmp_path / "heard")}  # fmt: skip
    (tmp_path / "order").write_text(json.dumps(order))
    command = [sys.executable, "-m", "tests.faults.flood", str(tmp_path / "order")]
    assert subprocess.run(command, cwd=ROOT, timeout=2_000).returncode == 0
    return dict(json.loads((tmp_path / "heard").read_text()))


def test_f16_a_kill_at_each_durable_call_of_the_spool_leaves_whole_frames_of_all_that_was_answered(
    forge, store, tmp_path, at
) -> None:
    if forge.shim is None:
        pytest.skip("crash points need gcc")
    deaths = 0
    for call in range(1, 20):
        place = tmp_path / str(call)
        crash = Crashpoint(tmp_path / f"{call}.book", forge.shim)
        crash.arm(call)
        answered = _write(place, crash.environment)
        spool = Spool(place)
        found = [inbound.external_id if inbound else "" for _, inbound, _ in spool.read()]
        assert "" not in found and len(set(found)) == len(found)
        assert {f"SM{n}" for n in answered} <= set(found)
        if not crash.fatal_call:
            break
        deaths += 1
        assert len(_write(place, {})) == 3  # who was not answered comes again, and who was, too
        assert len(spool.waiting()) == 3
        desk.drain(spool, store=store, blobs=Blobs(tmp_path / "blobs"), clock=lambda: at)
        assert store.read(lambda unit: len(unit.rows(sa.select(t.inbound.c.id)))) == 3
    assert deaths >= 9  # file, name and directory of each of three


def _write(place: Path, environment: dict[str, str]) -> list[int]:
    done = subprocess.run([sys.executable, "-c", WRITER, str(place)], env={**os.environ, **environment}, cwd=ROOT,
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    return [int(line) for line in done.stdout.split()]
