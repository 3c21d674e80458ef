"""A worker that turns an audience into parcels is killed every 50 ms of its work: each address is in one of them, once."""

import multiprocessing
import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.parcel import BATCH
from outbox import progress, relay
from store import promises
from store import tables as t
from store.database import Store
from tests.faults import relay_process
from tests.faults.schedule import seeds
from tests.outbox.outbox_kit import Wire, approve, outgoing

EVERY = 0.05  # seconds of work between two deaths, on average
FUTILE = 3  # lives that brought nothing; then one is let live until it has committed a chunk
TWO_AT_ONCE = 0.2  # of the lives: another takes over while the first goes on
BEGINS_WITHIN, CHUNK_WITHIN = 30.0, 60.0
_DIGITS = {True: "lpad(CAST(n AS text), 8, '0')", False: "substr('00000000' || n, -8)"}
_COUNT = {True: "generate_series(0, :most - 1) AS g(n)", False: "g"}
_FROM = "WITH RECURSIVE g(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM g WHERE n < :most - 1) "
# every eighth has English, which goes with the first language of the release
_PUT = (
    'INSERT INTO recipient (id, channel, address, area, language, "group", name, since) {with_}'
    " SELECT 'rcp_' || {n}, 'sms', '+86139' || {n}, '99010' || (1 + n % 2) || '000000',"
    " CASE WHEN n % 8 = 0 THEN 'en' ELSE 'zh-CN' END, 'subscriber', '', 0 FROM {g}"
)


def people(store: Store, count: int) -> None:
    """Put `count` recipients on the list in one statement."""
    pg = store.is_postgres
    put = _PUT.format(with_="" if pg else _FROM, n=_DIGITS[pg], g=_COUNT[pg])
    store.run(lambda unit: unit.execute(sa.text(put), {"most": count}))


@dataclass
class Murderer:
    """Starts lives with one dispatch and ends them."""

    url: str
    dispatch: str
    at: datetime
    directory: Path
    dice: random.Random
    kills: int = 0
    lives: int = 0
    futile: int = 0
    bells: list[str] = field(default_factory=list)  # parcels that were rung for, each life's own
    context: Any = field(default_factory=lambda: multiprocessing.get_context("forkserver"))

    def life(self) -> None:
        """One worker, or two at once, from its first word to its death."""
        some = [self._start() for _ in range(2 if self.dice.random() < TWO_AT_ONCE else 1)]
        before = len(self.bells)
        if self.futile >= FUTILE:
            self._hear(some, CHUNK_WITHIN, until_a_chunk=True)
        self._hear(some, self.dice.uniform(0, 2 * EVERY))
        for process, line in some:
            self.kills += process.is_alive()
            process.kill()
            process.join(10)
            self._drain(line)
            line.close()
        self.futile = 0 if len(self.bells) > before else self.futile + 1

    def _start(self) -> tuple[BaseProcess, Connection]:
        """A life that has said that it begins; by its clock whoever had the dispatch in hand has let go."""
        ours, theirs = self.context.Pipe()
        self.lives += 1
        at = self.at + self.lives * (relay.IN_HAND + timedelta(seconds=1))
        given = (self.url, self.dispatch, at, str(self.directory), theirs)
        process = self.context.Process(target=relay_process.live, args=given)
        process.start()
        theirs.close()
        assert ours.poll(BEGINS_WITHIN), "a worker begins"
        assert ours.recv() == "begins"
        return process, ours

    def _hear(
        self, some: list[tuple[BaseProcess, Connection]], seconds: float, *, until_a_chunk: bool = False
    ) -> None:
        end, lines = time.monotonic() + seconds, [line for _, line in some]
        before = len(self.bells)
        while lines and (left := end - time.monotonic()) > 0:
            for line in wait(lines, left):
                if not self._take(line):
                    lines.remove(line)
            if until_a_chunk and len(self.bells) > before:
                return

    def _drain(self, line: Connection) -> None:
        while line.poll() and self._take(line):
            pass

    def _take(self, line: Connection) -> bool:
        """One word; False when there will be no other."""
        try:
            said = line.recv()
        except (EOFError, ConnectionError):
            return False
        if isinstance(said, relay.Relayed):
            return False
        self.bells.append(said)
        return True


def broken(store: Store, release: str, dispatch: str, count: int) -> list[str]:
    """What is not as promised: each address once, whole parcels, equal sums."""
    d, p, r = t.delivery, t.parcel_row.c, t.recipient.c
    mine = d.join(t.parcel_row, sa.and_(p.id == d.c.parcel, p.dispatch == dispatch))
    of = sa.select(sa.func.count(), sa.func.count(sa.distinct(d.c.address))).select_from(mine)
    sizes = sa.select(p.n, sa.func.count(d.c.seq)).select_from(t.parcel_row.outerjoin(d, d.c.parcel == p.id))
    sizes = sizes.where(p.dispatch == dispatch).group_by(p.n).order_by(p.n)
    strangers = sa.select(sa.func.count()).select_from(mine.outerjoin(t.recipient, r.id == d.c.recipient))
    strangers = strangers.where(sa.or_(r.id.is_(None), r.address != d.c.address))

    def look(unit: Any) -> list[str]:
        rows, addresses = unit.row(of)
        kept, summary = promises.get(unit, dispatch), progress.summary(unit, release)
        whole = [(n, BATCH) for n in range(count // BATCH)]
        whole += [(len(whole), count % BATCH)] if count % BATCH else []
        claims = {
            f"{rows} rows for {addresses} addresses": rows == addresses == count,
            "a parcel is torn": [tuple(row) for row in unit.rows(sizes)] == whole,
            "an address nobody has": unit.scalar(strangers) == 0,
            f"the dispatch counts {kept.expanded}": kept.is_expanded and kept.expanded == count,
            f"the sums are {summary}": summary["adds_up"] and summary["reach"] == count,
        }
        return [what for what, holds in claims.items() if not holds]

    return store.read(look)


def is_kept(
    store: Store, url: str, at: datetime, directory: Path, *, seed: int, parcels: int, odd: int = 0
) -> int:
    """Expand one release to `parcels` (and one of `odd`) while its workers are killed; how many died."""
    count = parcels * BATCH + odd
    if not store.read(lambda unit: unit.scalar(sa.select(sa.func.count()).select_from(t.recipient))):
        people(store, count)
    release, (dispatch,) = approve(store, at)
    begun, killer = time.monotonic(), Murderer(url, dispatch, at, directory, random.Random(seed))
    killer.context.set_forkserver_preload([relay_process.__name__])
    while not store.read(lambda unit: promises.get(unit, dispatch).is_expanded):
        killer.life()
    after = outgoing(store, at + timedelta(hours=5), directory, wire=Wire())
    relay.relay(after, dispatch)
    print(f"\nseed {seed}, {'postgres' if store.is_postgres else 'sqlite'}: {killer.kills} kills of {killer.lives} lives"
          f" while {count} addresses became parcels, {time.monotonic() - begun:.0f} s")  # fmt: skip
    assert broken(store, release, dispatch, count) == [], f"TOCSIN_FAULT_SEED={seed} make faults"
    assert len(killer.bells) == len(set(killer.bells)), "a parcel was made twice"
    return killer.kills


def test_f4_a_relay_killed_again_and_again_makes_each_address_one_delivery(
    store, database_url, at, tmp_path
) -> None:
    assert is_kept(store, database_url, at, tmp_path, seed=1, parcels=60, odd=250) > 5


@pytest.mark.faults
@pytest.mark.parametrize("seed", seeds(range(1, 3)))
def test_f4_a_relay_killed_every_50_ms_over_2000_parcels_makes_each_address_one_delivery(
    store, database_url, at, tmp_path, seed
) -> None:
    assert is_kept(store, database_url, at, tmp_path, seed=seed, parcels=2_000) > 100
