"""DNS as the look at a mail's sender needs it: a few names at once, by one deadline, and never an exception."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver

RECORDS_MAX = 50  # of one answer; an mx of RFC 7208 has ten, a busy TXT twenty
TEXT_MAX = 8192  # letters of one record that are handed on; who reads it refuses sooner
TRY = timedelta(seconds=1)  # one server, one packet; a lost one leaves time for a second

Question = tuple[str, str]  # TXT | MX | A | AAAA, name
Answer = dict[str, Any]  # status: found | none (no such name or record) | failed (nobody knows), records


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Asks recursive name servers: each (address, port) in turn; a truncated answer again over TCP."""

    servers: tuple[tuple[str, int], ...]

    def ask(self, questions: Sequence[Question], *, within: timedelta) -> dict[str, Answer]:
        """An answer to each question, under "TYPE name". What is not known after `within` has failed."""
        return asyncio.run(self._all(questions, within))

    async def _all(self, questions: Sequence[Question], within: timedelta) -> dict[str, Answer]:
        one_by_one: list[Coroutine[Any, Any, Answer]] = [self._one(*q, within=within) for q in questions]
        answers = await asyncio.gather(*one_by_one)
        return {" ".join(question): answer for question, answer in zip(questions, answers, strict=True)}

    async def _one(self, kind: str, name: str, *, within: timedelta) -> Answer:
        seconds = within.total_seconds()
        if seconds <= 0:
            return {"status": "failed", "records": []}
        asked = dns.asyncresolver.Resolver(configure=False)
        asked.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in self.servers]
        asked.timeout = min(TRY.total_seconds(), seconds)
        try:
            async with asyncio.timeout(seconds):
                found = await asked.resolve(f"{name}.", kind, lifetime=seconds, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return {"status": "none", "records": []}
        except (dns.exception.DNSException, OSError, TimeoutError, ValueError):
            return {"status": "failed", "records": []}
        return {"status": "found", "records": [_text(kind, row) for row in list(found)[:RECORDS_MAX]]}


def _text(kind: str, row: Any) -> str:
    if kind == "TXT":
        pieces: Iterable[bytes] = row.strings
        return b"".join(pieces).decode("latin-1")[:TEXT_MAX]
    return str(row.exchange if kind == "MX" else row.address)[:TEXT_MAX]
