"""What one update of Telegram's Bot API says: its envelope for the door, the whole of it for the queue.

Source: "Bot API", objects Update, Message, ChatMemberUpdated (core.telegram.org/bots/api). The whole is read with
python-telegram-bot's types, in a child; the door looks at the few fields that it keys by.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from telegram import Message, Update

from channels.codecs import telegram_kinds
from domain.errors import BadInput
from domain.report import Inbound

MEDIA_TYPE = "application/x-telegram-update+json"
KINDS = ("message", "edited_message", "my_chat_member")  # what we ask for; anything else goes to the shelf
LARGEST = 20_000_000  # bytes that a bot may download ("getFile": 20 MB)
SCHEME = "telegram:"  # of an address in the meta that is a file id, not a URL

_FILE_ID = re.compile(r"[A-Za-z0-9_-]{1,250}")
_SINGLE = ("voice", "audio", "video", "video_note", "animation", "document", "sticker")
_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@[A-Za-z0-9_]{1,64})?(?:\s+(.*))?", re.DOTALL)
_OTHER_SHAPE = (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError, OSError)
_CORE = ("message_id", "date", "chat", "from", "text", "caption", "edit_date", "media_group_id", "location")
_LONGEST_MEDIA = 10  # of one message: it has one; what claims more is no message of Telegram's


def load(raw: bytes) -> dict[str, Any]:
    """The update in `raw`. Raises BadInput(code="bad_shape")."""
    try:
        update = json.loads(raw.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadInput("no JSON", code="bad_shape") from None
    if not isinstance(update, dict) or not is_id(update.get("update_id")):
        raise BadInput("no update", code="bad_shape")
    return update


def is_id(value: object) -> bool:
    """Whether it may be an update's number: "positive", and what a database can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def inbound(raw: bytes, update: Mapping[str, Any], *, bot: str, at: datetime) -> Inbound:
    """The update as the door keeps it: (bot, update_id) is its name whatever brought it. Never raises."""
    message = next((m for k in KINDS if isinstance(m := update.get(k), dict)), {})
    chat = message.get("chat")
    number = chat.get("id") if isinstance(chat, dict) else None
    media, types, too_large = _media(message)
    meta: dict[str, Any] = {
        "bot": bot, "media": media, "media_types": types, "too_large": too_large,
        "language": _plain((message.get("from") or {}).get("language_code"), 20)
        if isinstance(message.get("from"), dict) else "",
    }  # fmt: skip
    return Inbound(
        channel="telegram",
        external_id=f"{bot}:{update['update_id']}",
        raw=raw,
        media_type=MEDIA_TYPE,
        received_at=at,
        sender=str(number) if isinstance(number, int) and not isinstance(number, bool) else "",
        meta={key: value for key, value in meta.items() if value},
    )


def _media(message: Mapping[str, Any]) -> tuple[list[str], list[str], int]:
    """(addresses to fetch, types that the sender claims, how many are larger than a bot may have)."""
    found = [file for one in (message, *telegram_kinds.files_in(message)) for file in _files(one)]
    media, types, too_large = [], [], 0
    for one in found[:_LONGEST_MEDIA]:
        name = one.get("file_id")
        if _number(one.get("file_size")) > LARGEST:
            too_large += 1
        elif isinstance(name, str) and _FILE_ID.fullmatch(name):
            media.append(SCHEME + name)
            types.append(_plain(one.get("mime_type"), 120))
    return media, types, too_large


def _files(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [message[name] for name in _SINGLE if isinstance(message.get(name), dict)]
    if isinstance(message.get("animation"), dict) and isinstance(message.get("document"), dict):
        found.remove(message["document"])  # the same file again, for clients that know no animations
    photos = message.get("photo")
    sizes = [p for p in photos if isinstance(p, dict)] if isinstance(photos, list) else []
    if sizes:
        found.append(max(sizes, key=lambda p: _number(p.get("width")) * _number(p.get("height"))))
    return found


def _plain(value: object, most: int) -> str:
    """A word of the sender's that may be stored: JSON can spell half a letter, no database takes it."""
    return str(value or "")[:most].encode("utf-8", "replace").decode()


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def read(raw: bytes, _options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """What the update says, for `intake.reading`. Raises BadInput for one of another shape."""
    data = load(raw)
    kind = next((k for k in KINDS if k in data), "unknown")
    if kind == "unknown":
        return {"kind": kind}, []
    others = {"others": telegram_kinds.said(data[kind])}
    try:
        return _told(kind, data) | others, []
    except _OTHER_SHAPE:
        pass  # one object of it may be of another shape than the types know: what people wrote stands beside it
    try:
        return _told(kind, data | {kind: _core(data[kind])}) | others, []
    except _OTHER_SHAPE:
        raise BadInput("no message of Telegram's", code="bad_shape") from None


def _told(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    update = Update.de_json(data, None)
    if kind == "my_chat_member":
        return _membership(update)
    message = update.message or update.edited_message
    if message is None:
        raise BadInput("no message", code="bad_shape")
    return _message(kind, message)


def _core(message: Any) -> Any:
    """Of a message what makes it a report: who, when, the words, the place, and what it belongs to."""
    if not isinstance(message, dict):
        return message
    kept = {name: message[name] for name in _CORE if name in message}
    if isinstance(answered := message.get("reply_to_message"), dict):
        kept["reply_to_message"] = {name: answered.get(name) for name in ("message_id", "date", "chat")}
    return kept


def _membership(update: Update) -> dict[str, Any]:
    member = update.my_chat_member
    if member is None:
        raise BadInput("no member", code="bad_shape")
    return {
        "kind": "my_chat_member",
        "chat": int(member.chat.id),
        "status": str(member.new_chat_member.status),
    }


def _message(kind: str, message: Message) -> dict[str, Any]:
    person, contact, place = message.from_user, message.contact, message.venue
    text = str(message.text or message.caption or "")
    spot = message.location or (place.location if place else None)
    answered = message.reply_to_message
    found: dict[str, Any] = {
        "kind": kind,
        "chat": int(message.chat.id),
        "is_private": message.chat.type == "private",
        "message": int(message.message_id),
        "edited": int(message.edit_date.timestamp()) if message.edit_date else 0,
        "album": str(message.media_group_id or ""),
        "answers": int(answered.message_id) if answered else 0,
        "text": text,
        "language": str((person.language_code if person else "") or ""),
        "name": str(person.full_name if person else ""),
        "is_forwarded": message.forward_origin is not None,
        "place": " ".join(str(part) for part in (place.title, place.address) if part) if place else "",
        "contact": str(contact.phone_number) if contact else "",
        "contact_name": " ".join(filter(None, (contact.first_name, contact.last_name))) if contact else "",
        "sticker": str((message.sticker.emoji if message.sticker else "") or ""),
        "migrate_to": int(message.migrate_to_chat_id or 0),
    }
    if spot:
        found |= {"lat": float(spot.latitude), "lon": float(spot.longitude)}
        found["accuracy"] = float(spot.horizontal_accuracy or 0)
    if kind == "message" and (said := _COMMAND.fullmatch(text.strip())):
        found |= {"command": said[1].lower(), "argument": (said[2] or "").strip()}
    return found


def _no_number(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")
