"""A report upwards (信息专报) on A4 as PDF: red head, number, signer, title, body.

Chinese by the standard font of PDF readers (STSong-Light, Adobe-GB1): nothing is embedded, so a page is a few kilobytes
over a fax line or a modem.
"""

import io
from collections.abc import Iterator
from html import escape
from typing import Any

from reportlab.lib.colors import Color
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, HRFlowable, Paragraph, SimpleDocTemplate, Spacer

FONT = "STSong-Light"
_RED = Color(0.75, 0, 0)


def pdf(words: dict[str, str]) -> bytes:
    """The bytes. `words`: head, number, mark, to, title, body, missing, signer, signed, office, day; all but head,
    title and body may be ''. The same words give the same bytes."""
    if FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    out = io.BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=28 * mm, rightMargin=26 * mm, topMargin=30 * mm, bottomMargin=30 * mm,
        title=words["title"], author=words.get("office", ""), invariant=1,
    )  # fmt: skip
    page.build(list(_flow(words)))
    return out.getvalue()


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(name, fontName=FONT, fontSize=size, leading=size * 1.6, wordWrap="CJK", **more)


def _flow(words: dict[str, str]) -> Iterator[Flowable]:
    def said(name: str) -> str:
        return escape(words.get(name, ""), quote=False)

    if words.get("mark"):
        yield Paragraph(said("mark"), _style("mark", 12, alignment=TA_CENTER))
    yield Paragraph(said("head"), _style("head", 30, alignment=TA_CENTER, textColor=_RED))
    yield Paragraph(said("number"), _style("number", 14, alignment=TA_CENTER))
    yield Paragraph(f"{said('office')}　　{said('signer')}", _style("line", 13))
    yield HRFlowable(width="100%", thickness=1.5, color=_RED, spaceAfter=8 * mm, spaceBefore=2 * mm)
    yield Paragraph(said("title"), _style("title", 19, alignment=TA_CENTER, spaceAfter=6 * mm))
    if words.get("to"):
        yield Paragraph(f"{said('to')}：", _style("to", 15))
    for line in words["body"].split("\n"):
        yield Paragraph(escape(line, quote=False) or "&nbsp;", _style("body", 15, firstLineIndent=30))
    if words.get("missing"):
        yield Paragraph(said("missing"), _style("missing", 13, spaceBefore=6 * mm))
    yield Spacer(1, 10 * mm)
    for name in ("office", "day"):
        yield Paragraph(said(name), _style(name, 15, alignment=TA_RIGHT))
    if words.get("mark"):
        yield Paragraph(said("mark"), _style("mark", 12, alignment=TA_CENTER, spaceBefore=8 * mm))
