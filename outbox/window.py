"""The event loop that makes provider calls: one thread a process, at most a wire's window in flight."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from channels.contract import Wire, weight_of
from domain.errors import Never, NotNow, Unavailable, Unsure
from domain.parcel import Answer, Item, Part
from outbox.breaker import Breaker
from outbox.deadlines import Deadlines
from outbox.guard import Guard, Refusal
from outbox.line import Window
from outbox.pace import Pace
from store.parcels import Slot

T = TypeVar("T")

DEADLINE = timedelta(seconds=10)  # of one call, whatever trickles in; a third of a lease
RESOLVERS = 4  # threads that look names up
READERS = 4  # threads in which guards read the store: each read is well under a millisecond


REFUSES_US = "config"  # of Never: the account, not the message
_LOOK = 0.5  # seconds between looks whether the loop still lives


class _LoopHasEnded(Exception):
    """The courier has closed and will not run this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a wire, and the slots it is for."""

    part: Part
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one call ended: refused before it began, answered, or failed."""

    call: Call
    refusal: Refusal | None = None
    answers: Sequence[Answer] = ()
    error: NotNow | Never | Unsure | None = None


class _Slice:
    """The calls of one slice under way, and how they ended."""

    def __init__(
        self,
        wire: Wire,
        calls: Sequence[Call],
        *,
        pace: Pace,
        guard: Guard,
        breaker: Breaker,
        is_urgent: bool,
        has_other: bool,
    ) -> None:
        self.wire, self.calls, self.pace, self.guard, self.breaker = wire, calls, pace, guard, breaker
        self.is_urgent, self.has_other = is_urgent, has_other
        self.weight = (
            weight_of(wire, calls[0].part.payload) if calls else 1
        )  # one payload, so all weigh alike
        self.is_halted = False  # one of its calls was told to wait: no other begins
        self.outcomes: list[Outcome | None] = [None] * len(calls)
        self._left = len(calls)
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(self, n: int, outcome: Outcome) -> None:
        """How its call `n` ended."""
        self.outcomes[n] = outcome
        self._left -= 1
        if not self._left and not self._ended.done():
            self._ended.set_result(None)

    async def ended(self) -> list[Outcome]:
        """All outcomes, in the order of the calls."""
        if self._left:
            await self._ended
        return [outcome for outcome in self.outcomes if outcome is not None]


def _begun(pool: ThreadPoolExecutor) -> ThreadPoolExecutor:
    """With all of its threads, while there are threads to be had (F31)."""
    together = threading.Barrier(RESOLVERS + 1)
    try:
        for _ in range(RESOLVERS):
            pool.submit(together.wait)
        together.wait()
    except RuntimeError:  # those that have begun must not wait for the others
        together.abort()
        pool.shutdown(wait=False)
        raise
    return pool


class Courier:
    """Owns the loop, the wires' sessions and their windows. Thread-safe; a process has one."""

    def __init__(self, on_bug: Callable[[Exception], object] = lambda _: None) -> None:
        """`on_bug` is told what a guard raised; the call has not begun."""
        self._on_bug = on_bug
        self.readers: Executor = ThreadPoolExecutor(READERS, thread_name_prefix="guard")
        # asyncio's own loop: uvloop gives the interpreter away around every callback, and a thread that writes takes it
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_begun(ThreadPoolExecutor(RESOLVERS, thread_name_prefix="names")))
        self._windows: dict[str, Window[tuple[_Slice, int]]] = {}
        self._wires: dict[str, Wire] = {}
        self._lasted: dict[str, float] = {}
        self._turns: set[asyncio.Task[Any] | None] = set()
        self._breakers: dict[str, Breaker] = {}
        self._deadlines = Deadlines()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    @property
    def is_closing(self) -> bool:
        """No call begins any more."""
        return self._is_closing

    def run(self, turn: Coroutine[Any, Any, T]) -> T | None:
        """Run a turn of slices in the loop, and wait for its end; None if the loop has ended before it.

        The courier waits for it when it closes: it should end soon after is_closing.
        """
        try:
            return self._wait(self._counted(turn))
        except _LoopHasEnded:
            turn.close()
            return None

    async def _counted(self, turn: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        self._turns.add(task)
        try:
            return await turn
        finally:
            self._turns.discard(task)

    async def carry(
        self, wire: Wire, calls: Sequence[Call], *, pace: Pace, guard: Guard,
        is_urgent: bool = False, has_other: bool = False,
    ) -> list[Outcome]:  # fmt: skip
        """Make the calls of one slice and wait for all of them; one outcome for each, in their order. In the loop alone.

        `has_other`: another provider can be called instead, so one that refuses this hub ends nothing for good.
        Urgent calls get the pace and the places of the window before all others that wait.
        While the courier closes, what has not begun is refused as CLOSING.
        """
        if self._is_closing:
            return [Outcome(call=call, refusal=Refusal.CLOSING) for call in calls]
        self._wires[wire.name] = wire
        if wire.name not in self._windows:
            self._windows[wire.name] = Window(wire.window, self._one)
        under_way = _Slice(
            wire, calls, pace=pace, guard=guard, breaker=self.breaker_of(wire), is_urgent=is_urgent,
            has_other=has_other,
        )  # fmt: skip
        begun_at = time.monotonic()
        self._windows[wire.name].put([(under_way, n) for n in range(len(calls))], is_urgent=is_urgent)
        outcomes = await under_way.ended()
        if any(outcome.refusal is None for outcome in outcomes):
            self._lasted[wire.name] = time.monotonic() - begun_at
        return outcomes

    def lasted(self, wire: Wire) -> float:
        """Seconds that the last slice of the wire took of which any call was made; infinite before the first."""
        return self._lasted.get(wire.name, float("inf"))

    def breaker_of(self, wire: Wire) -> Breaker:
        """What this process knows of the wire's provider."""
        return self._breakers.setdefault(wire.name, Breaker())

    def know(self, wire: Wire) -> None:
        """Close its sessions at the end, though it may never be called."""
        self._wires[wire.name] = wire

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what is no call that sends, in the loop where the wires' sessions live. Raises Unavailable."""
        if self._is_closing:
            work.close()
            raise Unavailable("this process is leaving")
        try:
            return self._wait(work)
        except _LoopHasEnded:
            raise Unavailable("this process is leaving") from None

    def close(self, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Begin no further call, wait for those in flight, close the wires' sessions; safe to call twice."""
        if self._is_closing:
            return
        self._is_closing = True
        try:
            self._wait(self._drain(), timeout)
        except TimeoutError:  # what is still in flight is cut off, and its deliveries become unsure
            self._wait(self._cut_off())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout.total_seconds())
        self.readers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T], timeout: timedelta = timedelta.max) -> T:
        """Run `work` in the loop. Raises TimeoutError, and _LoopHasEnded when nobody will run it."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise _LoopHasEnded from None
        end = time.monotonic() + timeout.total_seconds()
        while True:
            try:
                return future.result(min(_LOOK, max(end - time.monotonic(), 0)))
            except TimeoutError:
                if future.done():  # it is its own
                    return future.result()
                if time.monotonic() >= end:
                    raise
                if not self._thread.is_alive():
                    raise _LoopHasEnded from None

    async def _one(self, work: tuple[_Slice, int]) -> None:
        """Make one call of a slice. Never raises: a place goes on with the next."""
        of, n = work
        call = of.calls[n]
        try:
            outcome = await self._guarded(call, of)
        except NotNow as error:  # the pace; a wire's own is answered in _call
            of.is_halted = True
            outcome = Outcome(call=call, error=error)
        except asyncio.CancelledError:  # cut off before the call began
            outcome = Outcome(call=call, refusal=Refusal.CLOSING)
        except Exception as error:  # what cannot be looked at does not begin
            self._on_bug(error)
            outcome = Outcome(call=call, refusal=Refusal.BLIND)
        of.note(n, outcome)

    async def _guarded(self, call: Call, of: _Slice) -> Outcome:
        refusal = await self._turn(call, of)
        if refusal is not None:
            return Outcome(call=call, refusal=refusal)
        entered = of.breaker.enter()
        if entered is None:
            return Outcome(call=call, refusal=Refusal.RESTING)
        outcome = await self._call(call, of)
        of.breaker.leave(entered, outcome.error)
        return outcome

    async def _turn(self, call: Call, of: _Slice) -> Refusal | None:
        """Wait for the pace, then look: nothing is awaited between the last look and the call."""
        if not (of.is_halted or self._is_closing):
            for _ in range(of.weight):
                if not of.pace.try_take():
                    await of.pace.take(is_urgent=of.is_urgent)
            for slot in call.slots:
                refusal = await of.guard.refusal(slot)
                if refusal is not None:
                    return refusal
        if of.is_halted:
            return Refusal.HALTED
        return Refusal.CLOSING if self._is_closing else None

    async def _call(self, call: Call, of: _Slice) -> Outcome:
        task, is_late = self._deadlines.begin(DEADLINE), False
        try:
            try:
                answers = await of.wire.call(call.part)
            finally:
                is_late = self._deadlines.end(task)
        except NotNow as error:
            of.is_halted = True
            if error.retry_after:
                of.pace.hold(error.retry_after)
            return Outcome(call=call, error=error)
        except Never as error:
            of.is_halted = True
            if error.code == REFUSES_US and of.has_other:
                of.breaker.trip(error.code)
                return Outcome(call=call, error=NotNow("this provider refuses us", code=error.code))
            return Outcome(call=call, error=error)
        except Unsure as error:
            return Outcome(call=call, error=error)
        except (asyncio.CancelledError, Exception) as error:  # a wire that breaks its contract proves nothing
            if is_late or isinstance(error, TimeoutError):
                return Outcome(call=call, error=Unsure("no answer within the deadline", code="deadline"))
            return Outcome(call=call, error=Unsure("the call broke off", code=type(error).__name__))
        return Outcome(call=call, answers=answers)

    async def _drain(self) -> None:
        for name, wire in self._wires.items():
            if window := self._windows.get(name):
                await window.end()
            await wire.aclose()
        await self._end_turns(None)

    async def _cut_off(self) -> None:
        for window in self._windows.values():
            await window.cut_off(1)
        await self._end_turns(1)

    async def _end_turns(self, patience_seconds: float | None) -> None:
        if turns := [task for task in self._turns if task is not None]:
            await asyncio.wait(turns, timeout=patience_seconds)


def calls_of(wire: Wire, slots: Sequence[Slot], *, payload: bytes, sha256: str, language: str,
             name: Callable[[int], str], is_notice: bool = False) -> list[Call]:  # fmt: skip
    """Cut a slice into calls of at most the wire's items; `name` gives the delivery id of a sequence number."""
    calls = []
    for start in range(0, len(slots), max(wire.items_per_call, 1)):
        some = tuple(slots[start : start + max(wire.items_per_call, 1)])
        items = tuple(Item(delivery_id=name(s.seq), address=s.address, attempt=s.attempt) for s in some)
        part = Part(channel=wire.channel, payload=payload, sha256=sha256, language=language, items=items,
                    is_notice=is_notice)  # fmt: skip
        calls.append(Call(part=part, slots=some))
    return calls
