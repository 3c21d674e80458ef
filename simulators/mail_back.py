"""What comes back about a mail: delivery status notifications, bounces without one, auto-replies.

Sources: RFC 3464 (message/delivery-status), RFC 3834 (auto-replies); the plain one has the form that Chinese
providers send.
"""

import base64
from datetime import datetime
from email.utils import format_datetime, make_msgid

from simulators.mail_script import Back
from simulators.mailboxes import Mail

HOST = "mx.example.net"
_WORDS = {
    Back.FAILED: "Your message could not be delivered.",
    Back.DELAYED: "Your message is delayed. You need not send it again.",
    Back.DELIVERED: "Your message was delivered.",
    Back.RELAYED: "Your message was relayed; nothing more will be reported.",
}
_PLAIN = "抱歉，您的邮件被退回来了。\n收件人：{to}\n退信原因：550 User not found\n"
_AWAY = "我正在休假，将于下周一返回。\n"


def about(mail: Mail, back: Back, status: str, at: datetime) -> bytes:
    """The whole mail that goes back to the envelope sender of `mail`."""
    is_reply = back is Back.AWAY
    head = [
        f"From: {mail.to if is_reply else f'Mail Delivery System <MAILER-DAEMON@{HOST}>'}",
        f"To: {mail.sender}",
        f"Date: {format_datetime(at)}",
        f"Message-ID: {make_msgid(domain=HOST)}",
        "MIME-Version: 1.0",
    ]
    if back in _WORDS:
        lines = [*head, *_report(mail, back, status)]
    elif is_reply:
        subject = _word(f"自动回复: {mail.read()['subject']}")
        lines = [*head, f"Subject: {subject}", "Auto-Submitted: auto-replied", *_text(_AWAY)]
    else:
        lines = [*head, f"Subject: {_word('系统退信')}", *_text(_PLAIN.format(to=mail.to))]
    return "\r\n".join([*lines, ""]).encode("ascii", "replace")


def _report(mail: Mail, back: Back, status: str) -> list[str]:
    original = mail.raw.split(b"\r\n\r\n", 1)[0].decode("ascii", "replace").split("\r\n")
    return [
        *("Subject: Delivery Status Notification", "Auto-Submitted: auto-replied"),
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=back"',
        *("", "--=back", "Content-Type: text/plain; charset=us-ascii", "", _WORDS[back], ""),
        *("--=back", "Content-Type: message/delivery-status", "", f"Reporting-MTA: dns; {HOST}", ""),
        *(f"Final-Recipient: rfc822; {mail.to}", f"Action: {back}", f"Status: {status}", ""),
        *("--=back", "Content-Type: text/rfc822-headers", "", *original, "", "--=back--"),
    ]


def _text(text: str) -> list[str]:
    lines = base64.encodebytes(text.encode()).decode().split("\n")
    return ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "", *lines]


def _word(text: str) -> str:
    return f"=?utf-8?B?{base64.b64encode(text.encode()[:600]).decode()}?="
