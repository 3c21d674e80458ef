"""The words of an OFD, the layout format of Chinese official documents (GB/T 33190), and the seals on it."""

import posixpath
import re
from collections.abc import Iterator

from lxml import etree

from channels.codecs.document_said import Parts, Said, Seal, local
from domain.errors import BadInput

PAGES = 300
SEALS = 20
_SAME_LINE = 1.5  # millimetres; a line of small print is 3 mm high


def ofd(data: bytes) -> Said:
    """The words of every page in the order they are drawn, templates first. Raises BadInput."""
    parts = Parts(data)
    root = parts.xml("OFD.xml")
    if root is None:
        raise BadInput("no OFD.xml", code="document_broken")
    texts: list[str] = []
    seals: list[Seal] = []
    pages = 0
    for body in root.iter("{*}DocBody"):
        place = _first(body, "DocRoot")
        document = parts.xml(place) if place else None
        if document is not None:
            at = posixpath.dirname(place)
            found = [_joined(at, str(e.get("BaseLoc", ""))) for e in _pages(document)][:PAGES]
            pages += sum(1 for e in _pages(document) if local(e) == "Page")
            texts += [text for page in parts.each(found) if (text := _text(page))]
        seals += _seals(parts, _first(body, "Signatures"))
    return Said(text="\n\n".join(texts), tool="tocsin-ofd/1", pages=pages, seals=tuple(seals[:SEALS]))


def _pages(document: etree._Element) -> Iterator[etree._Element]:
    yield from document.iter("{*}TemplatePage")
    yield from document.iter("{*}Page")


def _text(page: etree._Element) -> str:
    """One line for what stands at one height; pieces of it follow one another as they are drawn."""
    lines: list[str] = []
    height: float | None = None
    for text in page.iter("{*}TextObject"):
        words = "".join(code.text or "" for code in text.iter("{*}TextCode"))
        numbers = re.findall(r"-?\d+(?:\.\d+)?", str(text.get("Boundary", "")))
        top = float(numbers[1]) if len(numbers) > 1 else None
        if lines and height is not None and top is not None and abs(top - height) < _SAME_LINE:
            lines[-1] += words
        else:
            lines.append(words)
        height = top
    return "\n".join(line for line in lines if line.strip())


def _seals(parts: Parts, place: str) -> list[Seal]:
    listing = parts.xml(place) if place else None
    if listing is None:
        return []
    found = []
    for signature in list(listing.iter("{*}Signature"))[:SEALS]:
        kind = "ofd_signature" if signature.get("Type") == "Sign" else "ofd_seal"
        told = parts.xml(_joined(posixpath.dirname(place), str(signature.get("BaseLoc", ""))))
        provider = [] if told is None else list(told.iter("{*}Provider"))
        name = str(provider[0].get("ProviderName", "")) if provider else ""
        found.append(Seal(kind=kind, by=name, at="" if told is None else _first(told, "SignatureDateTime")))
    return found


def _first(element: etree._Element, name: str) -> str:
    """The text of the first element of that name, without the slash in front of a path."""
    found = next(element.iter(f"{{*}}{name}"), None)
    return ((found.text if found is not None else "") or "").strip().lstrip("/")


def _joined(place: str, name: str) -> str:
    return name.lstrip("/") if name.startswith("/") else posixpath.normpath(posixpath.join(place, name))
