"""Which report a message answers that an officer asked about, and how it becomes a part of it.

Certain is only what comes back from the very address that an officer wrote to: with the code of the report, in answer
to that very mail, or from a number that was asked about one open report and no other. Whatever else comes from there
is a report of its own.
"""

import re
from collections.abc import Sequence, Set
from datetime import datetime, timedelta

from domain.further import STILL_READ, Further
from domain.ids import is_id
from domain.report import Content
from intake import follow_ups
from intake.acknowledge import Acknowledger
from intake.thread import REFERENCES, codes_in
from store import exchanges, reports, threads
from store.inbox import Arrived
from store.unit import Unit

WITHIN = timedelta(hours=72)  # after a question; later the same number may well tell of something else
_OURS = re.compile(r"<?(?P<made>[0-9a-z]{26})-", re.IGNORECASE)  # Message-ID of a mail of ours
_CHANNELS = ("sms", "email", "telegram")


def asked(
    unit: Unit, arrived: Sequence[Arrived], writer: Acknowledger | None, at: datetime
) -> Set[str]:  # fmt: skip
    """The ids of those whose sender was asked something of late, so that awaited() is for the books."""
    told: dict[str, tuple[str, str]] = {}
    for one in arrived if writer else ():
        if writer and one.inbound.channel in _CHANNELS:
            channel, address = writer.address(one.inbound)
            told |= {one.id: (channel, address)} if address else {}
    found = exchanges.asked_any(unit, told.values(), at - WITHIN)
    return {name for name, where in told.items() if where in found}


def awaited(unit: Unit, arrived: Arrived, content: Content, writer: Acknowledger | None, at: datetime) -> str:
    """The report that this message answers; '' for none."""
    if writer is None or arrived.inbound.channel not in _CHANNELS:
        return ""
    channel, address = writer.address(arrived.inbound)
    if not address:
        return ""
    asked = exchanges.asked(unit, channel, address, at - WITHIN, [state.value for state in STILL_READ])
    open_ones = [report for report, _ in asked]
    if not open_ones:
        return ""
    codes = codes_in(f"{content.first('subject')}\n{content.text}")
    if named := next((report for report, code in asked if code in codes), ""):
        return named
    if codes and threads.by_codes(unit, codes):
        return ""  # another report, and says so
    if channel == "email":
        return _answered(unit, content, open_ones)
    return open_ones[0] if len(open_ones) == 1 else ""


def join(unit: Unit, arrived: Arrived, content: Content, report_id: str, at: datetime) -> None:
    """Say it in a further version of the report; the message itself is filed already."""
    report = reports.get(unit, report_id, lock=True)
    if report is not None:
        follow_ups.say(unit, report, arrived, content, Further.FOLLOW_UP, at)


def _answered(unit: Unit, content: Content, open_ones: Sequence[str]) -> str:
    names = [fact.value for fact in content.facts.get("answers", ())][-REFERENCES:]
    made = [f"dsp_{found['made'].upper()}" for name in names if (found := _OURS.match(name))]
    about = exchanges.by_dispatches(unit, [name for name in made if is_id("dsp", name)])
    return next((report for report in about if report in open_ones), "")
