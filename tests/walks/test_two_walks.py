"""Walk A and walk B over real sockets, with what does the work killed in the middle of each."""

import hashlib
import smtplib
from collections import Counter

import pytest
from lxml import etree

from outbox.deliver import SLICE
from tests.walks.houses import House, get, ready, states, until, worker_of

SEEDED = 5  # reports that a demo begins with


def _reports(made: House) -> list[dict]:
    found, cursor = [], ""
    while True:
        page = made.api("GET", f"/v1/reports?limit=200{cursor}")
        found += page["data"]
        if not page.get("next_cursor"):
            return found
        cursor = f"&cursor={page['next_cursor']}"


def test_walk_a_thirty_sms_and_ten_mails_become_forty_reports_though_the_worker_is_killed(
    home: House,
) -> None:
    for n in range(15):
        home.provider.text(f"+8613800138{n:03d}", f"河堤漏水 {n}", times=3)
    home.kill(worker_of(home))
    if worker_of(home) == "worker1":  # the doors stay open without a worker
        for n in range(15, 30):
            home.provider.text(f"+8613800138{n:03d}", f"河堤漏水 {n}")
        home.start_again("worker1")
    else:
        home.start_again("all")
        ready(home)
        for n in range(15, 30):
            home.provider.text(f"+8613800138{n:03d}", f"河堤漏水 {n}")
    with smtplib.SMTP(home.settings.smtp_host, home.settings.smtp_port, timeout=20) as mail:
        for n in range(10):
            message = f"From: a@example.org\r\nSubject: mail {n}\r\nMessage-ID: <{n}@x>\r\n\r\nbody {n}\r\n"
            for _ in range(3):
                mail.sendmail("a@example.org", ["report@tocsin.example"], message)
    until(lambda: len(_reports(home)) == SEEDED + 40, "forty reports stand in the queue")
    texts = Counter(r["text"].strip() for r in _reports(home))
    assert all(texts[f"河堤漏水 {n}"] == 1 for n in range(30))
    assert all(texts[f"body {n}"] == 1 for n in range(10))


def test_walk_b_an_approved_warning_reaches_everybody_once_though_the_worker_is_killed(home: House) -> None:
    home.provider.script({"delay_ms": 60})
    body = next(t for t in home.api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
    body["areas"] = ["990000"]
    release = home.api("POST", "/v1/releases", body, **{"Idempotency-Key": "walk-b"})["id"]
    submitted = home.api("POST", f"/v1/releases/{release}/submit", {})
    with pytest.raises(AssertionError, match="403"):
        home.api("POST", f"/v1/releases/{release}/approve", {"digest": submitted["digest"]})
    home.api("POST", f"/v1/releases/{release}/approve", {"digest": submitted["digest"]}, key="approver")
    shown = {a["channel"] + a["language"]: a for a in submitted["artefacts"] if a["purpose"] == "main"}
    both = {shown["smszh-CN"]["sha256"], shown["smsen"]["sha256"]}

    def left() -> set[str]:
        """Hashes of the texts of the warning that the provider took; the rest acknowledge the morning's reports."""
        ledger = [m for m in home.provider.ledger() if m["to"].startswith("+86190000")]
        return {hashlib.sha256(m["body"].encode()).hexdigest() for m in ledger}

    # a slice may be all there is of a language: the death comes when both have begun
    until(lambda: len(home.provider.ledger()) > 40 and len(left()) == 2, "the first messages are out")
    home.kill(worker_of(home))
    home.start_again(worker_of(home))
    ready(home)

    def summary() -> dict:
        return home.api("GET", f"/v1/releases/{release}/summary")

    until(lambda: home.api("GET", f"/v1/releases/{release}")["state"] == "published", "it is published", 180)
    ledger = [m for m in home.provider.ledger() if m["to"].startswith("+86190000")]
    sent = Counter(m["to"] for m in ledger)
    assert max(sent.values()) == 1, "nobody was sent the same warning twice"
    counts = summary()["channels"]["sms"]
    assert sum(counts["states"].values()) == counts["reach"] == 240

    def untold() -> set[str]:
        """Phones of whom a callback met a dead hub: what became of their message we may never hear."""
        return {m["to"] for m in home.provider.ledger() if any(c["answer"] != 204 for c in m["callbacks"])}

    def unheard() -> set[str]:
        return {phone for phone, known in states(home, release).items() if known == "accepted"}

    until(lambda: unheard() <= untold(), "every receipt that was answered counts")
    known = summary()["channels"]["sms"]["states"]
    unsure = known.get("unsure", 0)
    delivered = sum(known.get(s, 0) for s in ("accepted", "sent", "delivered", "read"))
    assert delivered + unsure == 240
    assert 240 - unsure <= len(ledger) <= 240
    assert unsure <= 2 * SLICE, "at most what the two runners of the lane had in hand"

    assert left() == both, "what was approved, byte for byte, and nothing else"
    cap = get(f"{home.url}/public/cap/{release}.xml")
    assert hashlib.sha256(cap).hexdigest() == shown["cap_feedmul"]["sha256"]
    atom = etree.fromstring(get(f"{home.url}/public/alerts.atom"))
    assert f"{release}.xml" in etree.tostring(atom).decode()
    page = get(f"{home.url}/alerts/{release}/").decode()
    assert "暴雨" in page
    assert len(page.encode()) <= 14 * 1024
