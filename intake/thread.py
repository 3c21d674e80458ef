"""The step of a report's study that finds which earlier report it follows.

Certain is only what was given to one person and comes back from the same: our short code in the text, or the name of a
mail of ours, from the address that got it. Everything else is proposed, and an officer looks at it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from domain.ids import code_of, is_id
from domain.incident import Sign, Thread, ThreadState
from domain.report import Report
from intake.study import Rings
from store import journal, sketches, threads
from store.database import Store
from store.unit import Unit

WITHIN = timedelta(hours=24)  # after an acknowledgement a message from the same number may be about the same
CODES = 10  # of one text; a text that lists more is a list
REFERENCES = 30  # of one mail, the latest
# People type what they read: 4F7K-92PX, 4f7k92px, 0123-4567-8901, 0123 4567 8901.
_LETTERS = re.compile(
    r"(?<![0-9A-Za-z])([2-9A-HJKMNP-TV-Z]{4})[-－—\s]?([2-9A-HJKMNP-TV-Z]{4})(?![0-9A-Za-z])", re.IGNORECASE
)
_DIGITS = re.compile(r"(?<![0-9])([0-9]{4})[-－—\s]?([0-9]{4})[-－—\s]?([0-9]{4})(?![0-9])")
_NOT_BY_ITSELF = ("phone",)  # whoever types the slip writes down what he hears: a code of somebody else too


@dataclass(frozen=True, slots=True, kw_only=True)
class Threading:
    """Looks for codes, mails and numbers; links what is certain."""

    name: ClassVar[str] = "thread"
    domain: str = ""  # of our mails; '' for none
    within: timedelta = WITHIN

    def look(self, store: Store, report: Report) -> Sequence[Thread] | None:
        """The threads of this report, the surest first; None for none."""
        return store.read(lambda unit: list(self._threads(unit, report))) or None

    def write(self, unit: Unit, report: Report, found: Sequence[Thread], at: datetime) -> Rings:
        """Enter what is new; a certain one stands in the journal of both, so both pages and the holder hear of it."""
        for row in found:
            if threads.enter(unit, row) and row.is_certain:
                for entity, other in ((row.follows, row.report), (row.report, row.follows)):
                    journal.append(unit, "report", entity, "follow", by="system", at=at,
                                   detail={"report": other, "sign": row.sign.value})  # fmt: skip
        return ()

    def _threads(self, unit: Unit, report: Report) -> Iterator[Thread]:
        seen = {report.id}
        for sign, others, is_token in self._signs(unit, report):
            new = [name for name in dict.fromkeys(others) if name not in seen]
            seen.update(new)
            may_link = is_token and report.channel not in _NOT_BY_ITSELF
            own = threads.same_sender(unit, report.id, new) if may_link else set()
            for name in new:
                state = ThreadState.LINKED if name in own else ThreadState.PROPOSED
                yield Thread(report=report.id, follows=name, sign=sign, state=state, is_certain=name in own, by="system",
                             at=report.received_at)  # fmt: skip

    def _signs(self, unit: Unit, report: Report) -> Iterator[tuple[Sign, list[str], bool]]:
        """(sign, the earlier reports, whether we gave it to one person and nobody guesses it)."""
        content = report.content
        yield Sign.CODE, threads.by_codes(unit, codes_in(f"{content.first('subject')}\n{content.text}")), True
        names = [fact.value for fact in content.facts.get("answers", ())][-REFERENCES:]
        yield (
            Sign.MAIL,
            threads.by_dispatches(unit, [made for name in names if (made := self._dispatch(name))]),
            True,
        )
        yield Sign.MAIL, sketches.named_by(unit, [f"m{name}" for name in names]), False
        if report.channel == "sms":
            yield Sign.NUMBER, threads.told_lately(unit, report, self.within), False

    def _dispatch(self, name: str) -> str:
        """The promise whose mail bore this Message-ID; '' for a mail that is not ours."""
        local, _, domain = name.strip("<> ").lower().rpartition("@")
        made = f"dsp_{local.partition('-')[0].upper()}"
        return made if self.domain and domain == self.domain.lower() and is_id("dsp", made) else ""


def codes_in(text: str) -> list[str]:
    """The short codes that stand in a text, as letters; what only looks like one leads to no report."""
    found: dict[str, None] = {}
    for match in (*_LETTERS.finditer(text), *_DIGITS.finditer(text)):
        try:
            found[code_of("".join(match.groups()))] = None
        except ValueError:
            continue
    return list(found)[:CODES]
