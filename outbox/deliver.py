"""One parcel to one wire: lease, attempts written down, guarded calls, answers written down, settle."""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from channels.contract import Wire, weight_of
from domain.errors import Never, NotNow, Unavailable
from domain.parcel import DeliveryState, ParcelState
from outbox import ending, receipts
from outbox.breaker import Breaker
from outbox.guard import Guard, Refusal, boottime, is_switched_off
from outbox.lanes import URGENT, job_of
from outbox.outgoing import Outgoing
from outbox.pace import Pace
from outbox.window import DEADLINE, Outcome, calls_of
from store import audience, journal, parcels, promises, shelf, slices
from store import receipts as receipt_book
from store.parcels import Claim, Result, Slot
from store.unit import Unit

# three call deadlines; renewed with each slice, so only the dead let it run out
LEASE = timedelta(seconds=30)
# of a lease: no call begins whose answer could not be written within it
CALLS_LAST = DEADLINE + timedelta(seconds=2)
# a window of 32 in flight and one ready behind it; a crash leaves at most this many unsure per worker
SLICE = 64
SLICE_LASTS = timedelta(seconds=5)  # at the pace of the channel, so that a slice ends well inside its lease
QUICK = timedelta(seconds=1)  # a provider that answers a slice within it is given twice as much at a time
TURN = timedelta(seconds=5)  # then other parcels, and recalls of this one, get the thread
_WAITS = {Refusal.KILL_SWITCH, Refusal.BLIND, Refusal.CLOSING}
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=5)


class Ended(StrEnum):
    """How a turn with a parcel ended; also what the metric counts."""

    NOT_DUE = "not_due"  # somebody else has it, or it is finished
    NO_WIRE = "no_wire"
    SETTLED = "settled"
    TURN_OVER = "turn_over"  # more is queued and due at once
    WAITS = "waits"  # throttled, or held by the kill switch
    EXPIRED = "expired"
    STOPPED = "stopped"
    BURIED = "buried"
    FENCED = "fenced"  # the lease was lost: whoever has it now writes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Began:
    """A slice whose attempts are written down; that transaction was the first look at its tombstone."""

    slots: list[Slot]
    until: datetime  # of the lease, as it is written
    seen_at: float  # boottime() before that look
    is_stopped: bool

    @property
    def lease_ends(self) -> float:
        """boottime() at which the lease is over."""
        return self.seen_at + LEASE.total_seconds()


def deliver(out: Outgoing, parcel_id: str) -> Ended:
    """Take a turn with a parcel. Safe to call for any id, at any time, by any number of workers."""
    at = out.clock()
    if not out.store.read(lambda unit: parcels.is_due(unit, parcel_id, at)):
        return Ended.NOT_DUE
    until, lease_ends = at + LEASE, boottime() + LEASE.total_seconds()
    held = out.store.run(lambda unit: parcels.claim(unit, parcel_id, at=at, until=until))
    if held is None:
        return Ended.NOT_DUE
    if held.channel not in out.wires:
        return _give_back(out, held, Ended.NO_WIRE, timedelta(minutes=1))
    ended = _turn(out, held, until, lease_ends)
    if ended in (Ended.SETTLED, Ended.BURIED, Ended.EXPIRED):
        out.store.run(lambda unit: ending.finish(unit, held.dispatch, out.clock()))
    elif ended is Ended.TURN_OVER:
        out.bell(job_of(held.lane), parcel_id)
    return ended


@dataclass(slots=True, kw_only=True)
class _Turn:
    """A turn under way in the courier's loop; the thread that waits for it writes down what is left of it."""

    out: Outgoing
    held: Claim
    until: datetime  # of the lease, as it is written
    ends: float  # boottime() at which other parcels get their turn
    said: Sequence[Outcome] = ()  # of the slice before, known nowhere else yet
    lease_ends: float  # boottime() at which it is over
    is_repeated: bool = False  # what was to be written down may have been

    async def slices(self) -> Callable[[], Ended]:
        """Slice after slice; how the turn ends, once what is still in `said` is written down."""
        out, held = self.out, self.held
        wire = before = out.wire_now(held.channel) or out.wires[held.channel]
        while True:
            pace, breaker = out.pace_of(wire), out.courier.breaker_of(wire)
            end = _end_of_turn(self, breaker, is_other=wire is not before)
            if end is not None:
                return end
            is_one_by_one, spare = breaker.is_one_by_one, out.spare_name(wire)
            lasted = out.courier.lasted(wire)
            most = wire.items_per_call if is_one_by_one else _slice_size(wire, pace, held.payload, lasted)
            self.is_repeated = True  # if nothing more is heard of it
            try:
                began = await _go_on(self, most=most, spare=spare)
            except Unavailable:
                return partial(_let_go, out, held, Ended.TURN_OVER)
            except Exception as error:  # what was said of the last slice must not be lost with the next one
                return partial(_raise, error)
            self.said, self.is_repeated = (), False
            if began is None or not began.slots:
                return lambda: Ended.FENCED if began is None else Ended.SETTLED
            self.until, self.lease_ends = began.until, began.lease_ends
            self.said = await _carry(out, held, wire, pace, began)
            wire, before = out.wire_now(held.channel) or wire, wire


def _raise(error: Exception) -> Ended:
    raise error


def _turn(out: Outgoing, held: Claim, until: datetime, lease_ends: float) -> Ended:
    turn = _Turn(
        out=out, held=held, until=until, ends=boottime() + TURN.total_seconds(), lease_ends=lease_ends
    )
    try:
        end = out.courier.run(turn.slices()) or partial(
            _give_back, out, held, Ended.WAITS, timedelta(seconds=1)
        )
    except Exception as error:  # what a provider said is written down all the same
        end = partial(_raise, error)
    if _note(turn):
        return end()
    is_ours = turn.is_repeated and out.store.read(lambda unit: parcels.is_settled(unit, held))
    return Ended.SETTLED if is_ours else Ended.FENCED


def _end_of_turn(turn: _Turn, breaker: Breaker, *, is_other: bool) -> Callable[[], Ended] | None:
    """What to do with the parcel once `said` is written down; None: go on with the next slice.

    `is_other`: that one goes to another provider, so that this one's wish to wait holds up nothing.
    """
    out, held, said = turn.out, turn.held, turn.said
    end = _judge(out, held, said, is_other=is_other)
    if end is not None:
        return end
    if out.clock() >= held.expires:
        return partial(_expire, out, held)
    if is_switched_off(os.fspath(out.stop_file)) or out.courier.is_closing:
        return partial(_give_back, out, held, Ended.WAITS, timedelta(seconds=1))
    if rest := breaker.rest():
        return partial(_give_back, out, held, Ended.WAITS, rest)
    if said and boottime() >= turn.ends:
        return partial(_let_go, out, held, Ended.TURN_OVER)
    return None


async def _go_on(turn: _Turn, *, most: int, spare: str) -> _Began | None:
    """In one transaction the answers of a slice and the attempts of the next, or the end of the parcel.

    No slots when it is settled, None when it is another's now.
    """
    out, held = turn.out, turn.held
    results = [result for outcome in turn.said for result in _results(outcome)]

    is_repeated = False
    if out.store.is_postgres and slices.is_ordinary(results):
        seen_at, at = boottime(), out.clock()
        until = at + LEASE
        step = await out.store.at_once(
            lambda unit: slices.step(
                unit, held, results, most=most, at=at, was=turn.until, until=until, spare=spare
            )
        )
        if step is not None and step.is_done and step.slots:
            is_stopped = held.is_recallable and step.is_stopped
            return _Began(slots=step.slots, until=until, seen_at=seen_at, is_stopped=is_stopped)
        if step is not None and step.is_done:  # nothing is queued any more
            results = []
        else:
            is_repeated = True

    def work(unit: Unit) -> _Began | None:
        seen_at, at = boottime(), out.clock()
        until = at + LEASE
        waiting, slots = slices.go_on(
            unit, held, results, most=most, at=at, until=until, spare=spare, takes_back=is_repeated
        )
        _follow(unit, held, results, waiting, at)
        if slots is None:
            return None
        if not slots and parcels.settle(unit, held, at) != ParcelState.SETTLED:
            return None
        is_stopped = held.is_recallable and promises.has_tombstone(unit, held.release)
        return _Began(slots=slots, until=until, seen_at=seen_at, is_stopped=is_stopped)

    return await out.store.done(work)


def _note(turn: _Turn) -> bool:
    """Write down what is left of a turn, until the store has answered or its lease is over; False if it is another's now.

    It is safe to repeat: what a provider said is known nowhere else. Attempts of which nobody knows whether they were
    written down go back to the queue: none of their calls was made.
    """
    out, held = turn.out, turn.held
    results = [result for outcome in turn.said for result in _results(outcome)]

    while results or turn.is_repeated:
        try:
            return out.store.run(
                lambda unit: _write(unit, held, results, out.clock(), takes_back=turn.is_repeated)
            )
        except Unavailable:
            if boottime() >= turn.lease_ends:
                raise
            turn.is_repeated = True
            time.sleep(0.2)
    return True


async def _carry(out: Outgoing, held: Claim, wire: Wire, pace: Pace, began: _Began) -> list[Outcome]:
    calls = calls_of(
        wire, began.slots, payload=held.payload, sha256=held.sha256, language=held.language,
        name=lambda seq: receipt_book.delivery_id(held.parcel, seq), is_notice=held.purpose in ("notice", "answer"),
    )  # fmt: skip

    guard = Guard(
        store=out.store, held=held, slots=began.slots, lease_ends=began.lease_ends, stop_file=out.stop_file,
        clock=out.clock, readers=out.courier.readers, seen_at=began.seen_at, is_stopped=began.is_stopped,
        calls_last=CALLS_LAST.total_seconds(),
    )  # fmt: skip
    return await out.courier.carry(wire, calls, pace=pace, guard=guard, is_urgent=held.lane == URGENT,
                             has_other=held.channel in out.spares)  # fmt: skip


def _results(outcome: Outcome) -> list[Result]:
    """One result for each slot of the call; what got no answer of its own is unsure."""
    slots, error = outcome.call.slots, outcome.error
    if outcome.refusal is not None or isinstance(error, NotNow):
        is_unmade = outcome.refusal is not None
        return [Result(seq=s.seq, state=DeliveryState.QUEUED, is_unmade=is_unmade) for s in slots]
    if isinstance(error, Never):
        return [Result(seq=s.seq, state=DeliveryState.FAILED, code=error.code) for s in slots]
    if error is not None:
        return [Result(seq=s.seq, state=DeliveryState.UNSURE, code=error.code) for s in slots]
    said = {answer.delivery_id: answer for answer in outcome.answers}
    definite = (DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.FAILED)
    found = []
    for slot, item in zip(slots, outcome.call.part.items, strict=True):
        answer = said.get(item.delivery_id)
        if answer is not None and answer.moved_to and answer.state is DeliveryState.QUEUED:
            found.append(Result(seq=slot.seq, state=DeliveryState.QUEUED, moved_to=answer.moved_to[:200]))
        elif answer is None or answer.state not in definite:
            found.append(Result(seq=slot.seq, state=DeliveryState.UNSURE, code="no_answer"))
        else:
            found.append(Result(seq=slot.seq, state=answer.state, provider_id=answer.provider_id[:80],
                                code=answer.code, gone=item.address if answer.is_gone else ""))  # fmt: skip
    return found


def _write(
    unit: Unit, held: Claim, results: Sequence[Result], at: datetime, *, takes_back: bool = False
) -> bool:
    waiting = slices.record(unit, held, results, at, takes_back=takes_back)
    _follow(unit, held, results, waiting, at)
    return waiting is not None


def _follow(
    unit: Unit, held: Claim, results: Sequence[Result], waiting: frozenset[str] | None, at: datetime
) -> None:
    """After the results the receipts that came before them, who is gone, then how many are unsure."""
    for gone in (r.gone for r in results if r.gone and waiting is not None):
        audience.opt_out(unit, held.channel, gone, inbound="", at=at)
    if waiting:
        receipts.apply_held(unit, held.channel, waiting, at)
    unsure = sum(r.state is DeliveryState.UNSURE for r in results) if waiting is not None else 0
    if unsure:
        ending.note_unsure(unit, held.release, held.parcel, unsure, at)


def _judge(
    out: Outgoing, held: Claim, outcomes: Sequence[Outcome], *, is_other: bool
) -> Callable[[], Ended] | None:
    """What the outcomes of a slice mean for the rest of the parcel; None: go on."""
    refusals = {o.refusal for o in outcomes}
    never = next((o.error for o in outcomes if isinstance(o.error, Never)), None)
    if Refusal.TAMPERED in refusals:
        return partial(_bury, out, held, "tampered")
    if never is not None:
        return partial(_bury, out, held, never.code)
    if refusals & {Refusal.STOPPED, Refusal.LEASE_OVER}:
        return partial(_let_go, out, held, Ended.STOPPED)
    if Refusal.EXPIRED in refusals:
        return partial(_expire, out, held)
    not_now = [o.error for o in outcomes if isinstance(o.error, NotNow)]
    if not_now and not is_other:
        asked = max((e.retry_after for e in not_now if e.retry_after), default=timedelta())
        was_answered = any(o.answers for o in outcomes)
        wait = max(asked, _backoff(0 if was_answered else held.attempts))
        return partial(_give_back, out, held, Ended.WAITS, wait)
    if refusals & _WAITS or (Refusal.RESTING in refusals and not is_other):
        return partial(_give_back, out, held, Ended.WAITS, timedelta(seconds=1))
    return None


def _let_go(out: Outgoing, held: Claim, ended: Ended) -> Ended:
    left = out.store.run(lambda unit: parcels.settle(unit, held, out.clock()))
    return Ended.FENCED if ended is Ended.SETTLED and left != "settled" else ended


def _give_back(out: Outgoing, held: Claim, ended: Ended, wait: timedelta) -> Ended:
    at = out.clock()
    again_at = min(at + wait, max(held.expires, at))  # at its end somebody must say that it has expired
    out.store.run(lambda unit: parcels.settle(unit, held, at, again_at=again_at))
    return ended


def _expire(out: Outgoing, held: Claim) -> Ended:
    def work(unit: Unit) -> None:
        at = out.clock()
        count = parcels.expire(unit, held, at)
        parcels.settle(unit, held, at)
        if count and held.release:
            journal.append(unit, "release", held.release, "deliveries_expired", by="system", at=at,
                           detail={"parcel": held.parcel, "count": count})  # fmt: skip

    out.store.run(work)
    return Ended.EXPIRED


def _bury(out: Outgoing, held: Claim, code: str) -> Ended:
    def work(unit: Unit) -> None:
        at = out.clock()
        count = parcels.bury(unit, held, code, at)
        shelf.put(unit, "parcel", code, at=at, origin=held.parcel)
        if held.release:
            act = "tampered" if code == "tampered" else "bury"
            journal.append(unit, "release", held.release, act, by="system", at=at,
                           detail={"parcel": held.parcel, "count": count, "code": code})  # fmt: skip

    out.store.run(work)
    return Ended.BURIED


def _slice_size(wire: Wire, pace: Pace, payload: bytes, lasted: float) -> int:
    weight = weight_of(wire, payload)
    in_time = int(pace.calls_per_second * SLICE_LASTS.total_seconds() / weight) * wire.items_per_call
    if wire.items_per_call > 1:
        return max(min(wire.items_per_call * wire.window, in_time), wire.items_per_call)
    windows = 4 if lasted < QUICK.total_seconds() else 2
    return max(min(windows * wire.window // weight, SLICE, in_time), 1)


def _backoff(failures: int) -> timedelta:
    """Doubling from a second to five minutes, half of it by chance so that parcels do not march in step."""
    doubled: timedelta = _FIRST_WAIT * (1 << min(failures, 16))
    return min(doubled, _LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311 (jitter, not a secret)
