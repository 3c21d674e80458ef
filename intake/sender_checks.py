"""Behind the queue: ask DNS whether a filed mail is from whom it says, and write down what came of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from channels.codecs import mail_auth
from domain.errors import BadInput, HubError
from domain.sender import SenderCheck, Verdict
from sandbox.pool import Pool
from store import inbox, sender_checks
from store.blobs import Blobs
from store.database import Store
from store.inbox import Arrived

WHOLE = timedelta(seconds=3)  # PROMISES H96: for all look-ups of one mail together
ROUNDS = 16  # SPF asks for one name after another: ten terms, and a host or two of each
LEASE = timedelta(seconds=30)  # WHOLE, the children's time, and a machine that is busy
AGAIN = (timedelta(minutes=1), timedelta(minutes=10))  # when DNS did not answer; then it stays unchecked


class Resolver(Protocol):
    """The port to DNS. Never raises; what it does not know has failed."""

    def ask(
        self, questions: Sequence[tuple[str, str]], *, within: timedelta
    ) -> Mapping[str, Mapping[str, Any]]:
        """ "TYPE name" -> {status: found | none | failed, records: list of str}."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """What the look at senders needs; a hub without a resolver has none, and its mails stay unchecked."""

    store: Store
    blobs: Blobs
    pool: Pool  # its own: a mail that takes long to verify holds up no filing
    resolver: Resolver
    clock: Callable[[], datetime]
    names: tuple[str, ...]  # under which results of this hub would be signed (RFC 8601 §2.5)
    known: tuple[str, ...] = ()  # domains of departments, for names made to look like them

    def check(self, report_id: str) -> None:
        """Look at one mail. Safe to run twice and side by side, for any id."""
        at = self.clock()
        taken = self.store.run(lambda unit: sender_checks.begin(unit, report_id, at, at + LEASE))
        if taken is None:
            return
        inbound_id, tries = taken
        try:
            arrived = self.store.read(lambda unit: inbox.load(unit, inbound_id, self.blobs.get))
            found = self._found(arrived) if arrived else _unreadable()
        except BadInput:
            found = _unreadable()
        except (HubError, OSError):  # no child, no blob for the moment, a destroyed key
            found = _unreadable()
            if tries <= len(AGAIN):
                self._later(report_id, tries)
                return
        check = SenderCheck(verdict=Verdict(found["verdict"]), reasons=tuple(found["reasons"]))
        if check.verdict is Verdict.UNCHECKED and "dns_unavailable" in check.reasons and tries <= len(AGAIN):
            self._later(report_id, tries)
            return
        self.store.run(
            lambda unit: sender_checks.settle(
                unit, report_id, check, results=found["results"], seal=found["seal"], at=self.clock()
            )
        )

    def _later(self, report_id: str, tries: int) -> None:
        until = self.clock() + AGAIN[tries - 1]
        self.store.run(lambda unit: sender_checks.postpone(unit, report_id, until))

    def _found(self, arrived: Arrived) -> Mapping[str, Any]:
        """The verdict, by turns of the child that judges and of the resolver that answers it."""
        inbound, meta = arrived.inbound, arrived.inbound.meta
        options = {"received_at": inbound.received_at.isoformat(), "names": self.names, "known": self.known}
        claimed = self.pool.run(mail_auth.claims, inbound.raw, options).value
        envelope = {"peer": meta.get("peer", ""), "helo": meta.get("helo", ""), "sender": inbound.sender}
        answers: dict[str, Mapping[str, Any]] = {}
        end = time.monotonic() + WHOLE.total_seconds()
        for turn in range(ROUNDS * 2):
            told = self.pool.run(mail_auth.judge, b"", {**claimed, **envelope, "answers": answers}).value
            if "ask" not in told:
                return told
            questions = [(str(kind), str(name)) for kind, name in told["ask"]]
            left = timedelta(seconds=end - time.monotonic() if turn < ROUNDS else 0)
            answers |= self._answers(questions, left)
        return _unreadable()

    def _answers(
        self, questions: Sequence[tuple[str, str]], left: timedelta
    ) -> Mapping[str, Mapping[str, Any]]:
        if left > timedelta():
            return self.resolver.ask(questions, within=left)
        return {" ".join(question): {"status": "failed", "records": []} for question in questions}


def _unreadable() -> Mapping[str, Any]:
    return {"verdict": Verdict.UNCHECKED.value, "reasons": ["unreadable"], "results": {}, "seal": ""}
