"""The default alphabet of SMS, a septet an octet, as SMPP carries it.

Source: 3GPP TS 23.038 §6.2.1 (table and extension). Packing seven bits is the air's concern, not SMPP's.
"""

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|",
              0x65: "€"}  # fmt: skip
_ESCAPE = 0x1B
_OCTET = {letter: bytes([n]) for n, letter in enumerate(_BASIC) if n != _ESCAPE}
_OCTET |= {letter: bytes([_ESCAPE, n]) for n, letter in _EXTENSION.items()}


def encode(text: str) -> bytes:
    """One octet a septet. Raises UnicodeEncodeError for a letter that is not in the alphabet."""
    try:
        return b"".join(_OCTET[letter] for letter in text)
    except KeyError as error:
        at = text.index(error.args[0])
        raise UnicodeEncodeError("gsm7", text, at, at + 1, "not in the alphabet") from None


def decode(data: bytes) -> str:
    """The text of septets in octets; the top bit of an octet says nothing. Never raises.

    An escape before what has no extension shows the letter of the main table (§6.2.1.1, note 1); one at the end
    is a blank.
    """
    found, octets = [], iter(data)
    for octet in octets:
        n = octet & 0x7F
        if n != _ESCAPE:
            found.append(_BASIC[n])
            continue
        second = next(octets, None)
        if second is None:
            found.append(" ")
            continue
        m = second & 0x7F
        found.append(_EXTENSION.get(m, " " if m == _ESCAPE else _BASIC[m]))
    return "".join(found)
