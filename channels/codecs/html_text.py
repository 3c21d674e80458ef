"""HTML of a mail as safe HTML, and as the text a person would read."""

import html
import re
from collections import Counter

import nh3

READ_MAX = 1 << 20  # characters; longer pages are cut, the original is kept
TAGS_MAX = 20_000  # a parser's time grows with their square where they are misnested: 20,000 take under 1 s
DEEP = 2_000  # elements left open; an honest page leaves a few

_BLOCKS = {"blockquote", "div", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "p", "pre"}
_BLOCKS |= {"table", "tr", "ul", "center"}
_WORDS = {"a", "b", "br", "code", "em", "hr", "i", "img", "span", "strong", "sub", "sup", "u"}
_CELLS = {"tbody", "td", "tfoot", "th", "thead"}
_TAGS = frozenset(_BLOCKS | _WORDS | _CELLS)
_ATTRIBUTES = {"a": {"href"}, "img": {"alt"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
_DROPPED = frozenset({"script", "style", "title", "noscript", "template", "iframe", "object", "svg", "math"})
_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_PIECE = re.compile(r'<(/?)([a-z][a-z0-9]*)((?:\s+[a-z-]+="[^"]*")*)\s*/?>|([^<]+)|<')
_ANY_TAG = re.compile(r"<[^<>]*>")
_LINE_END = re.compile(r"</(?:p|div|tr|li|h[1-6])\s{0,10}>|<br\b[^<>]{0,100}>", re.IGNORECASE)
_TAG_NAME = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]{0,20})")
_VOID = {"br", "hr", "img", "meta", "link", "input", "col", "wbr"}
_NEVER_CLOSED = _VOID | {"p", "li", "td", "th", "tr", "dt", "dd"}
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
_HREF = re.compile(r'href="([^"]*)"')
_ALT = re.compile(r'alt="([^"]*)"')


def safe_html(page: str) -> str:
    """`page` with listed tags only: no script, style or picture, no address but web, mail, telephone."""
    page = page[:READ_MAX]
    if _is_too_deep(page):
        return _without_tags(page)
    return nh3.clean(
        page,
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED),
        attributes=_ATTRIBUTES,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )


def text_of(safe: str) -> str:
    """The text of what safe_html() returned: a line for each block, list marks, and where links lead."""
    lines: list[str] = [""]
    links: list[tuple[str, int, int]] = []
    rows: list[
        list[int] | None
    ] = []  # of each open row the lines where its cells begin; None: it holds another
    depth_of_pre = 0
    for match in _PIECE.finditer(safe):
        closing, tag, attributes, text = match.groups()
        if tag is None:
            _add(lines, html.unescape(text or "<"), is_kept=depth_of_pre > 0)
            continue
        if tag == "pre":
            depth_of_pre = max(0, depth_of_pre + (-1 if closing else 1))
        if tag == "a":
            _link(lines, links, attributes, is_closing=bool(closing))
        elif tag in _BLOCKS:
            _break(lines, tag, is_closing=bool(closing))
            if tag == "tr":
                _row(lines, rows, is_closing=bool(closing), is_linked=bool(links))
        elif tag in ("td", "th") and rows:
            _cell(lines, rows[-1], is_closing=bool(closing))
        else:
            _inline(lines, tag, attributes)
    text = "\n".join(line.strip() if not line.startswith("\x00") else line[1:].rstrip() for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text.replace("\x00", "")).strip()


def _without_tags(page: str) -> str:
    """Line ends kept, everything else between angle brackets dropped; linear in any page."""
    marked = _LINE_END.sub("\x01", page.replace("\x01", ""))
    text = html.unescape(_ANY_TAG.sub(" ", marked))
    return html.escape(text).replace("\x01", "<br>")


def _add(lines: list[str], text: str, *, is_kept: bool) -> None:
    text = text.replace("\x00", "")
    if is_kept:
        first, *rest = text.replace("\r", "").split("\n")
        lines[-1] += first
        lines.extend("\x00" + line for line in rest)  # the mark keeps the blanks of a preformatted line
    else:
        text = _SPACE.sub(" ", text)
        lines[-1] += text.lstrip() if not lines[-1] or lines[-1].endswith(" ") else text


def _break(lines: list[str], tag: str, *, is_closing: bool) -> None:
    if lines[-1].strip():
        lines.append("")
    if tag in ("p", "h1", "h2", "h3", "h4", "blockquote") and is_closing:
        lines.append("")
    if tag == "li" and not is_closing:
        lines[-1] = "- "


def _row(lines: list[str], rows: list[list[int] | None], *, is_closing: bool, is_linked: bool) -> None:
    """A row of a table becomes one line when each cell is one: Word and WPS put a paragraph into every cell.

    A row that holds a table, or a page laid out in cells, stays as it is.
    """
    if not is_closing:
        rows[-1:] = [None] * bool(rows)
        rows.append([])
        return
    starts = rows.pop() if rows else None
    if not starts or len(starts) == 1 or is_linked:
        return
    stops = [*starts[1:], len(lines)]
    cells = [
        [line.strip() for line in lines[a:b] if line.strip()] for a, b in zip(starts, stops, strict=True)
    ]
    if all(len(cell) <= 1 for cell in cells):
        lines[starts[0] :] = ["\t".join("".join(cell) for cell in cells), ""]


def _cell(lines: list[str], starts: list[int] | None, *, is_closing: bool) -> None:
    if is_closing:
        return
    if lines[-1].strip():
        lines.append("")
    if starts is not None:
        starts.append(len(lines) - 1)


def _inline(lines: list[str], tag: str, attributes: str) -> None:
    if tag in ("br", "hr"):
        lines.append("")
    elif tag in ("td", "th") and lines[-1].strip() and not lines[-1].endswith("\t"):
        lines[-1] = lines[-1].rstrip() + "\t"
    elif tag == "img" and (alt := _ALT.search(attributes)) and alt[1].strip():
        _add(lines, f"[{html.unescape(alt[1])[:100]}]", is_kept=False)


def _link(lines: list[str], links: list[tuple[str, int, int]], attributes: str, *, is_closing: bool) -> None:
    """After a link stands its target, unless the text shows it already."""
    if not is_closing:
        found = _HREF.search(attributes)
        links.append((html.unescape(found[1])[:500] if found else "", len(lines), len(lines[-1])))
        return
    if not links:
        return
    target, line, column = links.pop()
    shown = lines[line - 1][column:] + "".join(lines[line : line + 20])
    bare = target.removeprefix("mailto:").removeprefix("tel:").rstrip("/")
    if bare and shown.strip() and bare not in shown and bare.split("://")[-1] not in shown:
        lines[-1] = lines[-1].rstrip() + f" ({target})"


def _is_too_deep(page: str) -> bool:
    """Whether the page was made to keep a parser busy; then its tags are removed without parsing it."""
    names = _TAG_NAME.findall(page)
    left_open = Counter(name.lower() for slash, name in names if not slash)
    left_open.subtract(name.lower() for slash, name in names if slash)
    return len(names) > TAGS_MAX or any(
        count > DEEP for name, count in left_open.items() if name not in _NEVER_CLOSED
    )
