"""The words of documents that are XML: OpenDocument (ISO/IEC 26300), Office's single files, 标文通 (GB/T 20916), an alert."""

import re
from collections.abc import Iterator

from lxml import etree

from channels.codecs.document_said import PART_MAX, Parts, Said, local
from channels.codecs.markup import NotXml, parse_xml
from domain.errors import BadInput

# Elements inside a line; what stands in any other begins one.
_INLINE = frozenset(
    {"t", "r", "span", "a", "hyperlink", "smartTag", "fldSimple", "ins", "文本串", "句", "s", "tab"}
)
_SKIPPED = frozenset(  # no words, said twice, or no longer
    {
        "binData",
        "derefUri",
        "instrText",
        "delText",
        "del",
        "Fallback",
        "tracked-changes",
        "Signature",
        "styles",
        "fonts",
    }
)
_BLANKS = {"s": " ", "tab": "\t"}
_CODED = re.compile(r"[A-Za-z0-9+/=]{200,}")  # Base64: a picture or a file


def odf(data: bytes) -> Said:
    """A text, a sheet or slides. Raises BadInput."""
    root = Parts(data).xml("content.xml")
    if root is None:
        raise BadInput("no content.xml", code="document_broken")
    return Said(text=_text(root), tool="tocsin-odf/1")


def xml(data: bytes) -> Said:
    """Any XML file: the text of its elements, a line for each that is no part of one. Raises BadInput."""
    try:
        return Said(text=_text(parse_xml(data, largest=PART_MAX)), tool="tocsin-xml/1")
    except NotXml:
        raise BadInput("no XML that is read", code="document_broken") from None


def _text(root: etree._Element) -> str:
    lines = (line.strip() for line in "".join(_pieces(root)).splitlines())
    return "\n".join(line for line in lines if line and not _CODED.fullmatch(line))


def _pieces(root: etree._Element) -> Iterator[str]:
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        name = local(element)
        if event == "start" and name in _SKIPPED:
            walk.skip_subtree()
        elif event == "start":
            yield "" if name in _INLINE else "\n"
            yield _BLANKS.get(name, "") + (element.text or "")
        else:
            yield "" if name in _INLINE else "\n"
            yield (element.tail or "") if element is not root else ""
