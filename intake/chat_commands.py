"""What somebody asks of a chat by a command: help, warnings for an area, no more warnings. None releases anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.errors import BadInput
from domain.notice import NoticeKind
from domain.place import canonical
from store import areas, audience, journal
from store.inbox import Arrived
from store.unit import Unit

COMMANDS = ("start", "help", "subscribe", "stop")  # anything else that begins with a stroke is a report (H35)
MOST_AREAS = 20  # of one chat; more is no citizen
_CHOICES = 5  # of areas that fit a name
_LONGEST = 40  # characters of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The notice that answers a command, and what its text says besides."""

    kind: NoticeKind
    area: str = ""
    choices: Sequence[str] = ()
    is_responsible: bool = False


def do(unit: Unit, arrived: Arrived, command: str, argument: str, language: str, at: datetime) -> Reply:
    """Carry out one of COMMANDS for the chat it came from, in the caller's transaction. Safe to repeat."""
    chat, channel = arrived.inbound.sender, arrived.inbound.channel
    if command == "stop":
        scope = audience.opt_out(unit, channel, chat, inbound=arrived.id, at=at)
        _note(unit, arrived, "opt_out", scope, at)
        return Reply(kind=NoticeKind.CHAT_STOPPED, is_responsible=scope == audience.RESPONSIBLE)
    if command != "subscribe":
        return Reply(kind=NoticeKind.CHAT_HELP)
    found = _areas(unit, " ".join(argument.split())[:_LONGEST])
    if len(found) != 1:
        return Reply(kind=NoticeKind.CHAT_WHICH_AREA, choices=[f"{code} {name}" for code, name, _ in found])
    code, chinese, english = found[0]
    audience.opt_in(unit, channel, chat)
    if len(audience.areas_of(unit, channel, chat) | {code}) <= MOST_AREAS:
        row = {"channel": channel, "address": chat, "area": code, "language": language}
        audience.add(unit, [row], at)
    _note(unit, arrived, "subscribe", code, at)
    return Reply(kind=NoticeKind.CHAT_SUBSCRIBED, area=chinese if language == "zh-CN" else english)


def _areas(unit: Unit, asked: str) -> list[tuple[str, str, str]]:
    """(code, Chinese name, English name) of the divisions that are meant; more than one where that is not clear."""
    if asked.isascii() and asked.isdigit():
        try:
            code = canonical(asked)
        except BadInput:
            return []
        return [(row.code, row.name_zh, row.name_en or row.name_zh) for row in areas.rows(unit, [code])]
    rows = areas.search(unit, asked, _CHOICES) if asked else []
    exact = [row for row in rows if asked.casefold() in (row.name_zh, (row.name_en or "").casefold())]
    return [(row.code, row.name_zh, row.name_en or row.name_zh) for row in exact or rows]


def _note(unit: Unit, arrived: Arrived, act: str, what: str, at: datetime) -> None:
    journal.append(unit, "inbound", arrived.id, act, by=f"door:{arrived.inbound.channel}", at=at,
                   detail={"scope": what})  # fmt: skip
