"""What a reader of documents answers, and the way all of them go into zipped XML."""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from channels.codecs.markup import NotXml, parse_xml
from channels.codecs.zip_file import Budget, Entry, Spent, ZipFile
from domain.errors import BadInput

PART_MAX = 16 << 20  # bytes of one XML part: its tree takes ten times that, a child has 512 MB
PARTS = 2_000  # names in the directory of a document that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A seal or signature that is there; nobody has verified it."""

    kind: str  # pdf_signature | ofd_seal | ofd_signature | office_signature | smime_signature | pgp_signature
    by: str = ""  # as it says itself
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The words of a document and by which tool they were read; `reason`: why there are none."""

    tool: str
    text: str = ""
    pages: int = 0
    seals: tuple[Seal, ...] = ()
    findings: tuple[str, ...] = ()
    reason: str = ""


class Parts:
    """The parts of a document that is a ZIP. Raises BadInput: document_broken, document_bomb, document_encrypted."""

    def __init__(self, data: bytes) -> None:
        self._budget = Budget()
        try:
            self._zip = ZipFile(data)
            self._entries = _first(self._zip)
        except BadInput:
            raise BadInput("a damaged package", code="document_broken") from None

    @property
    def names(self) -> list[str]:
        """In the order of the package."""
        return [entry.name for entry in self._entries.values()]

    def xml(self, name: str) -> etree._Element | None:
        """The tree of one part; None when there is no such part, or it is no XML."""
        entry = self._entries.get(name.strip("/").lower())
        if entry is None:
            return None
        try:
            return parse_xml(self._zip.read(entry, self._budget, PART_MAX), largest=PART_MAX)
        except Spent:
            raise BadInput("a part unpacks to more than is read", code="document_bomb") from None
        except NotXml:
            return None
        except BadInput as error:
            code = "document_encrypted" if error.code == "entry_encrypted" else "document_broken"
            raise BadInput("a part cannot be read", code=code) from None

    def each(self, names: list[str]) -> Iterator[etree._Element]:
        """Those of them that can be read."""
        for name in names:
            root = self.xml(name)
            if root is not None:
                yield root


def local(element: etree._Element) -> str:
    """Its name without a namespace: transitional, strict and WPS's own spell theirs differently."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _first(archive: ZipFile) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for number, entry in enumerate(archive.entries()):
        if number >= PARTS:
            break
        found.setdefault(entry.name.replace("\\", "/").strip("/").lower(), entry)
    return found
