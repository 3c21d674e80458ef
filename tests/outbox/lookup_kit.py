"""A look-up's house: an outbox on a clock that is stepped by hand, and a wire whose provider can be asked for its list."""

from datetime import timedelta

import sqlalchemy as sa

from domain.errors import Unsure
from domain.parcel import DeliveryState, Listed
from outbox.lookup import Lookups
from store import tables as t
from tests.outbox.outbox_kit import TEXT, Standing, Wire, outgoing, phones, run_all

ONE = phones(1)[0]


class Listing(Wire):
    """A wire in memory that can be asked; `has` is what its provider holds, whatever it answered."""

    def __init__(self, say=None, at=None):
        super().__init__(say)
        self.has: list[Listed] = []
        self.asked: list[str] = []
        self.fails: Exception | None = None
        self.at = at

    async def look_up(self, address, since):
        self.asked.append(address)
        if self.fails is not None:
            raise self.fails
        return [one for one in self.has if one.address == address and one.created_at >= since]

    def hold(self, address, *, sid, text=TEXT["zh-CN"], state=DeliveryState.SENT, after=0.0):
        made = self.at + timedelta(seconds=after)
        self.has.append(Listed(provider_id=sid, address=address, text=text, created_at=made, state=state))


class House:
    """An outbox whose clock is stepped by hand."""

    def __init__(self, store, at, tmp_path, say=None):
        self.store, self.clock = store, Standing(at)
        self.wire = Listing(say or silent_once, at)
        self.out = outgoing(store, at, tmp_path, wire=self.wire, clock=self.clock)
        self.lookups = Lookups(self.out)

    def send(self):
        run_all(self.out)

    def pass_time(self, wait):
        self.clock.at += wait

    def look(self, wait):
        self.pass_time(wait)
        return self.lookups.run()

    def one(self):
        d = t.delivery.c
        query = sa.select(d.state, d.provider_id, d.attempts).order_by(d.parcel, d.seq)
        rows = self.store.read(lambda u: u.rows(query))
        return [(row.state, row.provider_id, row.attempts) for row in rows]

    def verdicts(self):
        query = sa.select(t.look_up.c.verdict).order_by(t.look_up.c.parcel, t.look_up.c.seq)
        return [row.verdict for row in self.store.read(lambda u: u.rows(query))]


def silent_once(_address, n):
    return Unsure("silence") if n == 1 else None
