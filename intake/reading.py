"""From the parsed bytes of each door to what the queue shows: facts, each with its origin."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from channels.codecs import (
    bulletin_file,
    fax_pages,
    mail,
    slip,
    smpp_deliver,
    telegram_update,
    twilio_form,
    twilio_voice_form,
)
from channels.codecs.bulletin_bytes import charset_of
from domain.piece import Piece
from domain.position import Datum, note
from domain.report import Fact, Inbound
from intake.normalise import clean, position
from intake.phones import phone

FILES = 5  # that the citizen's form asks for (PROMISES 5); more are kept all the same, and marked

Facts = dict[str, tuple[Fact, ...]]
Parser = Callable[[bytes, Mapping[str, Any]], tuple[dict[str, Any], list[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Locale:
    """How numbers without a country or area code are read here."""

    region: str = "CN"
    area_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a door's message says, before it is stored. `files` index the parser's blobs."""

    text: str
    facts: Facts
    files: tuple[Mapping[str, Any], ...] = ()
    findings: tuple[str, ...] = ()
    event_code: str = ""
    grade: int | None = None
    area: str = ""
    piece: Piece | None = None  # of what it is a part, where the door knows
    command: str = ""  # that a chat gave in place of a report
    argument: str = ""
    language: str = ""  # as the sender's own device says
    passes: str = ""  # what happened, when it is no message: blocked, unblocked, moved, unknown


@dataclass(slots=True)
class _Gathered:
    facts: dict[str, list[Fact]] = field(default_factory=dict)

    def add(self, name: str, value: object, origin: str, note: str = "") -> None:
        text = clean(str(value)).strip() if value not in (None, "", []) else ""
        if text:
            self.facts.setdefault(name, []).append(Fact(value=text, origin=origin, note=note))

    def number(self, given: object, origin: str, locale: Locale) -> None:
        found = phone(str(given or ""), region=locale.region, area_code=locale.area_code)
        if found is None or not found.e164:
            self.add("sender", given, origin)
            return
        self.add(
            "sender",
            found.e164,
            origin,
            note="" if found.as_given == found.e164 else f"as given: {found.as_given}",
        )
        self.add("extension", found.extension, origin)

    def positions(self, files: Iterable[Mapping[str, Any]]) -> None:
        for file in files:
            exif = file.get("exif") or {}
            if "lat" in exif and "lon" in exif:
                self.add("position", f"{exif['lat']},{exif['lon']}", "exif", note=str(file["name"]))
            self.add("time", exif.get("time"), "exif", note=str(file["name"]))

    def done(self) -> Facts:
        return {name: tuple(values) for name, values in self.facts.items()}


def parser_of(inbound: Inbound) -> tuple[Parser, dict[str, Any]]:
    """The function that reads this door's bytes in the sandbox, and its options."""
    if inbound.channel == "email":
        return mail.read, {"envelope_from": inbound.sender}
    if inbound.channel == "telegram":
        return telegram_update.read, {}
    if inbound.media_type in (smpp_deliver.MEDIA_TYPE, smpp_deliver.DATA_TYPE):
        return smpp_deliver.read, {
            "alphabet": inbound.meta.get("alphabet", ""),
            "media_type": inbound.media_type,
        }
    if inbound.channel == "fax" and inbound.media_type == "message/rfc822":
        return fax_pages.read_mail, {"envelope_from": inbound.sender}
    if inbound.channel == "fax":
        return fax_pages.read, {"name": inbound.meta.get("name", "")}
    if inbound.channel == "sms":
        return twilio_form.read, {}
    if inbound.channel == "voice":
        return twilio_voice_form.read, {}
    if inbound.channel == "peer":
        return bulletin_file.as_report, {
            "n": inbound.meta.get("n", 0),
            "charset": charset_of(inbound.media_type),
        }
    return slip.read, {"media_type": inbound.media_type}


def reading(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    """What `parsed` says in the words of the queue."""
    by_door = {
        "email": _mail,
        "sms": _sms,
        "telegram": _telegram,
        "web": _web,
        "field": _field,
        "voice": _voice,
        "peer": _peer,
        "fax": _fax,
    }
    return by_door.get(inbound.channel, _slip)(inbound, parsed, locale)


def picture_facts(files: Iterable[Mapping[str, Any]]) -> Facts:
    """Where and when pictures say they were taken."""
    gathered = _Gathered()
    gathered.positions(files)
    return gathered.done()


def unread(inbound: Inbound, reason: str, locale: Locale) -> Reading:
    """A report of which only the envelope is known: an officer opens the original."""
    gathered = _Gathered()
    gathered.add("sender", inbound.sender, "envelope")
    text = ""
    if inbound.channel == "email":
        text = str(mail.unread(inbound.raw, {"envelope_from": inbound.sender}, reason)["text"])
    return Reading(text=text, facts=gathered.done(), findings=(reason, "unparsed"))


def _mail(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    gathered = _Gathered()
    gathered.add("sender", parsed["from_address"], "header")
    if inbound.sender and inbound.sender != parsed["from_address"]:
        gathered.add("sender", inbound.sender, "envelope")
    gathered.add("name", parsed["from_name"], "header")
    gathered.add("subject", parsed["subject"], "header")
    gathered.add("time", parsed["date"], "header", note="claimed by the sender")
    gathered.add("message_id", parsed["message_id"], "header")
    for name in dict.fromkeys((*parsed["references"], parsed["in_reply_to"])):
        gathered.add("answers", name, "header")
    gathered.positions(parsed["attachments"])
    findings = list(parsed["findings"])
    if inbound.meta.get("bare_newline") and "bare_newline" not in findings:
        findings.append("bare_newline")
    return Reading(
        text=str(parsed["text"]),
        facts=gathered.done(),
        files=tuple(parsed["attachments"]),
        findings=(*findings, "unverified_sender"),
    )


def _fax(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    """The number first, whoever says so: a fax machine says what its owner typed into it."""
    is_mail = inbound.media_type == "message/rfc822"
    gathered = _Gathered()
    if parsed["number"]:
        gathered.number(parsed["number"], "gateway" if is_mail else "file", locale)
    gathered.add("pages", parsed["pages"] or "", "parser")
    if not is_mail:
        place = (inbound.meta.get("folder", ""), inbound.meta.get("name", ""))
        gathered.add("subject", "/".join(filter(None, place)), "file")
        return Reading(text="", facts=gathered.done(), files=tuple(parsed["files"]),
                       findings=(*parsed["findings"], "no_readable_text", "unverified_sender"))  # fmt: skip
    found = _mail(inbound, parsed, locale)
    facts = {**found.facts, **gathered.done()}
    return replace(found, facts=facts)


def _sms(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    gathered = _Gathered()
    gathered.number(parsed["sender"], "envelope", locale)
    return Reading(
        text=clean(str(parsed["text"])), facts=gathered.done(), findings=tuple(parsed["findings"]),
        piece=Piece(**parsed["piece"]) if parsed.get("piece") else None,
    )  # fmt: skip


def _telegram(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    """A message of a chat. Who sends it is a name he gave himself and a number nobody can call."""
    if parsed["kind"] != "message" and parsed["kind"] != "edited_message":
        status = str(parsed.get("status", ""))
        is_gone = status in ("kicked", "left")
        passes = "unknown" if parsed["kind"] == "unknown" else "blocked" if is_gone else "unblocked"
        return Reading(text="", facts={}, passes=passes)
    chat = f"telegram:{inbound.meta.get('bot', '')}:{parsed['chat']}"
    if parsed["migrate_to"]:
        return Reading(text="", facts={}, passes="moved", argument=str(parsed["migrate_to"]))
    gathered = _Gathered()
    gathered.add("sender", f"telegram:{parsed['chat']}", "envelope")
    gathered.add("name", parsed["name"], "header", note="claimed by the sender")
    gathered.add("place", parsed["place"], "citizen")
    gathered.add("contact_name", parsed["contact_name"], "citizen")
    if parsed["contact"]:
        gathered.number(parsed["contact"], "citizen", locale)
    if found := position(str(parsed.get("lat", "")), str(parsed.get("lon", ""))):
        note = f"±{parsed['accuracy']:.0f} m" if parsed.get("accuracy") else ""
        gathered.add("position", f"{found[0]},{found[1]}", "citizen", note=note)
    text = clean(
        "\n".join(filter(None, [str(parsed["text"] or parsed["sticker"]), *map(str, parsed["others"])]))
    )
    findings = ["unverified_sender"]
    findings += ["forwarded"] if parsed["is_forwarded"] else []
    findings += ["media_too_large"] if inbound.meta.get("too_large") else []
    findings += ["media_pending"] if inbound.meta.get("media") else []
    has_more = {"position", "place", "contact_name"} & gathered.facts.keys()
    findings += [] if text or has_more or inbound.meta.get("media") else ["no_readable_text"]
    message = f"{chat}:{parsed['message']}"
    piece = Piece(
        correspondent=chat, thread=f"{chat}:album:{parsed['album']}" if parsed["album"] else message,
        message=message, n=int(parsed["message"]), edited=int(parsed["edited"]), body={"text": text},
        answers=(f"{chat}:{parsed['answers']}", f"{parsed['chat']}:{parsed['answers']}") if parsed["answers"] else (),
    )  # fmt: skip
    return Reading(
        text=text, facts=gathered.done(), findings=tuple(findings), piece=piece, language=str(parsed["language"]),
        command=str(parsed.get("command", "")), argument=str(parsed.get("argument", "")),
    )  # fmt: skip


def _voice(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    """A call that rings; what is said in it comes piece by piece (intake/calls)."""
    gathered = _Gathered()
    gathered.number(inbound.sender, "envelope", locale)
    gathered.add("sender", inbound.meta.get("from_as_given"), "envelope")
    gathered.add("name", parsed["caller_name"], "envelope")
    gathered.add("call_started", inbound.received_at.isoformat(), "envelope")
    hidden = ["hidden_number"] if inbound.meta.get("is_hidden") else []
    return Reading(text="", facts=gathered.done(), findings=(*hidden, "call_open", "no_readable_text"))


def _web(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    """A citizen's form. Whatever he put into its fields is kept: a position that is none stays as words."""
    fields: Mapping[str, Any] = parsed["fields"]
    gathered = _Gathered()
    gathered.number(" ".join(str(fields.get("contact") or "").split()), "citizen", locale)
    text = _from_a_phone(gathered, parsed, "citizen")
    findings = ["unverified_sender"] if fields.get("contact") else []
    findings += ["text_cut"] if len(text) >= slip.FIELD_MAX else []
    findings += ["many_files"] if len(parsed["files"]) > FILES else []
    findings += [] if text.strip() else ["no_readable_text"]
    return Reading(
        text=clean(text), facts=gathered.done(), files=tuple(parsed["files"]), findings=tuple(findings)
    )


def _field(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    """The same form of somebody whom the hub knows: he was logged in, so his name is no claim."""
    gathered = _Gathered()
    gathered.add("sender", inbound.meta.get("person_name"), "envelope")
    text = _from_a_phone(gathered, parsed, "field")
    findings = ["text_cut"] if len(text) >= slip.FIELD_MAX else []
    findings += [] if text.strip() else ["no_readable_text"]
    return Reading(
        text=clean(text), facts=gathered.done(), files=tuple(parsed["files"]), findings=tuple(findings)
    )


def _from_a_phone(gathered: _Gathered, parsed: Mapping[str, Any], origin: str) -> str:
    """Where, when and with what pictures a form was filled in on a telephone; its text."""
    fields: Mapping[str, Any] = parsed["fields"]
    gathered.add("place", fields.get("place"), origin)
    lat, lon = str(fields.get("lat") or "").strip(), str(fields.get("lon") or "").strip()
    if found := position(lat, lon):
        gathered.add("position", f"{found[0]},{found[1]}", origin, note=_accuracy(fields))
    elif lat or lon:
        gathered.add("position", f"{lat[:80]},{lon[:80]}", origin, note="not a position")
    gathered.positions(parsed["files"])
    gathered.add("written", _moment(fields.get("written_at")), origin)
    return str(fields.get("text") or "")


def _accuracy(fields: Mapping[str, Any]) -> str:
    """What the device said of its own fix: how far off it may be, and when it was taken; '' for words of a person."""
    metres = str(fields.get("accuracy") or "").strip()
    if not re.fullmatch(r"[0-9]{1,7}", metres):
        return ""
    return f"±{int(metres)} m {_moment(fields.get('position_at'))}".strip()


def _moment(given: object) -> str:
    """A time of the device's clock in UTC; '' for anything else. A claim: the door's own time rules every clock."""
    try:
        at = datetime.fromisoformat(str(given or "")[:40])
        return at.astimezone(UTC).isoformat(timespec="seconds") if at.tzinfo else ""
    except (ValueError, OverflowError):
        return ""


def _datum(fields: Mapping[str, Any]) -> str:
    """Which system a program says its degrees are of, and how good they are."""
    named = next((d for d in Datum if d.value == fields.get("datum")), Datum.WGS84)
    accuracy = fields.get("accuracy")
    return note(named, accuracy if isinstance(accuracy, int | float) else None)


def _peer(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    """A bulletin of another authority, of which an officer made a report."""
    fields: Mapping[str, Any] = parsed["fields"]
    gathered = _Gathered()
    for name in ("sender", "subject", "place", "time"):
        gathered.add(name, fields[name], "department")
    return Reading(
        text=clean(str(fields["text"])),
        facts=gathered.done(),
        findings=("broken_alert",) if parsed["findings"] else (),
        event_code=str(fields["event_code"]),
        area=str(fields["area"]),
    )


def _slip(inbound: Inbound, parsed: Mapping[str, Any], locale: Locale) -> Reading:
    fields: Mapping[str, Any] = parsed["fields"]
    origin = "caller" if inbound.channel == "phone" else "department"
    gathered = _Gathered()
    for name in ("caller", "contact"):
        if fields.get(name):
            gathered.number(fields[name], origin, locale)
    if not gathered.facts:
        gathered.add("sender", inbound.meta.get("client_name") or inbound.sender, origin)
    for name, key in (("name", "caller_name"), ("subject", "subject"), ("place", "place"),
                      ("time", "occurred_at"), ("call_started", "started_at")):  # fmt: skip
        gathered.add(name, fields.get(key), origin)
    told = fields.get("told")
    gathered.add("told", ", ".join(map(str, told)) if isinstance(told, list) else told, origin)
    if fields.get("lat") not in (None, "") and fields.get("lon") not in (None, ""):
        gathered.add("position", f"{fields['lat']},{fields['lon']}", origin, note=_datum(fields))
    gathered.positions(parsed["files"])
    findings = (
        ["abandoned_call"] if str(fields.get("is_abandoned", "")).lower() in ("true", "1", "on") else []
    )
    if not str(fields.get("text") or "").strip():
        findings.append("no_readable_text")
    grade = str(fields.get("grade") or "")
    return Reading(
        text=clean(str(fields.get("text") or "")),
        facts=gathered.done(),
        files=tuple(parsed["files"]),
        findings=tuple(findings),
        event_code=str(fields.get("event_code") or ""),
        grade=int(grade) if grade in ("1", "2", "3", "4") else None,
        area=str(fields.get("area") or ""),
    )
