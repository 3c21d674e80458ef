"""What a mail says that begins with 签收: who signs, and whether that is all of it.

Whatever is not known to be harmless counts as words: a report too many is read away, one that was swallowed is lost.
"""

import re

NAME = 20  # characters of a name with its body: 某某县水利局 欧阳某某
SIGNATURE_LINES = 4  # of a signature block (RFC 3676 §4.3; netiquette RFC 1855 §2.1.1)
_SIGNS = re.compile(r"[ \t\u3000]*(?:已?签收|signed)(?P<rest>(?=[\s:：,，.。!！]|$)[^\n]*)", re.IGNORECASE)
_BEFORE = "\ufeff \t\u3000\r\n"
_BETWEEN = " \t\u3000:：,，.。!！\r"
_WORD = re.compile(r"[\u4e00-\u9fff]{2,4}|[\u4e00-\u9fff]{1,8}·[\u4e00-\u9fff]{1,8}|[A-Z][A-Za-z'-]{0,15}\.?")
_WORDS = 3  # of a name: 水利局 值班室 王五, Li Xiao Wu
_NEWS = re.compile(  # in hardly any name
    r"[火烧爆炸塌伤亡死困埋淹漏毒救急险灾震水断裂冒倒了请速来有人不没再又另还决堤滑坡溃坝垮涌触电气洪涝雷枪刀撞翻泄毁停踪]"
    r"|fire|help|flood|collaps|dead|death|explo|injur|bridge|urgent|need|leak|quake|slide|smoke|gas|burn|bomb|shoot"
    r"|trap|stuck|storm|broke|emerg|danger|missing|crash",
    re.IGNORECASE,
)
_BODY = re.compile(r"[\u4e00-\u9fff]{0,3}(?:局|厅|办|所|站|队|室|科|委|中心)")
_QUOTE = re.compile(r"\s*>")
_AROUND = re.compile(
    r"\s*(?:-{3,}[^\d]{0,40}-{3,}|_{3,}|-{3,}|On .{1,150} wrote:|.{1,100}写道[:：]|"
    r"(?:From|To|Cc|发件人|收件人|抄送)[:：].{0,100}@.{0,60}|(?:Sent|Date|发送时间|日期|时间)[:：].{0,10}\d.{0,40}|"
    r"Sent from my \w{2,12}|发自我的[ \w]{2,12})\s*",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"(?:\s*(?:re|aw|回复|答复|回覆|答覆)\s*(?:[:：]|$))+\s*", re.IGNORECASE)
_SUBJECT = re.compile(r"\s*(?:Subject|主题|主旨)[:：]", re.IGNORECASE)


def who_signs(text: str) -> str | None:
    """The name on its first line, '' where there is none that is plain; None for a mail that does not sign."""
    found = _SIGNS.match(text.lstrip(_BEFORE))
    if found is None:
        return None
    name = found["rest"].strip(_BETWEEN)
    return name if _is_name(name) else ""


def says_more(text: str, subject: str, ours: str) -> bool:
    """Whether it says anything beside that it signs. `ours`: the mail that it answers, which may stand below unmarked."""
    said = text.lstrip(_BEFORE).splitlines()
    found = _SIGNS.match(said[0]) if said else None
    if found is None or not _is_name(found["rest"].strip(_BETWEEN), may_be_empty=True):
        return True
    known = {_bare(line) for line in ours.splitlines()}
    if _bare(_ANSWER.sub("", subject, count=1)) not in known | {""}:
        return True
    return not all(_is_around(line, known) for line in _without_signature(said[1:]))


def _is_name(name: str, *, may_be_empty: bool = False) -> bool:
    words = name.split()
    if not words:
        return may_be_empty
    is_short = len(name) <= NAME and len(words) <= _WORDS
    return is_short and all(
        _WORD.fullmatch(word) and (_BODY.fullmatch(word) or not _NEWS.search(word)) for word in words
    )


def _is_around(line: str, known: set[str]) -> bool:
    bare = _bare(line)
    if bare in known | {""} or _QUOTE.match(line) or _AROUND.fullmatch(line):
        return True
    return (
        bool(_SUBJECT.match(line))
        and _bare(_ANSWER.sub("", _SUBJECT.sub("", line, count=1), count=1)) in known
    )


def _without_signature(said: list[str]) -> list[str]:
    """Without a block below ``-- ``: name, body, telephone, nothing that tells of anything."""
    for n, line in enumerate(said):
        if line.rstrip() == "--":
            below = [one for one in said[n + 1 :] if one.strip()]
            own = next(
                (i for i, one in enumerate(below) if _QUOTE.match(one) or _AROUND.fullmatch(one)), len(below)
            )
            block, after = below[:own], below[own:]
            is_plain = len(block) <= SIGNATURE_LINES and all(_is_of_a_signature(one) for one in block)
            return [*said[:n], *(after if is_plain else below)]
    return said


def _is_of_a_signature(line: str) -> bool:
    """A name, a body, or how to reach them."""
    words = line.split()
    return all(
        _is_name(word)
        or re.fullmatch(
            r"[+\d()（）-]{3,20}|[\w.+-]+@[\w.-]+|(?:电话|手机|邮箱|传真|Tel|Fax)[:：]?.{0,20}", word
        )
        for word in words
    )


def _bare(line: str) -> str:
    return "".join(line.split()).casefold()
