"""Statutory clocks: which rule sets one on a report, when it is due, and what stops it.

A rule is a row (category, grade, hop, sensitivity -> limits), never a constant: limits differ by place and by year
(docs/clocks.md names the sources of the examples). Everything is an instant in UTC, fixed when the clock is set.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

from domain.moves import Moves

SENSITIVE_GRADE = (
    2  # what is sensitive by time, place or people is not bound by its grade: clocks of grade II
)
FIRST_ALARM = 0.25  # of the whole limit that is left when the alarm comes, at most LONGEST_ALARM before
LONGEST_ALARM = timedelta(minutes=30)


class Duty(StrEnum):
    """What is due upwards."""

    PHONE = "phone"  # 电话报告: somebody there has heard it
    WRITTEN = "written"  # 书面报告: somebody there has signed for it
    FOLLOW_UP = "follow_up"  # 续报


class StartsFrom(StrEnum):
    """The instant that a limit counts from."""

    OCCURRENCE = "occurrence"  # 事发
    KNOWLEDGE = "knowledge"  # 获悉: when whoever told us knew
    RECEIPT = "receipt"  # 接报: when it reached this hub
    ORDER = "order"  # 上级要求核报


class State(StrEnum):
    """Where a clock stands. Whether it is late is no state: due and stop say so, and neither ever changes."""

    RUNNING = "running"
    STOPPED = "stopped"  # by a recorded call, or by 签收
    WAIVED = "waived"  # a leader has said why it does not apply
    ENDED = "ended"  # a follow-up whose matter is closed


CLOCKS = Moves(
    "clock",
    State,
    {
        (State.RUNNING, "stop"): State.STOPPED,
        (State.RUNNING, "waive"): State.WAIVED,
        (State.RUNNING, "end"): State.ENDED,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of limits. Empty fields mean any."""

    id: str
    name: str  # the law or notice, with its article
    category: str = ""  # prefix of the event code: 12 accidents, 13 health
    grade: int | None = None  # this grade and worse; None: any, also none at all
    mildest: int | None = None  # and no worse than this: IV only is grade=4, mildest=4
    hop: str = ""  # county_city | city_province | province_state | unit_county
    starts_from: StartsFrom = StartsFrom.RECEIPT
    phone: timedelta | None = None
    written: timedelta | None = None
    daily: tuple[time, ...] = ()  # follow-ups at these times of day
    every: timedelta | None = None  # or that long after the one before
    effective: date | None = None
    superseded: date | None = None  # the first day on which it no longer holds
    source: str = ""
    is_confirmed: bool = False  # the deployment has looked at it; examples are shown as such

    def fits(self, *, event_code: str, grade: int | None, hop: str, is_sensitive: bool, on: date) -> bool:
        """Whether it sets clocks on such a report that reached us on that day."""
        felt = min(grade or SENSITIVE_GRADE, SENSITIVE_GRADE) if is_sensitive else grade
        return (
            event_code.startswith(self.category)
            and (self.hop in ("", hop))
            and (self.effective is None or self.effective <= on)
            and (self.superseded is None or on < self.superseded)
            and self._fits_grade(felt)
        )

    def _fits_grade(self, grade: int | None) -> bool:
        if self.grade is None and self.mildest is None:
            return True
        if grade is None:
            return False
        return (self.grade is None or grade <= self.grade) and (self.mildest is None or grade >= self.mildest)

    def limit(self, duty: Duty) -> timedelta | None:
        """The limit of a first report; None where the rule has none."""
        return {Duty.PHONE: self.phone, Duty.WRITTEN: self.written}.get(duty)


def alarm_at(starts: datetime, due: datetime) -> datetime:
    """When the duty room is warned: a quarter of the limit before it ends, at most half an hour."""
    return due - min((due - starts) * FIRST_ALARM, LONGEST_ALARM)


def next_follow_up(rule: Rule, after: datetime, zone: tzinfo) -> datetime | None:
    """The first instant after `after` at which a follow-up is due; None where the rule asks for none.

    A time of day that a change of clocks skips is due at the instant it would have been (PEP 495, fold 0); one
    that comes twice is due the first time, once.
    """
    found = [after + rule.every] if rule.every else []
    if rule.daily:
        here = after.astimezone(zone)
        days = (here.date(), here.date() + timedelta(days=1))
        instants = [
            datetime.combine(day, at, zone).astimezone(after.tzinfo) for day in days for at in rule.daily
        ]
        found += [one for one in instants if one > after]
    return min(found, default=None)


def starts(rule: Rule, times: "Times") -> tuple[datetime, StartsFrom]:
    """The instant that the rule counts from, and what it is: the receipt while the wanted one is not known.

    What was known later than it reached us is no later start: nobody gains time by writing down an hour.
    """
    wanted = {
        StartsFrom.OCCURRENCE: times.occurred_at,
        StartsFrom.KNOWLEDGE: times.known_at,
        StartsFrom.ORDER: times.ordered_at,
    }.get(rule.starts_from)
    if rule.starts_from is StartsFrom.ORDER and wanted is not None:
        return wanted, StartsFrom.ORDER  # an order comes after the report
    if wanted is None or wanted > times.received_at:
        return times.received_at, StartsFrom.RECEIPT
    return wanted, rule.starts_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What is known of a report's instants; `received_at` always is."""

    received_at: datetime
    occurred_at: datetime | None = None
    known_at: datetime | None = None
    ordered_at: datetime | None = None


@lru_cache(maxsize=1)
def examples() -> Sequence[Rule]:
    """The rules shipped as examples; sources stand in each row and in domain/codes/SOURCES.md."""
    text = files("domain").joinpath("codes", "clock_rules.csv").read_text(encoding="utf-8")
    return [_example(row) for row in csv.DictReader(text.splitlines())]


def _example(row: dict[str, str]) -> Rule:
    def span(name: str, unit: timedelta) -> timedelta | None:
        return int(row[name]) * unit if row[name] else None

    return Rule(
        id=row["id"], name=row["name"], category=row["category"], grade=int(row["grade"]) if row["grade"] else None,
        mildest=int(row["mildest"]) if row["mildest"] else None, hop=row["hop"],
        starts_from=StartsFrom(row["starts_from"]), phone=span("phone_min", timedelta(minutes=1)),
        written=span("written_min", timedelta(minutes=1)), every=span("every_h", timedelta(hours=1)),
        daily=tuple(time.fromisoformat(one) for one in row["daily"].split()), source=row["source"],
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One clock to set."""

    rule: str
    duty: Duty
    starts_at: datetime
    starts_from: StartsFrom
    due_at: datetime


def set_by(rules: Iterable[Rule], times: Times, *, event_code: str, grade: int | None, hop: str,
           is_sensitive: bool, zone: tzinfo) -> Sequence[Due]:  # fmt: skip
    """The clocks of every rule that fits; of each duty the first due is what is due."""
    on = times.received_at.astimezone(zone).date()
    found = []
    for rule in rules:
        if not rule.fits(event_code=event_code, grade=grade, hop=hop, is_sensitive=is_sensitive, on=on):
            continue
        if rule.starts_from is StartsFrom.ORDER and times.ordered_at is None:
            continue
        began, basis = starts(rule, times)
        for duty in (Duty.PHONE, Duty.WRITTEN):
            limit = rule.limit(duty)
            if limit is not None:
                due_at = began + limit
                found.append(Due(rule=rule.id, duty=duty, starts_at=began, starts_from=basis, due_at=due_at))
        if (first := next_follow_up(rule, began, zone)) is not None:
            found.append(
                Due(rule=rule.id, duty=Duty.FOLLOW_UP, starts_at=began, starts_from=basis, due_at=first)
            )
    return found
