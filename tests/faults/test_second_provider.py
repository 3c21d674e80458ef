"""F19: a second provider carries on where the first one is silent, and the first is tried until it has healed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.errors import NotNow
from outbox.breaker import OPENS_AFTER, Standing
from outbox.lookup import FIRST_LOOK, Lookups
from store import providers
from store import tables as t
from tests.faults.plan import Act, Plan, Step
from tests.faults.provider_house import ACCOUNT, QUIET, SECOND, TOKEN, House, taken
from tests.faults.provider_process import Running, running
from tests.outbox.outbox_kit import Wire, states


@pytest.fixture
def provider(tmp_path) -> Iterator[Running]:
    with running(tmp_path / "ledger", account_sid=ACCOUNT, auth_token=TOKEN) as made:
        yield made


@pytest.fixture
def second(tmp_path) -> Iterator[Running]:
    with running(tmp_path / "second", account_sid=SECOND, auth_token=TOKEN) as made:
        yield made


@pytest.fixture
def spared(store, tmp_path, provider, second) -> Iterator[House]:
    made = House(store, tmp_path, provider.url).with_spare(second.url)
    yield made
    made.out.courier.close()


def told(house: House) -> list[tuple[str, str, str]]:
    house.standings.tell()
    found = house.store.read(lambda u: providers.troubled(u, house.clock()))
    return [(one.channel, one.spare, one.standing) for one in found]


def test_f19_a_second_provider_takes_what_has_not_begun_and_the_first_is_tried_with_one_call(
    spared, provider, second
) -> None:
    """B carries on within the same turn; what A swallowed is asked of A, and A gets one call at a time until it has healed."""
    provider.obey(Plan(weights={Act.ERROR_AFTER: 1.0}, **QUIET))
    release = spared.send(600)
    calls = len(provider.calls())
    assert OPENS_AFTER <= calls <= OPENS_AFTER + spared.wire.window  # those in flight when it opened
    assert states(spared.store, release) == {"unsure": calls, "accepted": 600 - calls}
    assert set(taken(provider)) == spared.unsure()
    assert set(taken(second)) == spared.known()
    assert told(spared) == [("sms", "", "open")]
    spared.breaker._until = (
        0.0  # its rest is over: the next parcel tries it with one call, and goes on with B
    )
    before, more = len(second.calls()), spared.send_more(100)
    assert len(provider.calls()) == calls + 1
    assert len(second.calls()) == before + 99
    assert states(spared.store, more) == {"unsure": 1, "accepted": 99}
    provider.obey(Plan(**QUIET))
    spared.go_on(lambda: spared.rows().total() == spared.rows()["sent"] + spared.rows()["accepted"])
    assert max((taken(provider) + taken(second)).values()) == 1  # in both ledgers together
    assert set(taken(provider)) | set(taken(second)) == spared.known()
    spared.breaker._until = 0.0
    spared.send_more(100)
    assert spared.breaker.look().standing is Standing.CLOSED
    assert len(provider.calls()) >= calls + 90
    assert told(spared) == []


def test_f19_when_both_are_dead_what_has_not_begun_waits_and_leaves_by_whichever_heals(
    spared, provider, second
) -> None:
    for one in (provider, second):
        one.obey(Plan(weights={Act.ERROR_BEFORE: 1.0}, **QUIET))
    spared.send(600)
    assert len(provider.calls()) + len(second.calls()) <= 2 * (OPENS_AFTER + spared.wire.window)
    assert set(spared.rows()) == {"unsure", "queued"}
    assert told(spared) == [("sms", "", "open"), ("sms", "twilio_sms_spare", "open")]
    second.obey(Plan(**QUIET))
    spared.out.courier.breaker_of(spared.spare)._until = 0.0
    spared.go_on(lambda: not spared.rows()["queued"])
    assert spared.rows()["unsure"] < 60  # absent from the dead one's list is not to be proven
    assert spared.known() <= set(taken(second))


def test_f19_when_one_asks_for_a_long_pause_and_the_other_for_a_short_one_the_short_one_is_kept(
    spared, provider, second
) -> None:
    provider.obey(Plan(script=[Step(act=Act.THROTTLE, retry_after="600")] * 99, **QUIET))
    second.obey(Plan(script=[Step(act=Act.THROTTLE, retry_after="2")] * 8, **QUIET))
    spared.send(30)
    assert set(spared.rows()) == {"queued"}
    due = spared.store.read(lambda u: u.scalar(sa.select(t.parcel_row.c.next_due)))
    assert due - spared.clock() < timedelta(seconds=30)


def test_f19_a_lookup_asks_the_spare_also_where_the_first_one_cannot_be_asked(
    store, tmp_path, second
) -> None:
    mute = Wire(lambda _a, _n: NotNow("nobody", code="down", is_down=True))
    made = House(store, tmp_path, second.url).with_spare(second.url)
    made.out = replace(made.out, wires={"sms": mute})
    made.lookups = Lookups(made.out)
    second.obey(Plan(script=[Step(act=Act.ERROR_AFTER)] * 3, **QUIET))
    for _ in range(OPENS_AFTER):
        made.out.courier.breaker_of(mute).trip("down")
    made.send(3)
    assert made.rows() == {"unsure": 3}
    made.clock.ahead += FIRST_LOOK
    made.lookups.run()
    assert set(made.rows()) <= {"sent", "accepted"}
    assert max(taken(second).values()) == 1
    made.out.courier.close()


def test_f19_a_provider_that_refuses_the_account_costs_nobody_his_message(spared, provider, second) -> None:
    spared.wire._auth_token = "wrong"
    release = spared.send(300)
    assert states(spared.store, release) == {"accepted": 300}
    assert len(taken(second)) == 300
    assert told(spared) == [("sms", "", "open")]
