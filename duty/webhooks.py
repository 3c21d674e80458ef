"""Tells departments what becomes of their reports: reads the journal, promises calls as rows, makes them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from channels.webhook import Caller
from domain.errors import HubError, Never, NotNow
from domain.webhook import EVENTS, WebhookState
from store import journal, webhooks
from store.database import Store
from store.stream import Cursor
from store.unit import Unit
from store.webhooks import Call, Webhook

LEASE = timedelta(seconds=30)  # three times what a call may last; then another worker may try
WAITS = (  # after the first try; with them a call is given up after 38 hours
    timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=30),
    timedelta(hours=2), timedelta(hours=5), timedelta(hours=10), timedelta(hours=20),
)  # fmt: skip
PATIENCE = timedelta(
    days=1
)  # of failures without one success: then the address is disabled, and the desk sees it
TOGETHER = 500  # entries of the journal read in one transaction
ROUNDS = 20  # of them in one run of the chore: 10,000 entries, then others have their turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """What telling needs; built once by the wiring."""

    store: Store
    caller: Caller
    clock: Callable[[], datetime]

    def collect(self) -> int:
        """Promise a call for every entry that a department wants to hear of; how many. Exactly once for each entry:

        the promises and the place in the journal are one transaction.
        """
        at = self.clock()
        for webhook_id in self.store.read(lambda unit: webhooks.failing(unit, at - PATIENCE)):
            self.store.run(partial(_give_up, webhook_id=webhook_id, at=at))
        made = 0
        for _ in range(ROUNDS):
            if not self.store.read(webhooks.has_news):
                break
            made += self.store.run(lambda unit: _promised(unit, self.clock()))
        return made

    def tell(self, call_id: str) -> bool | None:
        """Make one call; True when it was answered, None when it was not ours to make. At least once: the id stays."""
        at = self.clock()
        mine = self.store.run(lambda unit: webhooks.claim(unit, call_id, at, LEASE))
        target = self.store.read(lambda unit: webhooks.get(unit, mine.webhook, at)) if mine else None
        if mine is None or target is None:
            return None
        if target.state is not WebhookState.ACTIVE:
            if target.state is WebhookState.REMOVED:
                self.store.run(
                    lambda unit: webhooks.settle(unit, mine, "drop", at, status=0, reason="removed")
                )
            return None
        if not self.store.read(lambda unit: webhooks.may_hear(unit, mine, at)):
            self.store.run(lambda unit: webhooks.settle(unit, mine, "drop", at, status=0, reason="no_sight"))
            return None
        status, reason = self._called(target, mine)
        is_taken = 200 <= status < 300
        self.store.run(lambda unit: _settled(unit, target, mine, status, reason, self.clock()))
        return is_taken

    def _called(self, target: Webhook, mine: Call) -> tuple[int, str]:
        try:
            return self.caller.call(target.url, mine.id, mine.body, target.secrets, self.clock()), ""
        except (Never, NotNow, HubError) as error:
            return 0, error.code


def _promised(unit: Unit, at: datetime) -> int:
    entries = webhooks.unread(unit, TOGETHER)
    if not entries:
        return 0
    told = [e for e in entries if e.kind == "report" and e.act in EVENTS]
    listening = webhooks.listening(unit, sorted({e.entity for e in told}), at) if told else {}
    made = 0
    for entry in told:
        for webhook_id, code, since in listening.get(entry.entity, ()):
            if entry.at >= since:
                body = _body(entry, code)
                made += bool(webhooks.expect(unit, webhook_id, str(entry.seq), body, at, about=entry.entity))
    last = entries[-1]
    webhooks.read_to(unit, Cursor(last.xid, last.seq))
    return made


def _body(entry: Any, code: str) -> dict[str, Any]:
    """Thin: what happened and where to look; whoever reads it asks under its own key, and sees what that may see."""
    state = {"file": "filed"}.get(entry.act, entry.detail.get("to"))
    data = {
        "id": entry.entity,
        "code": code,
        "act": entry.act,
        "n": entry.n,
        "href": f"/v1/reports/{entry.entity}",
    }
    return {"type": EVENTS[entry.act], "timestamp": entry.at.isoformat(),
            "data": data | ({"state": state} if state else {})}  # fmt: skip


def _settled(unit: Unit, target: Webhook, mine: Call, status: int, reason: str, at: datetime) -> None:
    if 200 <= status < 300:
        webhooks.settle(unit, mine, "answer", at, status=status)
        webhooks.succeeded(unit, target.id)
        return
    why = reason or f"http_{status}"
    since = webhooks.failed(unit, target.id, at)
    if status == 410 or at - since >= PATIENCE:  # 410: the receiver wants no more (Standard Webhooks)
        _disable(unit, target, why, at)
    if mine.tries > len(WAITS):
        webhooks.settle(unit, mine, "drop", at, status=status, reason=why)
    else:
        webhooks.postpone(unit, mine, at + WAITS[mine.tries - 1], at, status=status, reason=why)


def _give_up(unit: Unit, *, webhook_id: str, at: datetime) -> None:
    """Its next try may be hours away: the desk hears after a day all the same."""
    target = webhooks.get(unit, webhook_id, at)
    if target is not None and target.state is WebhookState.ACTIVE:
        _disable(unit, target, "failed_a_day", at)


def _disable(unit: Unit, target: Webhook, why: str, at: datetime) -> None:
    if webhooks.move(unit, target, "disable", at, reason=why):
        journal.append(unit, "webhook", target.id, "disable", by="system", at=at, detail={"reason": why})


def due(unit: Unit, at: datetime) -> list[tuple[str, str]]:
    """Calls to be made now, for the sweep."""
    return [("tell_webhook", row_id) for row_id in webhooks.due(unit, at)]
