"""PostgreSQL's connection is lost inside a slice, at statements that go past SQLAlchemy: nobody is lost or called twice."""

from collections import Counter

import pytest
import sqlalchemy as sa

from domain.errors import Unavailable
from store import parcels, promises, slices
from tests.conftest import open_store
from tests.faults.wire import Kind, Wire
from tests.outbox.outbox_kit import Wire as Provider
from tests.outbox.outbox_kit import approve, outgoing, phones, run_all, states, subscribe

PEOPLE = 300  # several slices of a parcel
STATEMENTS = {
    "begin": slices._BEGIN, "answers": slices._ANSWERS, "named": slices._NAMED[True],
    "renew": parcels._RENEW, "tombstone": promises._TOMBSTONE,
}  # fmt: skip


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_connection_lost_in_a_slice_is_unavailable_and_costs_nobody_his_message(
    store, database_url, at, tmp_path, name
) -> None:
    subscribe(store, at, phones(PEOPLE))
    release, _ = approve(store, at)
    where = sa.make_url(database_url)
    sight = STATEMENTS[name].partition(":")[0].encode()  # as far as psycopg leaves it as it is
    with Wire(where.host or "", where.port or 0) as line:
        through = open_store(
            where.set(host="127.0.0.1", port=line.port).render_as_string(hide_password=False)
        )
        provider = Provider()
        out = outgoing(through, at, tmp_path, wire=provider)
        line.turn(Kind.CUT_AT_SIGHT, count=2, sight=sight)
        for _ in range(50):
            try:
                run_all(out)
                break
            except Unavailable:  # a worker leaves the row due, and the sweep finds it again
                continue
        else:
            raise AssertionError("it never comes to its end")
        assert line.cuts > 0, "the connection was never lost there"
        out.courier.close()
        through.close()
    assert Counter(provider.taken) == dict.fromkeys(phones(PEOPLE), 1)
    assert states(store, release) == {"accepted": PEOPLE}
