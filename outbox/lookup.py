"""Asks providers what became of deliveries nobody knows the end of, and sends again what they prove they never had.

A provider's list does not give our tag back. A message on it is ours when it went from our sender to the
address, holds exactly the approved text, was made after the promise, and bears no name that another delivery
bears already. Nothing like it twice, a minute apart, is the proof of absence that PROMISES R4 asks for; a
message that no row explains, or a list that is not whole, proves nothing: the delivery stays unsure. Where the
approved release says so (`repeat_unsure`, red and orange only), it is sent once more all the same, and marked.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from channels.contract import LooksUp, Repeats, Wire
from domain.errors import HubError, NotNow
from domain.parcel import DeliveryState, Listed, Receipt
from outbox import receipts
from outbox.lanes import job_of
from outbox.outgoing import Outgoing
from outbox.pace import Pace
from store import journal, lookups
from store import receipts as receipt_book
from store.lookups import Task
from store.unit import Unit

FIRST_LOOK = timedelta(seconds=15)  # most receipts have come by then, and settle without a question
APART = timedelta(seconds=60)  # between two looks that together prove an absence (the list's lag: a guess)
SKEW = timedelta(minutes=10)  # that the provider's clock may be behind ours
LONGEST_WAIT = timedelta(minutes=15)  # between two looks at what stays unclear
GIVE_UP = timedelta(hours=24)  # of asking; the delivery stays as it is, and is shown
DOUBTS = 2  # looks that have shown nothing, before a release that says so is sent once more
UNASKED_FOR = timedelta(seconds=75)  # as long as two looks take, for a wire that cannot be asked
REPEATS_AT_MOST = 3  # of one delivery: what is proven absent over and over is another kind of fault
SILENT_FOR = timedelta(minutes=10)  # without a receipt (PROMISES F23)
TELLS = ("sms",)  # channels whose provider reports each delivery; a mail server tells of failures only
_BATCH, _AT_ONCE = 32, 4
_SHARE = 10  # look-ups go at a tenth of the pace of sends
_DEADLINE = timedelta(seconds=20)  # of one look-up: a few pages
_HAND = timedelta(minutes=3)  # a batch is over by then; a dead process's rows are due again after it
_POLLS = 32  # silent deliveries noted in one step
_WALK_EVERY = timedelta(
    seconds=15
)  # and step: two polls a second, and a million without receipts hold up none


class Verdict(StrEnum):
    """What a look-up has shown; also what the metric counts."""

    UNDER_WAY = ""
    FOUND = "found"
    ABSENT_ONCE = "absent_once"
    ABSENT = "absent"  # proven, and sent again where the release still goes
    UNCLEAR = "unclear"
    REPEATED = "repeated"  # by a wire whose repeat reads as the same message
    DOUBLED = "doubled"  # nothing is proven, and the approved release says: better twice than not at all
    SETTLED = "settled"  # by a receipt, before it was asked
    SILENT = "silent"  # taken, and no receipt: asked how it stands


_SENT_AGAIN = (Verdict.ABSENT, Verdict.REPEATED, Verdict.DOUBLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The provider's list, or why there is none."""

    listed: Sequence[Listed] | None
    wait: timedelta | None = None


class Lookups:
    """The look-ups of one process. A run has a thread of its own and never more than one: sends go before it."""

    def __init__(self, out: Outgoing) -> None:
        self._out = out
        self._running: threading.Thread | None = None
        self._paces: dict[str, Pace] = {}
        self._walk_at = out.clock()

    def begin(self) -> None:
        """Note what is unsure or silent, and ask about what is due, in the background."""
        if self._running is not None and self._running.is_alive():
            return
        self._running = threading.Thread(target=self._in_background, name="look-up", daemon=True)
        self._running.start()

    def _in_background(self) -> None:
        try:
            self.run()
        except HubError:  # the store is away, or the process leaves: every row is due again
            return

    def run(self) -> int:
        """One round; how many deliveries were asked about."""
        out, at = self._out, self._out.clock()
        asked = {wire.channel for wire in out.all_wires() if isinstance(wire, LooksUp)}
        waits = {channel: FIRST_LOOK for channel in asked}
        waits |= {
            c: w.repeats_after if isinstance(w, Repeats) else UNASKED_FOR
            for c, w in out.wires.items()
            if c not in asked
        }
        telling = [channel for channel in asked if channel in TELLS and self._walk_at <= at]
        if not telling and not out.store.read(lambda unit: lookups.is_needed(unit, list(waits), at)):
            return 0

        def note(unit: Unit) -> list[Task]:
            lookups.enrol(unit, waits, at)
            if telling:
                self._walk_at = at + _WALK_EVERY
                lookups.enrol_silent(unit, telling, at, silent_for=SILENT_FOR, since=at - GIVE_UP,
                                     again=SILENT_FOR, limit=_POLLS)  # fmt: skip
            return lookups.take(unit, list(waits), at, until=at + _HAND, limit=_BATCH)

        tasks = out.store.run(note)
        if not tasks:
            return 0
        by = {task.key: out.wire_of(task.channel, task.spare) for task in tasks}
        to_ask = [task for task in tasks if isinstance(by[task.key], LooksUp)]
        said = dict(zip([t.key for t in to_ask], out.courier.ask(self._ask(to_ask)), strict=True))
        alike = {key for key, wire in by.items() if isinstance(wire, Repeats)}
        opened = out.store.run(lambda unit: _settle(unit, tasks, said, alike, out.clock()))
        for task in opened:
            out.bell(job_of(task.lane), task.parcel)
        return len(tasks)

    async def _ask(self, tasks: Sequence[Task]) -> list[_Said]:
        places = asyncio.Semaphore(_AT_ONCE)
        return await asyncio.gather(*(self._ask_one(t, places) for t in tasks))

    async def _ask_one(self, task: Task, places: asyncio.Semaphore) -> _Said:
        wire = self._out.wire_of(task.channel, task.spare)
        if wire is None or not isinstance(wire, LooksUp):  # the spare it went by is another's now
            return _Said(listed=None)
        pace = self._pace(wire)
        try:
            async with places:
                await pace.take()
                since = task.promised_at - SKEW
                found = await asyncio.wait_for(wire.look_up(task.address, since), _DEADLINE.total_seconds())
                return _Said(listed=found)
        except NotNow as error:
            if error.retry_after:
                pace.hold(error.retry_after)
            return _Said(listed=None, wait=error.retry_after)
        except Exception:  # silence, a list that is not whole, a broken wire: nothing is proven
            return _Said(listed=None)

    def _pace(self, wire: Wire) -> Pace:
        sends = self._out.pace_of(wire).calls_per_second
        return self._paces.setdefault(wire.name, Pace(sends / _SHARE, burst=_AT_ONCE))


def _settle(
    unit: Unit,
    tasks: Sequence[Task],
    said: dict[tuple[str, int], _Said],
    alike: Collection[tuple[str, int]],
    at: datetime,
) -> list[Task]:
    """Write down what the looks have shown; those whose parcels have something to send again.

    `alike`: those that went by a wire whose repeats read as the same message.
    """
    counted: dict[tuple[str, str], Counter[str]] = {}
    opened = []
    for task in tasks:
        if task.state is not DeliveryState.UNSURE:
            _poll(unit, task, said.get(task.key, _Said(listed=None)), at)
            continue
        if not lookups.is_unsure(unit, task):
            lookups.close(unit, task.key, Verdict.SETTLED, at)
            continue
        answer = said.get(task.key)
        is_alike = task.key in alike
        verdict = _judge_one(unit, task, answer, at) if answer else _repeat(unit, task, is_alike, at)
        if verdict in (Verdict.FOUND, *_SENT_AGAIN):
            counted.setdefault((task.release, task.parcel), Counter())[verdict.value] += 1
        if verdict in _SENT_AGAIN:
            opened.append(task)
    for (release, parcel), counts in counted.items():
        if release:
            journal.append(unit, "release", release, "look_up", by="system", at=at,
                           detail={"parcel": parcel, **counts})  # fmt: skip
    return opened


def _judge_one(unit: Unit, task: Task, said: _Said, at: datetime) -> Verdict:
    looks = task.looks + 1
    verdict, one = (Verdict.UNDER_WAY, None) if said.listed is None else judge(unit, task, said.listed)
    is_shown = one is not None or verdict is Verdict.ABSENT_ONCE
    is_wanted = looks >= DOUBTS and not is_shown and _is_doubtful(task, at)
    if is_wanted and lookups.may_leave(unit, task, at):
        return _double(unit, task, looks, at)
    if said.listed is None:
        again = said.wait or min(timedelta(seconds=10) * (1 << min(looks, 10)), LONGEST_WAIT)
        return _look_again(unit, task, Verdict.UNDER_WAY, at, again, looks=looks, absent_at=task.absent_at)
    if verdict is Verdict.FOUND and one is not None:
        _found(unit, task, one, at)
        lookups.close(unit, task.key, verdict.value, at, looks=looks)
        return verdict
    if verdict is Verdict.UNCLEAR:
        is_soon = task.may_double and not task.is_double
        again = APART if is_soon else min(APART * (1 << min(looks, 6)), LONGEST_WAIT)
        return _look_again(unit, task, verdict, at, again, looks=looks, absent_at=None)
    if task.absent_at is None or at - task.absent_at < APART:
        first = task.absent_at or at
        return _look_again(
            unit, task, Verdict.ABSENT_ONCE, at, first + APART - at, looks=looks, absent_at=first
        )
    if task.repeats >= REPEATS_AT_MOST:
        lookups.close(unit, task.key, Verdict.UNCLEAR, at, looks=looks)
        return Verdict.UNCLEAR
    lookups.send_again(unit, task, "absent", at)
    lookups.close(unit, task.key, Verdict.ABSENT, at, looks=looks, repeats=task.repeats + 1)
    return Verdict.ABSENT


def judge(unit: Unit, task: Task, listed: Sequence[Listed]) -> tuple[Verdict, Listed | None]:
    """FOUND with the message, ABSENT_ONCE, or UNCLEAR; that one with a message where the list shows the text.

    Several unsure deliveries of one text to one address are found only together, when the list has a message
    for each: which of two is the missing one nobody can say.
    """
    known = lookups.known(unit, [one.provider_id for one in listed])
    fresh = sorted((m for m in listed if m.provider_id not in known and m.address == task.address),
                   key=lambda m: (m.created_at, m.provider_id))  # fmt: skip
    text, rivals = task.payload.decode("utf-8", "replace"), lookups.rivals(unit, task)
    alike = [r for r in rivals if r[3] == task.payload]
    others = {r[3].decode("utf-8", "replace") for r in rivals}
    mine = [m for m in fresh if m.text == text]
    if mine:
        is_certain = all(r[2] is DeliveryState.UNSURE for r in alike) and len(mine) > len(alike)
        rank = sum((r[0], r[1]) < task.key for r in alike)
        too_many = len(mine) > len(alike) + max(task.attempt, 1)
        return (Verdict.FOUND, mine[rank]) if is_certain and not too_many else (Verdict.UNCLEAR, mine[0])
    is_explained = all(m.text in others for m in fresh)
    return (Verdict.ABSENT_ONCE if is_explained else Verdict.UNCLEAR), None


def _found(unit: Unit, task: Task, one: Listed, at: datetime) -> None:
    """The list is as good as a receipt: kept like one, and what had come before it is applied."""
    target = receipt_book.target(unit, _receipt(task, one, at))
    if target is not None and not target.provider_id:
        receipt_book.learn(unit, target, one.provider_id)
    receipts.apply_held(unit, task.channel, {one.provider_id}, at)
    receipts.take(unit, _receipt(task, one, at), at)
    still = receipt_book.target(unit, _receipt(task, one, at))
    if still is not None and still.state is DeliveryState.UNSURE:  # the same receipt is on the shelf already
        receipt_book.raise_to(unit, still, one.state, _receipt(task, one, at))


def _poll(unit: Unit, task: Task, said: _Said, at: datetime) -> None:
    """A message that was taken, and of which no receipt has come: how does it stand?"""
    one = next((m for m in said.listed or () if m.provider_id == task.provider_id), None)
    if one is not None:
        receipts.take(unit, _receipt(task, one, at), at)
    if one is not None and one.state in (DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.FAILED):
        lookups.close(unit, task.key, Verdict.FOUND, at, looks=task.looks + 1)
        return
    again = SILENT_FOR * (1 << min(task.looks, 5))
    _look_again(unit, task, Verdict.SILENT, at, again, looks=task.looks + 1, absent_at=None)


def _is_doubtful(task: Task, at: datetime) -> bool:
    """Whether its release would rather have it twice, and nobody has known of it for as long as was promised."""
    return task.may_double and not task.is_double and at - task.unsure_since >= UNASKED_FOR


def _double(unit: Unit, task: Task, looks: int, at: datetime) -> Verdict:
    """Once, since its approvers would rather have it come twice than not at all."""
    lookups.send_again(unit, task, "repeat", at)
    lookups.close(unit, task.key, Verdict.DOUBLED, at, looks=looks, repeats=task.repeats + 1, is_double=True)
    return Verdict.DOUBLED


def _repeat(unit: Unit, task: Task, is_alike: bool, at: datetime) -> Verdict:
    """Once, by a wire that cannot be asked: where its repeat reads as the same message, or the release says so."""
    if not lookups.may_leave(unit, task, at):  # it stays unsure: nothing has shown that nobody has it
        lookups.close(unit, task.key, Verdict.UNCLEAR, at)
        return Verdict.UNCLEAR
    if not is_alike and task.may_double and not task.is_double:
        if _is_doubtful(task, at):
            return _double(unit, task, task.looks, at)
        again = task.unsure_since + UNASKED_FOR - at
        return _look_again(unit, task, Verdict.UNDER_WAY, at, again, looks=task.looks, absent_at=None)
    if task.repeats or not is_alike:
        lookups.close(unit, task.key, Verdict.UNCLEAR, at)
        return Verdict.UNCLEAR
    lookups.send_again(unit, task, "repeat", at)
    lookups.close(unit, task.key, Verdict.REPEATED, at, repeats=1)
    return Verdict.REPEATED


def _look_again(
    unit: Unit, task: Task, verdict: Verdict, at: datetime, again: timedelta, *, looks: int,
    absent_at: datetime | None,
) -> Verdict:  # fmt: skip
    due = at + again if at - task.promised_at < GIVE_UP else None
    lookups.update(unit, task.key, at, verdict=verdict.value, looks=looks, absent_at=absent_at, due_at=due)
    return verdict


def _receipt(task: Task, one: Listed, at: datetime) -> Receipt:
    return Receipt(
        channel=task.channel, provider_id=one.provider_id, state=one.state, code=one.code, address=one.address,
        delivery_id=receipt_book.delivery_id(task.parcel, task.seq), received_at=at, raw=b"listed",
    )  # fmt: skip
