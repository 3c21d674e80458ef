"""What comes back about a mail: delivery status notifications, bounces without one, auto-replies.

Sources: RFC 3464 (message/delivery-status), RFC 3834 (auto-replies); the plain one has the form that Chinese
providers send.
"""

from datetime import datetime
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, make_msgid

from simulators.mail_script import Back
from simulators.mailboxes import Mail

HOST = "mx.example.net"
_WORDS = {
    Back.FAILED: "Your message could not be delivered to {to}.",
    Back.DELAYED: "Your message to {to} is delayed. You need not send it again.",
    Back.DELIVERED: "Your message was delivered to {to}.",
    Back.RELAYED: "Your message was relayed towards {to}; nothing more will be reported.",
}


def about(mail: Mail, back: Back, status: str, at: datetime) -> bytes:
    """The whole mail that goes back to the envelope sender of `mail`."""
    made = _report(mail, back, status) if back in _WORDS else _plain(mail, back)
    made["From"] = mail.to if back is Back.AWAY else f"Mail Delivery System <MAILER-DAEMON@{HOST}>"
    made["To"] = mail.sender
    made["Date"] = format_datetime(at)
    made["Message-ID"] = make_msgid(domain=HOST)
    return made.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _report(mail: Mail, back: Back, status: str) -> MIMEMultipart:
    made = MIMEMultipart("report")
    made.set_param("report-type", "delivery-status")
    made["Subject"] = "Delivery Status Notification"
    made["Auto-Submitted"] = "auto-replied"
    made.attach(MIMEText(_WORDS[back].format(to=mail.to), "plain", "us-ascii"))
    fields = f"Reporting-MTA: dns; {HOST}\n\nFinal-Recipient: rfc822; {mail.to}\nAction: {back}\nStatus: {status}\n"
    for kind, text in (("delivery-status", fields), ("rfc822-headers", _head(mail))):
        part = MIMEText(text, "plain", "us-ascii")
        part.replace_header("Content-Type", f"{'message' if kind == 'delivery-status' else 'text'}/{kind}")
        made.attach(part)
    return made


def _plain(mail: Mail, back: Back) -> EmailMessage:
    made = EmailMessage()
    if back is Back.AWAY:
        made["Subject"] = f"自动回复: {mail.read()['subject']}"
        made["Auto-Submitted"] = "auto-replied"
        made.set_content("我正在休假，将于下周一返回。\n", cte="base64")
        return made
    made["Subject"] = "系统退信"
    made.set_content(
        f"抱歉，您的邮件被退回来了。\n收件人：{mail.to}\n退信原因：550 User not found\n", cte="base64"
    )
    return made


def _head(mail: Mail) -> str:
    return mail.raw.split(b"\r\n\r\n", 1)[0].decode("ascii", "replace").replace("\r\n", "\n") + "\n"
