"""Calls at the desk, as telephone systems tell them: the generic CTI webhook that Zammad documents.

Source: docs.zammad.org, "Generic CTI": newCall, answer and hangup as JSON or as a form, the token in the address.
`recording` (an address) is ours beside it; unknown parameters are let through.
"""

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from domain.call import DeskAct, DeskCall
from domain.errors import BadInput, Flaw

_FORM = "application/x-www-form-urlencoded"
_JSON = ("application/json", "text/json", "text/javascript", "application/x-json")
CALL_ID = 250  # characters at most ("callId", ibid.)
AGENTS = 20  # of one group call; more are not shown
_LINE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")  # half a letter is none, and no database stores it
_LINK = re.compile(r"https?://[A-Za-z0-9.-]{1,200}(?::[0-9]{1,5})?/[!#-;=?-\[\]_a-z~]{0,300}")


def read(raw: bytes, media_type: str) -> DeskCall:
    """The event of a body, whose type is looked up in its bytes where it is not declared.

    Raises BadInput(code="bad_shape") with every flaw, and for multipart forms.
    """
    kind = media_type.partition(";")[0].strip().lower()
    is_object = raw.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"{"
    if kind in _JSON or (not kind and is_object):
        return event(_object(raw))
    if kind not in (_FORM, ""):
        raise BadInput("JSON or a form", code="bad_shape", flaws=[Flaw("body", "JSON or a form")])
    try:
        named = parse_qsl(
            raw.decode("latin-1"), keep_blank_values=True, max_num_fields=100, encoding="latin-1"
        )
    except ValueError:
        raise BadInput("not a form", code="bad_shape", flaws=[Flaw("body", "not a form")]) from None
    pairs = [(name, _text(value.encode("latin-1"))) for name, value in named]
    fields: dict[str, Any] = dict(pairs)
    fields["user"] = [value for name, value in pairs if name in ("user", "user[]")]
    return event(fields)


def event(fields: Mapping[str, Any]) -> DeskCall:
    """The event of fields that were read. Raises BadInput(code="bad_shape")."""
    fields = {name: value for name, value in fields.items() if value is not None}  # null: not known yet
    said = {name: fields.get(name, "") for name in
            ("event", "from", "to", "direction", "callId", "cause", "answeringNumber", "recording")}  # fmt: skip
    users = fields.get("user", fields.get("user[]", []))
    agents = [said["answeringNumber"], *(users if isinstance(users, list) else [users])]
    flaws = [Flaw(name, "not a line of text") for name, value in said.items() if not _is_line(value)]
    flaws += [Flaw("user", "not a line of text")] if not all(_is_line(agent) for agent in agents) else []
    flaws += [Flaw("event", "newCall, answer or hangup")] if said["event"] not in list(DeskAct) else []
    flaws += [Flaw("direction", "in or out")] if said["direction"] not in ("in", "out", "") else []
    flaws += [Flaw("callId", "1 to 250 characters")] if not 1 <= len(str(said["callId"])) <= CALL_ID else []
    if flaws:
        raise BadInput("not an event of a call", code="bad_shape", flaws=flaws)
    return DeskCall(
        act=DeskAct(said["event"]),
        call_id=str(said["callId"]),
        caller=str(said["from"])[:40].strip(),
        called=str(said["to"])[:40].strip(),
        agents=tuple(dict.fromkeys(str(a)[:80].strip() for a in agents if str(a).strip()))[:AGENTS],
        cause=str(said["cause"])[:40],
        recording=str(said["recording"]) if _LINK.fullmatch(str(said["recording"])) else "",
        is_incoming=said["direction"] != "out",
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(_text(raw))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadInput("not a JSON object", code="bad_shape", flaws=[Flaw("body", "not a JSON object")])
    return found


def _text(raw: bytes) -> str:
    """UTF-8, or GB18030 as telephone systems in China write the names of their extensions."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace")


def _is_line(value: object) -> bool:
    is_plain = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    return is_plain and len(str(value)) <= 2 * CALL_ID and bool(_LINE.fullmatch(str(value)))
