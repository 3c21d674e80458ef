"""签收: a body signs for a report that was handed to it: at the desk, on the page of its link, or by a reply to our mail."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from domain.errors import BadInput, Conflict, Flaw, NotFound
from domain.ids import is_id
from domain.report import MOVES, Content, Inbound, Report
from domain.routing import Handover, HandoverState
from intake import signed_mail
from intake.contacts import mail_in
from store import journal, reports, routing
from store.inbox import Arrived
from store.unit import Unit

EMAIL = "email"
LINK = "link"
_OURS = re.compile(r"<?(?P<made>[0-9a-z]{26})-", re.IGNORECASE)  # Message-ID of a mail of ours
_NO_PERSON = frozenset({"bounce", "auto_reply", "list_mail", "unparsed"})


def sign(
    unit: Unit,
    handover_id: str,
    *,
    who: str,
    way: str,
    by: str,
    at: datetime,
    report_id: str = "",
    inbound: str = "",
) -> Handover:
    """签收: by whom, when, on which way. Safe to repeat: who signed first stays.

    Raises NotFound, and BadInput without a name.
    """
    one = routing.get(unit, handover_id)
    if one is None or (report_id and one.report != report_id):
        raise NotFound("no such hand-over")
    name = who.strip()[:80]
    if not name:
        raise BadInput("who signs", code="bad_fields", flaws=[Flaw("/who", "is empty")])
    if one.state is HandoverState.SIGNED:
        return one
    if way == LINK and one.declined_at is not None:
        raise Conflict("the body said that it is not theirs", code="handover_changed")
    report = reports.get(unit, one.report, lock=True)
    if report is None:
        raise NotFound("no such report")
    if not routing.move(unit, one, "sign_handover", signed_by=name, signed_at=at, signed_way=way):
        raise Conflict("somebody else has just changed it", code="handover_changed")
    told = {"handover": one.id, "body": one.body, "who": name, "way": way} | (
        {"inbound": inbound} if inbound else {}
    )
    moved(unit, report, "sign_for", by, at, told)
    return one


def is_one(inbound: Inbound, content: Content) -> bool:
    """Whether this mail says that it signs; for what is for the books."""
    says_so = inbound.channel == EMAIL and signed_mail.who_signs(content.text) is not None
    return says_so and not _NO_PERSON & set(content.findings)


def by_mail(unit: Unit, arrived: Arrived, content: Content, at: datetime) -> bool:
    """Whether this mail signs for a hand-over and says nothing else; with more words or a file it is a report as well.

    It counts from the address of the body alone, in answer to the very mail that told it.
    """
    if not is_one(arrived.inbound, content):
        return False
    name = signed_mail.who_signs(content.text)
    names = [
        f"dsp_{m['made'].upper()}" for f in content.facts.get("answers", ()) if (m := _OURS.match(f.value))
    ]
    one = routing.by_dispatches(unit, [name for name in names if is_id("dsp", name)])
    if one is None or one.state is not HandoverState.SENT:
        return False
    body = routing.bodies(unit, with_ended=True)[one.body]
    if not body.address or mail_in(arrived.inbound.sender) != body.address:
        return False
    sign(
        unit,
        one.id,
        who=name or body.name,
        way=EMAIL,
        by="door:email",
        at=at,
        inbound=arrived.id,
    )
    ours = routing.told(unit, one)
    return not content.attachments and not signed_mail.says_more(content.text, content.first("subject"), ours)


def moved(
    unit: Unit, report: Report, action: str, by: str, at: datetime, told: dict[str, str], **changes: Any
) -> Report:
    """The report goes along with its hand-over, with an entry in its journal. Raises IllegalMove, Conflict."""
    after = replace(report, state=MOVES.after(report.state, action), **changes)
    reports.change(unit, report, after)
    detail = {"from": report.state.value, "to": after.state.value, **told}
    journal.append(unit, "report", report.id, action, by=by, at=at, detail=detail)
    return replace(after, revision=report.revision + 1)
