"""Alerts that stand as text inside an envelope: escaped, or in base64; they become elements of it."""

import base64
import binascii
import re

from lxml import etree

from channels.codecs.cap_envelope import alerts_in, is_distribution
from channels.codecs.markup import SPACES, parse_xml
from domain.errors import BadInput

INSIDE = 500  # texts of one envelope that are looked into, as many as alerts of one document are read
_DECLARATION = re.compile(
    r"\A<\?xml.{0,200}?\?>", re.S
)  # says how the bytes were written, and these are letters
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{40,}")  # fewer letters hold no alert


def unfolded(root: etree._Element) -> etree._Element:
    """`root` with the alerts that its contents hold as text in their place (EDXL-DE 1.0 §3.2.4, 2.0 §3.2.7).

    What is not an alert, or is not well-formed, stays the text it is.
    """
    if not is_distribution(root):
        return root
    leaves = [one for one in root.iter(etree.Element) if len(one) == 0 and one.text]
    for leaf in leaves[:INSIDE]:
        found = _alert(str(leaf.text).strip(SPACES))
        if found is not None:
            leaf.text = None
            leaf.append(found)
    return root


def _alert(text: str) -> etree._Element | None:
    try:
        if text.startswith("<"):
            root = parse_xml(_DECLARATION.sub("", text).encode("utf-8", "replace"))
        elif _BASE64.fullmatch(text):
            root = parse_xml(base64.b64decode("".join(text.split()), validate=True))
        else:
            return None
    except (BadInput, binascii.Error, ValueError):
        return None
    return root if alerts_in(root) else None
