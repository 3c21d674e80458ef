"""How many SMS a text becomes, and where it is cut."""

from dataclasses import dataclass

from smsutil import gsm_split, is_valid_gsm, unicode_split

_ESCAPE = (
    "\x1b"  # 3GPP TS 23.038 §6.2.1: an escape to the extension table, no letter; smsutil counts it as one
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """A text as a phone network counts it.

    `units` are septets (GSM-7) or UTF-16 code units (UCS-2). `per_part` is what one part holds: 160 or 70
    alone, 153 or 67 in a concatenation (3GPP TS 23.040 §9.2.3.24.1: its header takes 6 octets).
    """

    encoding: str  # GSM-7 | UCS-2
    units: int
    parts: int
    per_part: int
    texts: tuple[str, ...]  # the text of each part, for showing where it is cut


def segments(text: str) -> Segments:
    """The count that the preview shows and the wire sends by; nothing is replaced by look-alikes.

    An escape pair or a surrogate pair is never cut in two, so the parts can be more than units / per_part.
    The empty text is one empty part.
    """
    if not text:
        return Segments(encoding="GSM-7", units=0, parts=1, per_part=160, texts=("",))
    is_gsm = is_valid_gsm(text) and _ESCAPE not in text
    found = gsm_split(text) if is_gsm else unicode_split(text)
    units = found.total_bytes if is_gsm else found.total_bytes // 2
    parts = tuple(part.content for part in found.parts)
    alone, joined = (160, 153) if is_gsm else (70, 67)
    return Segments(
        encoding="GSM-7" if is_gsm else "UCS-2",
        units=units,
        parts=len(parts),
        per_part=alone if len(parts) == 1 else joined,
        texts=parts,
    )
