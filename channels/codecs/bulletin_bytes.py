"""The bytes of a document as its parser is to see them: in the character set that the door was told."""

import codecs
import re

from channels.codecs.charsets import codec
from channels.codecs.markup import declared_encoding

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_ENCODING = re.compile(r"""\A(\s*<\?xml[^>]{0,200}?)\s+encoding\s*=\s*["'][^"']{0,40}["']""")
_PARAMETER = re.compile(r""";\s*charset\s*=\s*["']?([A-Za-z0-9._:+-]{1,40})""", re.I)


def charset_of(content_type: str) -> str:
    """The charset parameter of a Content-Type, '' without one."""
    found = _PARAMETER.search(content_type)
    return found[1] if found else ""


def in_utf8(data: bytes, charset: str) -> bytes:
    """`data` by RFC 7303 §3.2: a byte order mark first, then the charset of its type, then what it declares itself.

    Unchanged where the charset says nothing: none, unknown, not that of these bytes, or a server's default around bytes
    that are UTF-8 and more than ASCII, which no text of a one-byte set is by chance.
    """
    name = codec(charset)
    is_wide = name.startswith(("utf-16", "utf-32"))
    if not name or data.startswith(_MARKS) or is_wide != (b"\0" in data) or (data.isascii() and not is_wide):
        return data
    try:
        text = data.decode(name if name[-2:] in ("le", "be") or data[:1] != b"\0" else f"{name}-be")
    except UnicodeError:
        return data
    says_so = declared_encoding(data)[1] in ("utf-8", "utf8") or len(text) == len(data)
    if says_so and _is_utf8(data):
        return data
    return _ENCODING.sub(r"\1", text, count=1).encode("utf-8", "replace")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeError:
        return False
    return True
