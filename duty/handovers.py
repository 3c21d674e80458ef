"""Reports are handed to the body that is responsible: proposed by rules, confirmed by an officer, signed for in time."""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import ClassVar

from domain.errors import BadInput, Conflict, Flaw, NotFound
from domain.events import event_types
from domain.further import STILL_READ
from domain.handling import Mode
from domain.ids import mint
from domain.notice import Notice, NoticeKind
from domain.person import Person, Role
from domain.place import prefix
from domain.report import Report
from domain.routing import CHANNELS, GOING, SIGN_WITHIN, Body, Handover, HandoverState, Rule, matching
from domain.secrecy import NOBODY, Compartment, mark_in
from duty.clocks import Suggestion
from intake.contacts import mail_in
from intake.phones import mobile_of
from intake.signatures import moved, sign
from outbox import ledger
from store import areas, journal, reports, routing
from store.database import Store
from store.unit import Unit
from templates import notice_texts, pages

MAY_HAND = frozenset({Role.OFFICER, Role.LEADER, Role.APPROVER})
MAY_KEEP = frozenset({Role.LEADER, Role.ADMIN})
LASTS = timedelta(hours=24)  # a provider that was down for a night still lets it through
TOLD = 1000  # characters of a report in a mail, where no page of ours can be reached
CONSOLE = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What telling a body needs to know of the hub; built once by the wiring."""

    mode: Mode
    organisation: str
    region: str
    channels: Set[str]  # that this hub has a wire for
    link: Callable[
        [str], str
    ]  # id of a hand-over -> address of its page, '' where the public cannot reach one
    zone: tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteStep:
    """The step of the study that proposes who is responsible; see intake.study.Step."""

    suggest: Callable[[Unit, Report], Suggestion]
    name: ClassVar[str] = "route"

    def look(self, store: Store, report: Report) -> bool | None:
        """Whether there is anything to propose: the rule is chosen in write(), when its place has been written."""
        return store.read(lambda unit: bool(routing.rules(unit))) or None

    def write(self, unit: Unit, report: Report, found: bool, at: datetime) -> Sequence[tuple[str, str]]:
        """Propose it. What an officer chose, and what goes on, is not touched; a proposal follows what is known now."""
        current = reports.get(unit, report.id, lock=True)
        if found and current is not None and current.state in STILL_READ and not current.is_aside:
            code = current.event_code or self.suggest(unit, current)[0]
            fitting = matching(routing.rules(unit), current.where, code)
            if fitting:
                self._propose(unit, current, fitting[0], at)
        return ()

    @staticmethod
    def _propose(unit: Unit, report: Report, found: Rule, at: datetime) -> None:
        now = routing.live(unit, report.id)
        if now is not None and (now.state is not HandoverState.PROPOSED or now.rule == found.id):
            return
        if now is not None and routing.move(unit, now, "drop_handover"):
            journal.append(unit, "report", report.id, "drop_handover", by="system", at=at,
                           detail={"handover": now.id, "body": now.body, "rule": now.rule})  # fmt: skip
        if _is_settled(unit, report.id, found.id):
            return
        made = Handover(id=mint("hnd", at), report=report.id, body=found.body, state=HandoverState.PROPOSED,
                        rule=found.id, why=f"{found.area or '*'} × {found.category or '*'}", by="system", at=at)  # fmt: skip
        if routing.add(unit, made):
            journal.append(unit, "report", report.id, "propose_handover", by="system", at=at,
                           detail={"handover": made.id, "body": made.body, "rule": found.id})  # fmt: skip


def _is_settled(unit: Unit, report_id: str, rule: str) -> bool:
    """Tried and taken back, or refused by an officer: not again by itself. What we dropped, for the place changed, is not."""
    tried = {one.id for one in routing.of_report(unit, report_id) if one.rule == rule}
    return bool(tried) and not tried <= {
        str(entry.detail.get("handover"))
        for entry in journal.entries(unit, "report", report_id)
        if entry.act == "drop_handover" and entry.by == "system"
    }


def hand_over(
    unit: Unit, report_id: str, *, by: Person, at: datetime, post: Post, body: str, reason: str = "",
    revision: int | None = None,
) -> str:  # fmt: skip
    """移送: to the body that was proposed, or to another with the reason. The parcel to ring for, '' where nothing is sent.

    Of a report that a body has already it is 转送: that one is passed on.
    """
    by.must_be(*MAY_HAND)
    report = _report(unit, report_id, revision)
    to = routing.bodies(unit).get(body)
    if to is None:
        raise BadInput("no such body", code="no_body", flaws=[Flaw("/body", "is unknown")])
    now, why = routing.live(unit, report_id), reason.strip()[:500]
    is_proposed = now is not None and now.state is HandoverState.PROPOSED
    if (not is_proposed or now is None or now.body != body) and not why:
        raise BadInput("a reason is needed", code="reason_missing", flaws=[Flaw("/reason", "is empty")])
    if now is not None and not is_proposed and now.body == body:
        raise Conflict("this body has it already", code="handover_changed")
    _must_be_free(report, post, to)
    made = Handover(id=mint("hnd", at), report=report_id, body=body, state=HandoverState.SENT, rule="", why=why,
                    by=by.id, at=at, due_at=at + timedelta(minutes=to.sign_minutes))  # fmt: skip
    if now is not None and is_proposed and now.body == body:
        made = replace(made, id=now.id, rule=now.rule, why=now.why)
    parcel = _promise(unit, made, report, to, post, at)
    _enter(unit, now, replace(made, dispatch=parcel.removesuffix("-0")))
    moved(unit, report, "transfer", by.id, at, {"handover": made.id, "body": body, "reason": why})
    return parcel


def sign_here(
    unit: Unit,
    report_id: str,
    *,
    by: Person,
    at: datetime,
    who: str,
    handover: str,
    revision: int | None = None,
) -> Handover:
    """An officer enters that they signed, e.g. by telephone."""
    by.must_be(*MAY_HAND)
    del revision
    return sign(unit, handover, who=who, way=CONSOLE, by=by.id, at=at, report_id=report_id)


def take_back(
    unit: Unit, report_id: str, *, by: Person, at: datetime, reason: str, revision: int | None = None
) -> Report:
    """The duty room deals with it itself again; whoever takes it back has it."""
    by.must_be(*MAY_HAND)
    report, now, why = _report(unit, report_id, revision), routing.live(unit, report_id), reason.strip()[:500]
    if not why:
        raise BadInput("a reason is needed", code="reason_missing", flaws=[Flaw("/reason", "is empty")])
    if now is None or now.state is HandoverState.PROPOSED or not routing.move(unit, now, "take_back"):
        raise Conflict("no body has it", code="handover_changed")
    told = {"handover": now.id, "body": now.body, "reason": why}
    return moved(unit, report, "take_back", by.id, at, told, claimed_by=by.id, claimed_at=at)


def refuse(
    unit: Unit, report_id: str, *, by: Person, at: datetime, reason: str, revision: int | None = None
) -> Report:
    """The proposal is wrong, and nobody else is responsible either."""
    by.must_be(*MAY_HAND)
    report, now = _report(unit, report_id, revision), routing.live(unit, report_id)
    if now is None or now.state is not HandoverState.PROPOSED or not routing.move(unit, now, "drop_handover"):
        raise Conflict("nothing is proposed", code="handover_changed")
    journal.append(unit, "report", report_id, "drop_handover", by=by.id, at=at,
                   detail={"handover": now.id, "body": now.body, "reason": reason.strip()[:500]})  # fmt: skip
    return report


def decline(unit: Unit, handover_id: str, *, who: str, reason: str, at: datetime) -> None:
    """The body says that it is not responsible, also after it signed: the desk is told until an officer has seen to it.

    Once: what is said again changes nothing.
    """
    one, name, why = routing.get(unit, handover_id), who.strip()[:80], reason.strip()[:500]
    if one is None or one.state not in GOING:
        raise NotFound("no such hand-over")
    if one.declined_at is not None:
        return
    if not name or not why:
        raise BadInput("who says so, and why", code="bad_fields", flaws=[Flaw("/who", "is empty")])
    if not routing.decline(unit, one, who=name, why=why, at=at):
        raise Conflict("somebody else has just changed it", code="handover_changed")
    journal.append(unit, "report", one.report, "decline_handover", by="system", at=at,
                   detail={"handover": one.id, "body": one.body, "who": name, "reason": why})  # fmt: skip


def tick(store: Store, at: datetime) -> None:
    """The chore: looks, and writes only when something is overdue."""
    if store.read(lambda unit: routing.overdue(unit, at)):
        store.run(lambda unit: escalate(unit, at))


def escalate(unit: Unit, at: datetime) -> int:
    """Nobody signed in time: once, on the report and on the board; how many."""
    made = 0
    for one in routing.overdue(unit, at):
        if routing.escalate(unit, one, at):
            made += 1
            journal.append(unit, "report", one.report, "escalate_handover", by="system", at=at,
                           detail={"handover": one.id, "body": one.body})  # fmt: skip
    return made


def add_body(
    unit: Unit,
    *,
    name: str,
    channel: str,
    address: str,
    minutes: int | None,
    region: str,
    by: Person,
    at: datetime,
) -> Body:
    """Enter a responsible body. Raises BadInput with flaws."""
    by.must_be(*MAY_KEEP)
    found = {"email": mail_in(address), "sms": mobile_of(address, region)}.get(channel, "")
    flaws = [Flaw("/name", "is blank")] if not name.strip() else []
    if channel not in CHANNELS or (channel != CONSOLE and not found):
        flaws.append(Flaw("/address", "is a mobile number or a mail address"))
    if minutes is None:
        minutes = int(SIGN_WITHIN.total_seconds() // 60)
    if not 0 < minutes <= 24 * 60:
        flaws.append(Flaw("/minutes", "is a number from 1 to 1440"))
    if flaws:
        raise BadInput("the body does not fit", code="bad_fields", flaws=flaws)
    made = Body(
        id=mint("bod", at), name=name.strip()[:120], channel=channel, address=found, sign_minutes=minutes
    )
    routing.add_body(unit, made, by=by.id, at=at)
    journal.append(
        unit, "body", made.id, "add_body", by=by.id, at=at, detail={"name": made.name, "channel": channel}
    )
    return made


def end_body(unit: Unit, body_id: str, *, by: Person, at: datetime) -> None:
    """It is responsible no longer."""
    by.must_be(*MAY_KEEP)
    if routing.end_body(unit, body_id, at):
        journal.append(unit, "body", body_id, "end_body", by=by.id, at=at)


def add_rule(unit: Unit, *, area: str, category: str, body: str, by: Person, at: datetime) -> Rule:
    """Area by category -> body; '' is all. Raises BadInput with flaws."""
    by.must_be(*MAY_KEEP)
    flaws, beginning = [], ""
    try:
        beginning = prefix(area) if area.strip() else ""
    except BadInput as error:
        flaws.append(Flaw("/area", error.detail))
    kind = category.strip().upper().rstrip("0") if category.strip().isdigit() else category.strip().upper()
    if not re.fullmatch(r"[0-9A-Z]{0,10}", kind):
        flaws.append(Flaw("/category", "is the beginning of an event type"))
    if body not in routing.bodies(unit):
        flaws.append(Flaw("/body", "is unknown"))
    if flaws:
        raise BadInput("the rule does not fit", code="bad_fields", flaws=flaws)
    made = Rule(id=mint("rou", at), area=beginning, category=kind, body=body)
    routing.add_rule(unit, made, by=by.id, at=at)
    journal.append(unit, "route_rule", made.id, "add_route", by=by.id, at=at,
                   detail={"area": beginning, "category": kind, "body": body})  # fmt: skip
    return made


def end_rule(unit: Unit, rule_id: str, *, by: Person, at: datetime) -> None:
    """It chooses nobody any more."""
    by.must_be(*MAY_KEEP)
    if routing.end_rule(unit, rule_id, at):
        journal.append(unit, "route_rule", rule_id, "end_route", by=by.id, at=at)


def _report(unit: Unit, report_id: str, revision: int | None) -> Report:
    report = reports.get(unit, report_id, lock=True)
    if report is None:
        raise NotFound("no such report")
    if revision is not None and revision != report.revision:
        raise Conflict("the report has changed since it was shown", code="report_changed")
    return report


def _must_be_free(report: Report, post: Post, to: Body) -> None:
    """A mark of state secrecy leaves on no channel of ours; the officer hands it over otherwise."""
    if is_marked(report):
        raise BadInput("it bears a mark of secrecy", code="secret_text")
    if to.channel != CONSOLE and to.channel not in post.channels:
        raise BadInput("this hub has no wire for that", code="no_way")


def is_marked(report: Report) -> bool:
    """Whether it bears a mark of state secrecy, wherever it stands."""
    content = report.content
    words = [content.text, *(f.value for facts in content.facts.values() for f in facts)]
    is_held = bool(report.compartments & Compartment.MARKED)
    return is_held or any(mark_in(text) for text in [*words, *(a.name for a in content.attachments)])


def is_told(report: Report) -> bool:
    """Whether the words of a report go to whoever has a link or a mail: nobody gave these a grant for a compartment."""
    return NOBODY.see(report.compartments) and not is_marked(report)


def _enter(unit: Unit, now: Handover | None, made: Handover) -> None:
    """The proposal becomes it, or what went before ends and it is another row."""
    if now is not None and now.id == made.id:
        is_done = routing.move(unit, now, "confirm_handover", by=made.by, due_at=made.due_at,
                               dispatch=made.dispatch or None)  # fmt: skip
    else:
        if now is not None:
            routing.move(unit, now, "drop_handover" if now.state is HandoverState.PROPOSED else "pass_on")
        is_done = routing.add(unit, made)
    if not is_done:
        raise Conflict("somebody else has just handed it over", code="handover_changed")


def _promise(unit: Unit, made: Handover, report: Report, to: Body, post: Post, at: datetime) -> str:
    """Words of the report stand in no mail where its page can be reached."""
    if to.channel == CONSOLE:
        return ""
    language, link = notice_texts.CHINESE, post.link(made.id)
    what, where = _named(unit, report)
    text = notice_texts.handover(
        to.channel, language, mode=post.mode, body=to.name, code=report.code, link=link, organisation=post.organisation,
        what=what, where=where, received=_moment(report.received_at, post.zone), due=_moment(made.due_at or at, post.zone),
        said="" if link or not is_told(report) else report.content.text[:TOLD],
    )  # fmt: skip
    notice = Notice(kind=NoticeKind.HANDOVER, about=made.id, channel=to.channel, address=to.address, language=language,
                    payload=text.encode(), expires=at + LASTS)  # fmt: skip
    return ledger.put_notice(unit, notice, at)


def _named(unit: Unit, report: Report) -> tuple[str, str]:
    """What kind of thing it is, and where."""
    if not is_told(report):
        return "内容另行告知", "地点另行告知"
    kind = event_types().get(report.event_code)
    names = areas.names(unit, [report.where]).get(report.where, ("", "")) if report.where else ("", "")
    return kind.name_zh if kind else "未分类", names[0] or "未定"


def _moment(at: datetime, zone: tzinfo) -> str:
    return pages.words_for(at, zone, pages.SOURCE)
