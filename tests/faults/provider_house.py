"""An outbox whose wires lead to providers under test, for the tests of what providers do to us."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from channels.twilio_sms import TwilioSms
from outbox.lookup import Lookups
from outbox.pace import Pace
from outbox.standing import Standings
from store import tables as t
from store.database import Store
from tests.faults.plan import Told
from tests.faults.provider_process import Running
from tests.outbox.outbox_kit import approve, outgoing, phones, run_all, subscribe

ACCOUNT, SECOND, TOKEN = "AC" + "3" * 32, "AC" + "5" * 32, "4" * 32
RESTS_SECONDS = 90.0  # what is left of the rest of a provider that did not answer: a minute, and some rounds
KNOWN = {"accepted", "sent", "delivered", "read"}
QUIET = {"told": {Told.NEVER: 1.0}}


class Clock:
    """The real time, and what a test has stepped it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class House:
    """An outbox whose only wire leads to the provider under test."""

    def __init__(self, store: Store, tmp_path, url: str, *, window: int = 8, timeout: float = 2.0) -> None:
        self.store, self.clock = store, Clock()
        self.wire = TwilioSms(
            account_sid=ACCOUNT, auth_token=TOKEN, sender="+8610690000000", base_url=url, window=window,
            status_callback_url="http://127.0.0.1:9/dlr", reaches_the_world=False, timeout=timedelta(seconds=timeout),
        )  # fmt: skip
        self.out = outgoing(store, self.clock(), tmp_path, wire=self.wire, clock=self.clock)
        self.lookups = Lookups(self.out)

    def with_spare(self, url: str) -> "House":
        """The same, with a second provider."""
        self.spare = TwilioSms(
            name="twilio_sms_spare", account_sid=SECOND, auth_token=TOKEN, sender="+8610690000001", base_url=url,
            status_callback_url="http://127.0.0.1:9/dlr", reaches_the_world=False, window=8, timeout=timedelta(seconds=2),
        )  # fmt: skip
        paces = {**self.out.paces, self.spare.name: Pace(100_000, burst=1000)}
        self.out = replace(self.out, spares={"sms": self.spare}, paces=paces)
        self.lookups, self.standings = Lookups(self.out), Standings(self.out)
        return self

    def send_more(self, people: int) -> str:
        """Another warning, to the first `people` of those who are known."""
        subscribe(self.store, self.clock(), phones(people, 100_000), area="990102")
        release, _ = approve(self.store, self.clock(), areas=("990102000000",))
        run_all(self.out)
        return release

    @property
    def breaker(self):
        return self.out.courier.breaker_of(self.wire)

    def send(self, people: int) -> str:
        subscribe(self.store, self.clock(), phones(people))
        release, self.dispatches = approve(self.store, self.clock())
        run_all(self.out)
        return release

    def go_on(self, until: Callable[[], bool], rounds: int = 60) -> None:
        """Rounds of the sweep and of look-ups; between them the clock is stepped, and waited for only by the breaker."""
        end = time.monotonic() + RESTS_SECONDS
        while rounds > 0 or time.monotonic() < end:
            run_all(self.out)
            self.lookups.run()
            if until():
                return
            if rounds > 0:
                self.clock.ahead += timedelta(seconds=15)
            else:  # the provider rests by the clock of the machine
                time.sleep(0.2)
            rounds -= 1
        raise AssertionError(f"never: {self.rows()}")

    def rows(self) -> Counter[str]:
        query = sa.select(t.delivery.c.state, sa.func.count()).group_by(t.delivery.c.state)
        return Counter({row[0]: row[1] for row in self.store.read(lambda u: u.rows(query))})

    def known(self) -> set[str]:
        """Tags of what we say the provider has."""
        d = t.delivery.c
        rows = self.store.read(lambda u: u.rows(sa.select(d.parcel, d.seq, d.state)))
        return {f"{r.parcel}-{r.seq}" for r in rows if r.state in KNOWN}

    def unsure(self) -> set[str]:
        d = t.delivery.c
        rows = self.store.read(lambda u: u.rows(sa.select(d.parcel, d.seq).where(d.state == "unsure")))
        return {f"{r.parcel}-{r.seq}" for r in rows}


def taken(provider: Running) -> Counter[str]:
    return Counter(call.tag for call in provider.calls() if call.is_taken)
