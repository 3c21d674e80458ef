"""The words of a PDF, and its pages as pictures of our own making, by PDFium."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import pypdfium2 as pdfium
from pypdfium2 import raw

from channels.codecs.document_said import Said, Seal
from domain.errors import BadInput

PAGES = 200  # whose words are read
TEXT_ENOUGH = 250_000  # characters; no more is kept of one document
TOOL = f"pypdfium2/{pdfium.version.PYPDFIUM_INFO} pdfium/{pdfium.version.PDFIUM_INFO}"


def pdf(data: bytes) -> Said:
    """Page after page. Raises BadInput: document_encrypted, document_broken."""
    with opened(data) as document:
        texts: list[str] = []
        count = len(document)
        for number in range(min(count, PAGES)):
            texts.append(_words(document, number))
            if sum(map(len, texts)) > TEXT_ENOUGH:
                break
        return Said(
            text="\n\n".join(filter(None, texts)), tool=TOOL, pages=count, seals=tuple(_seals(document)),
            findings=tuple(_findings(document)), reason="pictures_only",
        )  # fmt: skip


@contextmanager
def opened(data: bytes) -> Iterator[pdfium.PdfDocument]:
    """The document, closed afterwards. Raises BadInput."""
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        is_closed = getattr(error, "err_code", None) in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)
        code = "document_encrypted" if is_closed or "password" in str(error).lower() else "document_broken"
        raise BadInput("the PDF does not open", code=code) from None
    try:
        yield document
    finally:
        document.close()


def _words(document: pdfium.PdfDocument, number: int) -> str:
    try:
        page = document[number]
        text = page.get_textpage().get_text_range()
    except pdfium.PdfiumError:
        return ""
    page.close()
    return str(text).strip()


def _seals(document: pdfium.PdfDocument) -> Iterator[Seal]:
    for number in range(min(max(raw.FPDF_GetSignatureCount(document.raw), 0), 20)):
        signature = raw.FPDF_GetSignatureObject(document.raw, number)
        if signature:
            buffer = ctypes.create_string_buffer(64)
            length = raw.FPDFSignatureObj_GetTime(signature, buffer, 64)
            at = buffer.raw[: max(min(length, 64) - 1, 0)].decode("ascii", "replace")
            yield Seal(kind="pdf_signature", at=at)


def _findings(document: pdfium.PdfDocument) -> Iterator[str]:
    if raw.FPDFDoc_GetJavaScriptActionCount(document.raw) > 0:
        yield "script"
    if raw.FPDFDoc_GetAttachmentCount(document.raw) > 0:
        yield "files_inside"
