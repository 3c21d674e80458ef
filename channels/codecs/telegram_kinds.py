"""What a message of a chat holds beside text, files and places: every kind as words, also one that came up since.

Source: "Bot API", object Message. What a kind is called here is the whole of what must be known of it; its words are all
that people wrote in it, in their order.
"""

from collections.abc import Iterator, Mapping
from typing import Any

NAMES: Mapping[str, str] = {
    "poll": "投票", "sticker": "贴纸", "dice": "骰子", "game": "游戏", "checklist": "清单", "paid_media": "付费媒体",
    "story": "动态", "invoice": "账单", "giveaway": "抽奖", "web_app_data": "小程序数据", "new_chat_members": "新成员",
    "left_chat_member": "退出成员", "pinned_message": "置顶消息", "checklist_tasks_done": "清单完成项",
    "checklist_tasks_added": "清单新增项", "users_shared": "分享的联系人", "external_reply": "引用的消息", "quote": "引文",
}  # fmt: skip
OTHER = "其他内容"
WORDS = 60  # of one kind that are shown: a poll has twelve options, a checklist thirty tasks
LETTERS = 4_096  # of one kind, as a text has at most

# Who, when, how it is shown: no content of its own. Text, files and places are read by telegram_update.
_AROUND = frozenset((
    "message_id", "message_thread_id", "date", "chat", "from", "sender_chat", "edit_date", "media_group_id", "author_signature",
    "text", "caption", "entities", "caption_entities", "link_preview_options", "reply_markup", "reply_to_message", "via_bot",
    "forward_origin", "forward_from", "forward_from_chat", "forward_date", "forward_sender_name", "forward_signature",
    "business_connection_id", "sender_business_bot", "effect_id", "photo", "voice", "audio", "video", "video_note", "animation",
    "document", "location", "venue", "contact", "migrate_to_chat_id", "migrate_from_chat_id", "direct_messages_topic",
    "reply_to_story", "sender_tag",
))  # fmt: skip
_NUMBERS = (
    "value",
    "star_count",
    "total_amount",
    "winner_count",
)  # that say something without a word beside them
_SILENT = (
    "id",
    "type",
    "currency",
    "language_code",
    "mime_type",
    "username",
    "invoice_payload",
    "start_parameter",
)
_DEEP = 6  # a task of a checklist of a message that is quoted


def said(message: Any) -> list[str]:
    """A text for each kind in `message`; a kind that nobody knows is told only where nothing else is."""
    if not isinstance(message, dict):
        return []
    known = {name: message[name] for name in NAMES if message.get(name) and not _is_told(name, message[name])}
    found = known or ({} if _holds_more(message) else _unknown(message))
    return [_text(name, value) for name, value in found.items()]


def files_in(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Objects of `message` that hold files as it does itself: a game, what somebody sells, what is quoted."""
    paid = message.get("paid_media")
    sold = paid.get("paid_media") if isinstance(paid, dict) else None
    inside = [message.get("game"), *(sold if isinstance(sold, list) else [])]
    return [one for one in inside if isinstance(one, dict)]


def _is_told(name: str, value: Any) -> bool:
    """The letter of a sticker is its text already."""
    return name == "sticker" and isinstance(value, dict) and bool(value.get("emoji"))


def _holds_more(message: Mapping[str, Any]) -> bool:
    names = ("text", "caption", "photo", "voice", "audio", "video", "video_note", "animation", "document", "location", "venue",
             "contact", "sticker", "migrate_to_chat_id")  # fmt: skip
    return any(message.get(name) for name in names)


def _unknown(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(name)[:40]: value
        for name, value in message.items()
        if name not in _AROUND and not str(name).startswith(("is_", "has_", "sender_"))
    }


def _text(name: str, value: Any) -> str:
    words = list(dict.fromkeys(_words(value, 0)))
    shown = "\n".join(words[:WORDS])[:LETTERS]
    return f"{NAMES.get(name, OTHER)} ({name})" + (f": {shown}" if shown else "")


def _words(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEP:
        return
    if isinstance(value, str):
        if value.strip():
            yield value.strip()
    elif isinstance(value, list):
        for one in value:
            yield from _words(one, depth + 1)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in _NUMBERS and isinstance(one, int) and not isinstance(one, bool):
                yield str(one)
            elif name not in _SILENT and not str(name).endswith(("_id", "_ids")):
                yield from _words(one, depth + 1)
