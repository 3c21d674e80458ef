"""What an officer or a rule should know about a mail besides its words: stable keys, no judgement."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from channels.codecs.mail_headers import Fields, addresses, parameters
from channels.codecs.mime import Walk, first

# Chinese providers send both without Auto-Submitted and without a delivery-status part (STANDARDS §8).
AUTO_SUBJECT = re.compile(
    r"^\W{0,3}(?:(?:外出|休假|离岗)?(?:自动回复|自动答复|自动应答|自動回覆|自動回應|自動回復)(?![机器系统装])"
    r"|不在办公室[:：]|(?:已读|已閱讀|已阅读|未读已删除|未讀已刪除)[:：]"
    r"|auto(?:matic)?[ -]?(?:reply|response)|out of (?:the )?office|(?:not )?read:)",
    re.IGNORECASE,
)
BOUNCE_SUBJECT = re.compile(
    r"系统退信|系統退信|^退信(?=通知|[:：\s]|$)|邮件退回|郵件退回|邮件被退回|退信通知|^来自\S{1,60}的退信|^(?:邮件)?(?:投递|发送|传送)失败|投递失败|传递失败"
    r"|无法投递|無法投遞|^(?:无法送达|未送达|未传递|未传送|延迟送达|无法传递|傳送失敗|無法傳送)|投递延迟|投遞延遲|延迟投递"
    r"|メールエラー通知|配信不能"
    r"|undeliver(?:ed|able)|returned mail|failure notice|delivery status notification"
    r"|mail delivery (?:failed|failure|subsystem)|delivery (?:failure|has failed|delayed|warning)",
    re.IGNORECASE,
)
HOPS_MAX = 50  # RFC 5321 §6.3 takes 100 for a loop; honest mail stays below 20
_DAEMON = re.compile(rb"\b(?:mailer-daemon|mail-daemon)@|^\s*mailer-daemon\b", re.IGNORECASE)
ONCE = ("date", "to", "reply-to", "message-id", "content-type", "content-transfer-encoding")  # RFC 5322 §3.6
_ENCRYPTED = ("application/pgp-encrypted", "application/x-pkcs7-mime", "application/pkcs7-mime")


def of_fields(fields: Fields, walk: Walk, subject: str, options: Mapping[str, Any]) -> Iterator[str]:
    """encrypted, signed, auto_reply, bounce, list_mail, no_answer_wanted, and of fields that are not there once:

    two_from, no_from, two_subjects, field_twice, no_message_id.
    """
    names = [name for name, _ in fields]
    yield from _protection(walk)
    if is_auto_reply(fields, subject):
        yield "auto_reply"
    if _is_bounce(fields, walk, subject, options):
        yield "bounce"
    precedence = first(fields, "precedence").strip().lower()
    if {"list-id", "list-post", "list-unsubscribe"} & set(names) or precedence in (b"list", b"bulk"):
        yield "list_mail"
    if _wants_no_answer(fields, precedence):
        yield "no_answer_wanted"
    if names.count("from") > 1:
        yield "two_from"
    if not first(fields, "from"):
        yield "no_from"
    if names.count("subject") > 1:
        yield "two_subjects"
    if any(names.count(name) > 1 for name in ONCE):
        yield "field_twice"
    if not first(fields, "message-id"):
        yield "no_message_id"


def of_sender(fields: Fields, from_address: str, options: Mapping[str, Any]) -> Iterator[str]:
    """two_from for several addresses in one field; from_differs_from_envelope when the door gave one."""
    if sum("@" in a.address for a in addresses(first(fields, "from")[:4_000], most=3)) > 1:
        yield "two_from"
    envelope = str(options.get("envelope_from", "")).strip("<> ").lower()
    if envelope and from_address.lower() != envelope:
        yield "from_differs_from_envelope"


def of_bytes(raw: bytes, text: str) -> Iterator[str]:
    """bare_newline (a CR or LF alone, the means of SMTP smuggling), and armoured PGP in the text."""
    pairs = raw.count(b"\r\n")
    if raw.count(b"\n") != pairs or raw.count(b"\r") != pairs:
        yield "bare_newline"
    if "-----BEGIN PGP MESSAGE-----" in text:
        yield "encrypted"
    if "-----BEGIN PGP SIGNED MESSAGE-----" in text:
        yield "signed"


def _protection(walk: Walk) -> Iterator[str]:
    if "multipart/signed" in walk.kinds:
        yield "signed"
    if "multipart/encrypted" in walk.kinds:
        yield "encrypted"
    for part in walk.leaves:
        if part.kind in _ENCRYPTED and "signed" not in walk.findings:
            yield "signed" if part.content_type.text("smime-type").lower() == "signed-data" else "encrypted"


def is_auto_reply(fields: Fields, subject: str) -> bool:
    """Whether a program answered: by RFC 3834 §5, or by the older fields and subjects that say so."""
    submitted = first(fields, "auto-submitted").split(b";")[0].strip().lower()  # RFC 3834 §5
    if submitted and submitted != b"no":
        return True
    names = {name for name, _ in fields}
    if {"x-autoreply", "x-autorespond", "x-autoresponse"} & names or AUTO_SUBJECT.search(subject):
        return True
    return first(fields, "precedence").strip().lower() == b"auto_reply"


def _wants_no_answer(fields: Fields, precedence: bytes) -> bool:
    """X-Loop, too many Received, Precedence: junk, any List-* field (RFC 2369, RFC 2919), or
    X-Auto-Response-Suppress ([MS-OXCMAIL] §2.2.3.2.14)."""
    names = [name for name, _ in fields]
    if "x-loop" in names or names.count("received") > HOPS_MAX:  # a program that watches for its own mails
        return True
    suppressed = {word.strip() for word in first(fields, "x-auto-response-suppress").lower().split(b",")}
    is_list = any(name.startswith("list-") for name, _ in fields)
    return precedence == b"junk" or is_list or bool(suppressed & {b"all", b"oof", b"autoreply"})


def _is_bounce(fields: Fields, walk: Walk, subject: str, options: Mapping[str, Any]) -> bool:
    if str(options.get("envelope_from", "?")).strip() in ("", "<>"):  # RFC 5321 §4.5.5
        return True
    if first(fields, "return-path").strip() == b"<>":
        return True
    top = parameters(first(fields, "content-type")[:2_000])
    told = top.text(
        "report-type"
    ).lower()  # of abuse (RFC 5965) and of a mail that was read (RFC 8098): no bounces
    is_report = top.value == "multipart/report" and told not in (
        "feedback-report",
        "disposition-notification",
    )
    if is_report or any(p.kind == "message/delivery-status" for p in walk.leaves):
        return True
    return bool(BOUNCE_SUBJECT.search(subject) or _DAEMON.search(first(fields, "from")[:500]))
