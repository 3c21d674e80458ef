"""The address in what a citizen wrote into "how to reach you": a telephone number, a mail address, or none."""

import re
import unicodedata

from intake.phones import phone

READ_MAX = 300  # characters; a contact is a line, and the number finder is given no long text (PROMISES H69)
ADDRESS_MAX = 200  # characters of an address that the outbox holds
# RFC 5321 §4.1.2 without quoted local parts and address literals: what people have, and nothing that a
# header or an envelope could read otherwise.
_MAIL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z0-9-]{2,63}"
)
_LABEL = re.compile(r"^\s*(?:e-?mail|邮箱|电子邮件|邮件)\s*[:：]?\s*", re.IGNORECASE)
_BETWEEN = re.compile(r"[,，;；/、|\n]|\s(?:or|and)\s|[或和]")


def address_in(text: str, *, region: str, area_code: str = "") -> str:
    """E.164 or a mail address in lower case: the first of several; '' when there is none that is certain."""
    plain = unicodedata.normalize("NFKC", text[:READ_MAX])
    for piece in [*_BETWEEN.split(plain), plain]:
        if mail := mail_in(_LABEL.sub("", piece)):
            return mail
        found = phone(piece, region=region, area_code=area_code)
        if found is not None and found.e164:
            return found.e164
    return ""


def mail_in(text: str) -> str:
    """`text` as a mail address in lower case, '' when it is none."""
    given = text.strip()
    return given.lower() if len(given) <= ADDRESS_MAX and _MAIL.fullmatch(given) else ""
