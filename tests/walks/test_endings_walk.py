"""Alert, Update, Cancel; and Alert, false alarm, correction: over real sockets, to the phones and to the feeds."""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from channels.codecs import cap_check, cap_read
from channels.codecs.cap import Alert
from outbox.deliver import SLICE
from tests.walks.houses import House, get, ready, states, until, worker_of

ALL = 240  # recipients of the demo's province
GONE = "+8619000000011"  # a subscriber who has answered TD before
REFUSED = "+861900000010*"  # 100 to 109: the provider says they are no mobiles
SILENT = "+861900000011*"  # 110 to 119: taken, and no answer ever comes
ATOM = {"a": "http://www.w3.org/2005/Atom"}


class Phones:
    """What each phone holds of a release, by purpose: the provider's own ledger, told apart by digest."""

    def __init__(self, home: House) -> None:
        self._home = home
        self._names: dict[str, str] = {}

    def know(self, release: dict[str, Any], name: str) -> None:
        """Call the SMS of `release` "name main", "name lift" and "name correction"."""
        for a in release["artefacts"]:
            if a["channel"] == "sms":
                self._names[a["sha256"]] = f"{name} {a['purpose']}"

    def taken(self) -> list[tuple[str, str, datetime]]:
        """(what, phone, when) of every message the provider has taken, but notices."""
        found = []
        for m in self._home.provider.ledger():
            what = self._names.get(hashlib.sha256(m["body"].encode()).hexdigest())
            if what:
                found.append((what, m["to"], datetime.fromisoformat(m["at"])))
        return found

    def of(self, what: str) -> Counter[str]:
        """Phone -> how often it got it."""
        return Counter(phone for name, phone, _ in self.taken() if name == what)


@pytest.fixture
def phones(home: House) -> Phones:
    return Phones(home)


def draft(home: House) -> str:
    body = next(t for t in home.api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
    return str(
        home.api("POST", "/v1/releases", {**body, "areas": ["990000"]}, **{"Idempotency-Key": "w"})["id"]
    )


def approve(home: House, release: str) -> dict[str, Any]:
    digest = home.api("POST", f"/v1/releases/{release}/submit", {})["digest"]
    return dict(home.api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, key="approver"))


def state(home: House, release: str) -> str:
    return str(home.api("GET", f"/v1/releases/{release}")["state"])


def is_over(home: House, release: str, purpose: str) -> bool:
    """Whether nothing of it is on its way any more."""
    told = home.api("GET", f"/v1/releases/{release}/summary")
    lanes = told["channels"] if purpose == "main" else told["endings"].get(purpose, {})
    done = all(d["state"] in ("done", "stopped") for lane in lanes.values() for d in lane["dispatches"])
    going = {s for lane in lanes.values() for s in lane["states"]} & {"queued", "sending"}
    return bool(lanes) and done and not going


def cap(home: House, name: str) -> Alert:
    """A CAP file that our own validator finds nothing wrong with."""
    raw = get(f"{home.url}/public/cap/{name}.xml")
    assert [f for f in cap_check.validate(raw, as_output=True) if f.severity == "error"] == []
    return cap_read.read(raw)


def feed(home: House) -> dict[str, tuple[str, str]]:
    """Entry -> (state, updated)."""
    atom = etree.fromstring(get(f"{home.url}/public/alerts.atom"))
    return {
        entry.findtext("a:id", namespaces=ATOM).rpartition(":")[2]: (
            entry.find("a:category[@scheme='urn:x-tocsin:state']", ATOM).get("term"),
            entry.findtext("a:updated", namespaces=ATOM),
        )
        for entry in atom.findall("a:entry", ATOM)
    }


def identifiers(alert: Alert) -> list[str]:
    return [reference.identifier for reference in alert.references]


def journal_holds(home: House) -> None:
    verified = home.tocsin("journal", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def alert_in_the_middle(home: House, phones: Phones, *, at_least: int) -> str:
    """An approved warning, `at_least` of whose messages have left; some phones refuse, some stay silent."""
    home.provider.text(GONE, "TD")
    home.provider.script(
        {"to": REFUSED, "act": "refuse", "code": 21614},
        {"to": SILENT, "act": "error_taken", "calls": "none"},
        {"delay_ms": 60},
    )
    release = draft(home)
    phones.know(approve(home, release), "alert")
    until(lambda: len(phones.of("alert main")) >= at_least, "the first messages are out")
    return release


def test_alert_update_cancel_reaches_whom_it_must_and_stands_in_every_feed(home: House, phones) -> None:
    first = alert_in_the_middle(home, phones, at_least=40)
    second = home.api("POST", f"/v1/releases/{first}/update", {}, **{"Idempotency-Key": "u"})["id"]
    changed = home.api("GET", f"/v1/releases/{second}")["draft"]["fields"] | {"rainfall_mm": 80}
    home.api("PATCH", f"/v1/releases/{second}", {"fields": changed})
    until(lambda: first in feed(home), "the alert stands in the feed")
    before = feed(home)
    home.step(2)  # feeds tell whole seconds
    phones.know(approve(home, second), "update")
    until(lambda: state(home, second) == "published", "the update is published", 180)
    assert state(home, first) == "superseded"

    old, new = states(home, first, "main"), states(home, second, "main")
    got = phones.of("alert main")
    assert max(got.values()) == max(phones.of("update main").values()) == 1
    assert set(got) == {p for p, s in old.items() if s not in ("stopped", "failed", "opted_out")}
    missed = {p for p, s in new.items() if s in ("failed", "opted_out")}
    assert (len(new), len(missed), new[GONE]) == (ALL, 11, "opted_out")
    assert set(phones.of("update main")) == set(new) - missed, "whether the alert had reached them or not"

    update = cap(home, second)
    assert (update.msg_type, identifiers(update)) == ("Update", [cap(home, first).identifier])
    until(lambda: feed(home)[first][0] == "superseded", "the feed tells of it")
    assert feed(home)[second][0] == "published"
    assert feed(home)[first][1] > before[first][1]
    assert second in get(f"{home.url}/").decode()

    was = feed(home)[second][1]
    home.step(2)
    home.api("POST", f"/v1/releases/{second}/cancel", {"reason": "雨已停"})
    until(lambda: is_over(home, second, "lift"), "the lift has been sent", 180)
    reached = {p for p, s in new.items() if s in ("unsure", "accepted", "sent", "delivered", "read")}
    assert phones.of("update lift") == Counter(dict.fromkeys(reached, 1))
    assert phones.of("alert lift") == Counter(), "what was superseded is not lifted as well"
    lift = cap(home, f"{second}-lift")
    assert lift.msg_type == "Cancel"
    assert set(identifiers(lift)) == {cap(home, first).identifier, update.identifier}
    until(lambda: feed(home)[second][0] == "cancelled", "the feed tells of it")
    assert feed(home)[second][1] > was
    assert "解除" in get(f"{home.url}/alerts/{second}/").decode()
    journal_holds(home)


def test_a_false_alarm_is_corrected_for_exactly_those_it_reached_though_the_worker_is_killed(
    home: House, phones
) -> None:
    first = alert_in_the_middle(home, phones, at_least=60)
    asked = datetime.now(UTC)
    home.api("POST", f"/v1/releases/{first}/correct", {"reason": "演练信息误发"})
    answered = datetime.now(UTC)
    until(lambda: len(phones.of("alert correction")) >= 20, "the first corrections are out")
    begun = min(at for what, _, at in phones.taken() if what == "alert correction")
    last = max(at for what, _, at in phones.taken() if what == "alert main")
    print(f"\nfirst correction taken {(begun - answered).total_seconds():.2f} s after the act was answered "
          f"({(begun - asked).total_seconds():.2f} s after it was asked for); last warning "
          f"{(last - answered).total_seconds():.2f} s after it")  # fmt: skip
    home.kill(worker_of(home))
    home.step(40)  # the leases of the dead are over
    home.start_again(worker_of(home))
    ready(home)
    until(lambda: is_over(home, first, "correction"), "the correction has been sent", 180)

    warned, corrected = states(home, first, "main"), states(home, first, "correction")
    reached = {p for p, s in warned.items() if s in ("unsure", "accepted", "sent", "delivered", "read")}
    assert set(corrected) == reached, "those who were sent the warning, or may have been; nobody else"
    got = phones.of("alert correction")
    assert max(got.values()) == 1
    assert set(got) <= reached
    missing = {p for p in reached - set(got) if corrected[p] != "unsure"}
    assert missing == set(), "who has not got the correction is shown as unsure"
    assert set(phones.of("alert main")) <= reached
    assert GONE not in got
    assert sum(s == "unsure" for s in corrected.values()) <= 10 + 2 * SLICE, (
        "the silent, and the slices in hand"
    )

    ending = cap(home, f"{first}-correction")
    assert (ending.msg_type, identifiers(ending)) == ("Cancel", [cap(home, first).identifier])
    until(lambda: feed(home)[first][0] == "corrected", "the feed tells of it")
    assert "更正" in get(f"{home.url}/alerts/{first}/").decode()
    assert home.api("GET", f"/v1/releases/{first}/summary")["adds_up"]
    journal_holds(home)
