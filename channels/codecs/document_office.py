"""The words of DOCX, XLSX and PPTX, as Office and WPS write them (ECMA-376)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from channels.codecs.document_said import Parts, Said, Seal, local
from domain.errors import BadInput

CELLS = 100_000  # of a workbook that are read; its text is cut long before
_NUMBER = re.compile(r"(\d+)\.xml$")
_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}  # ECMA-376 §18.8.30, built in
_DATE_LETTERS = re.compile(r"[ymdhs年月日时分秒]", re.IGNORECASE)
_LITERALS = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_EPOCH, _EPOCH_1904 = (
    datetime(1899, 12, 30, tzinfo=UTC),
    datetime(1904, 1, 1, tzinfo=UTC),
)  # no zone is told or shown
_DAYS_MAX = 2_958_465  # the year 9999
_SKIPPED = frozenset({"Fallback", "instrText", "delText", "del"})  # said twice, or no longer


def docx(data: bytes) -> Said:
    """Body, then notes, headers and footers. Raises BadInput."""
    parts = Parts(data)
    names = [n for n in parts.names if re.fullmatch(r"word/document\d*\.xml", n, re.IGNORECASE)]
    if not names:
        raise BadInput("no body", code="document_broken")
    others = [n for n in parts.names if re.fullmatch(r"word/(?:header|footer|footnotes|endnotes)\d*\.xml", n)]
    texts = [_flow(root) for root in parts.each(names[:1] + sorted(others)[:20])]
    return _said(parts, "tocsin-docx/1", "\n".join(dict.fromkeys(texts)))


def pptx(data: bytes) -> Said:
    """Slide by slide, notes after the slides. Raises BadInput."""
    parts = Parts(data)
    slides = sorted((n for n in parts.names if n.startswith("ppt/slides/slide")), key=_place)
    notes = sorted((n for n in parts.names if n.startswith("ppt/notesSlides/notesSlide")), key=_place)
    text = "\n\n".join(_flow(root) for root in parts.each(slides[:300] + notes[:300]))
    return _said(parts, "tocsin-pptx/1", text, pages=len(slides))


def xlsx(data: bytes) -> Said:
    """Sheet by sheet, a row a line, cells between tabs, dates as dates. Raises BadInput."""
    parts = Parts(data)
    book = parts.xml("xl/workbook.xml")
    if book is None:
        raise BadInput("no workbook", code="document_broken")
    shared = parts.xml("xl/sharedStrings.xml")
    words = [] if shared is None else ["".join(_runs(item)) for item in shared if local(item) == "si"]
    book_of = _Book(words=words, dates=_date_styles(parts.xml("xl/styles.xml")), epoch=_epoch(book))
    lines: list[str] = []
    sheets = list(_sheets(parts, book))
    for title, root in sheets:
        lines += [f"【{title}】", *book_of.rows(root)]
    return _said(parts, "tocsin-xlsx/1", "\n".join(lines), pages=len(sheets))


class _Book:
    """What the cells of all sheets refer to."""

    def __init__(self, *, words: list[str], dates: set[int], epoch: datetime) -> None:
        self._words, self._dates, self._epoch, self._left = words, dates, epoch, CELLS

    def rows(self, root: etree._Element) -> Iterator[str]:
        for row in root.iter("{*}row"):
            cells = [self._cell(cell) for cell in row if local(cell) == "c"]
            self._left -= len(cells)
            if self._left < 0:
                return
            if line := "\t".join(cells).rstrip():
                yield line

    def _cell(self, cell: etree._Element) -> str:
        kind, style = cell.get("t", "n"), int(_digits(cell.get("s")))
        value = "".join(e.text or "" for e in cell if local(e) == "v")
        if kind == "inlineStr":
            return "".join(_runs(cell))
        if kind == "s":
            at = int(_digits(value))
            return self._words[at] if at < len(self._words) else ""
        return self._date(value) if kind == "n" and style in self._dates else value

    def _date(self, value: str) -> str:
        try:
            days = float(value)
        except ValueError:
            return value
        if not 0 < days < _DAYS_MAX:
            return value
        at = self._epoch + timedelta(seconds=round(days * 86_400))
        return (
            f"{at:%H:%M}" if days < 1 else f"{at:%Y-%m-%d}" if days == int(days) else f"{at:%Y-%m-%d %H:%M}"
        )


def _sheets(parts: Parts, book: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    relations = parts.xml("xl/_rels/workbook.xml.rels")
    targets = {} if relations is None else {r.get("Id", ""): str(r.get("Target", "")) for r in relations}
    for sheet in list(book.iter("{*}sheet"))[:100]:
        ids = [str(v) for k, v in sheet.attrib.items() if str(k).endswith("}id")]
        target = targets.get(ids[0] if ids else "", "")
        root = parts.xml(target if target.startswith("/") else f"xl/{target}")
        if root is not None:
            yield str(sheet.get("name", "")), root


def _date_styles(styles: etree._Element | None) -> set[int]:
    """The indexes of cell formats that show a date or a time."""
    if styles is None:
        return set()
    own = {int(_digits(f.get("numFmtId"))): str(f.get("formatCode", "")) for f in styles.iter("{*}numFmt")}
    table = next(iter(styles.iter("{*}cellXfs")), ())
    found = set()
    for number, style in enumerate(table):
        code = int(_digits(style.get("numFmtId")))
        if code in _DATES or (code in own and _DATE_LETTERS.search(_LITERALS.sub("", own[code]))):
            found.add(number)
    return found


def _epoch(book: etree._Element) -> datetime:
    flags = [str(e.get("date1904", "")) for e in book.iter("{*}workbookPr")]
    return _EPOCH_1904 if flags and flags[0] in ("1", "true") else _EPOCH


def _runs(item: etree._Element) -> Iterator[str]:
    """The text of a string item without its pinyin (rPh)."""
    for element in item.iter("{*}t"):
        parent = element.getparent()
        if parent is None or local(parent) != "rPh":
            yield element.text or ""


def _flow(root: etree._Element) -> str:
    """Paragraphs as lines, rows of tables as lines with tabs; Word and PowerPoint call them alike."""
    out: list[str] = []
    cells = 0
    walker: Any = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        name = local(element)
        if event == "start":
            if name in _SKIPPED:
                walker.skip_subtree()
            cells += name == "tc"
            out.append(_word(name, element))
        elif name == "p":
            out.append(" " if cells else "\n")
        elif name == "tc":
            cells -= 1
            out.append("\t")
        elif name == "tr":
            out.append("\n")
    lines = (re.sub(r" *\t *", "\t", line).strip() for line in "".join(out).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _word(name: str, element: etree._Element) -> str:
    if name == "t":
        return element.text or ""
    return {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}.get(name, "")


def _said(parts: Parts, tool: str, text: str, *, pages: int = 0) -> Said:
    names = [name.lower() for name in parts.names]
    has_macros = any(name.endswith("vbaproject.bin") for name in names)
    signatures = [n for n in names if re.fullmatch(r"_xmlsignatures/sig\d*\.xml", n)]
    seals = tuple(Seal(kind="office_signature") for _ in signatures[:20])
    return Said(text=text, tool=tool, pages=pages, seals=seals, findings=("macros",) if has_macros else ())


def _place(name: str) -> int:
    match = _NUMBER.search(name)
    return int(match[1][:6]) if match else 0


def _digits(value: object) -> str:
    text = str(value or "")
    return text if text.isascii() and text.isdigit() and len(text) < 9 else "0"
