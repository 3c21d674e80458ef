"""A fax as a file or in a mail of a gateway: how many pages, from which number, and each page drawn anew to be read."""

import io
import re
from collections.abc import Mapping
from typing import Any

import pypdfium2 as pdfium
from PIL import Image

from channels.codecs import document_pdf, mail, pixels
from channels.codecs.files import sniff
from channels.codecs.plain_text import one_line
from domain.errors import BadInput

TIFF, PDF = "image/tiff", "application/pdf"
PAGES_MAX = 500  # that are counted: a fax has a few, a book none
LONGEST = 1_754  # pixels of an A4 page at 150 dpi: print of 8 points can be read
DRAWN = 80_000_000  # pixels that are decoded: A3 at 400 dpi in one bit is 31 million
QUALITY = 70
_PICTURES = ("image/jpeg", "image/png")
_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION = (
    270,
    282,
    283,
)  # TIFF 6.0 §8; HylaFAX writes the caller's number into the first
_NUMBER = re.compile(r"(?<![\dA-Za-z])\+?\d[\d ()-]{5,18}\d(?![\dA-Za-z])")
_IN_NAME = re.compile(r"(?<!\d)(\+?\d{7,16})(?!\d)")
_MOMENT = re.compile(
    r"(?:19|20)\d{6}(?:\d{4}|\d{6})?"
)  # a date, or a moment, as fax servers put it into names


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox; `options`: ``name`` of the file. One blob, the file itself.

    Answers ``{"pages", "number", "files", "findings"}``. Raises BadInput: not_a_fax, fax_broken, document_broken,
    document_encrypted.
    """
    name = one_line(str(options.get("name", "")), limit=200) or "fax"
    media_type = sniff(raw)
    pages, number = _pages(raw, media_type), ""
    if media_type == TIFF:
        number = _described(raw)
    file = {"blob": 0, "name": name, "media_type": media_type, "declared_type": "", "size": len(raw), "is_inline": False,
            "exif": {}}  # fmt: skip
    return {"pages": pages, "number": number or number_in(name), "files": [file], "findings": []}, [raw]


def read_mail(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: what mail.read() says, with ``pages`` of all faxes in it and the ``number`` of its subject."""
    told, blobs = mail.read(raw, options)
    pages = 0
    for file in told["attachments"]:
        if file["media_type"] in (TIFF, PDF):
            try:
                pages += _pages(blobs[file["blob"]], file["media_type"])
            except BadInput as error:
                told["findings"].append(error.code)
    names = " ".join(str(file["name"]) for file in told["attachments"])
    found = _NUMBER.search(told["subject"])
    return {**told, "pages": pages, "number": found[0] if found else number_in(names)}, blobs


def draw(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: page ``page`` (from 1) of a TIFF or PDF as one JPEG of our own, at most 1,754 pixels long.

    Raises BadInput: not_a_picture, no_such_page, picture_too_large, picture_broken, document_broken, document_encrypted.
    """
    media_type, page = sniff(data), int(options["page"])
    if media_type not in (TIFF, PDF):
        raise BadInput("no pages that are drawn", code="not_a_picture")
    try:
        picture = _of_tiff(data, page) if media_type == TIFF else _of_pdf(data, page)
    except (BadInput, MemoryError):
        raise
    except Exception:  # Pillow and PDFium raise whatever a broken page makes them stumble over
        raise BadInput("the page cannot be drawn", code="picture_broken") from None
    out = io.BytesIO()
    clean = Image.new("L", picture.size, "white")  # only the pixels go over
    clean.paste(picture.convert("L"))
    clean.save(out, "JPEG", quality=QUALITY)
    return {"width": clean.width, "height": clean.height}, [out.getvalue()]


def number_in(name: str) -> str:
    """The telephone number in the name of a file, which is no date; '' without one."""
    return next((found for found in _IN_NAME.findall(name) if not _MOMENT.fullmatch(found)), "")


def count(data: bytes) -> int:
    """The pages of a TIFF. Raises BadInput(fax_broken)."""
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as picture:
            pages = 1
            while pages < PAGES_MAX:
                try:
                    picture.seek(pages)
                except EOFError:
                    break
                pages += 1
            return pages
    except MemoryError:
        raise
    except Exception:
        raise BadInput("a damaged TIFF", code="fax_broken") from None


def _pages(data: bytes, media_type: str) -> int:
    if media_type == TIFF:
        return count(data)
    if media_type == PDF:
        with document_pdf.opened(data) as document:
            return len(document)
    if media_type in _PICTURES and pixels.size_of(data, media_type):
        return 1
    raise BadInput("neither TIFF nor PDF", code="not_a_fax")


def _described(data: bytes) -> str:
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as picture:
        tags: Any = getattr(picture, "tag_v2", {})
        found = _NUMBER.search(one_line(str(tags.get(_DESCRIPTION, "")), limit=200))
    return found[0] if found else ""


def _of_tiff(data: bytes, page: int) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as picture:
        if not 1 <= page <= PAGES_MAX:
            raise BadInput("no such page", code="no_such_page")
        try:
            picture.seek(page - 1)
        except EOFError:
            raise BadInput("no such page", code="no_such_page") from None
        if picture.width * picture.height > DRAWN:
            raise BadInput(f"{picture.width} x {picture.height} pixels", code="picture_too_large")
        tags: Any = getattr(picture, "tag_v2", {})
        across, down = float(tags.get(_X_RESOLUTION, 1) or 1), float(tags.get(_Y_RESOLUTION, 1) or 1)
        stretch = (
            across / down if 0.2 < across / down < 5 else 1.0
        )  # ITU-T T.4: 204 x 98 dots an inch, or 204 x 196
        width, height = picture.width, picture.height * stretch
        scale = min(LONGEST / max(width, height), 1)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        return picture.convert("L").resize(size, Image.Resampling.BOX)


def _of_pdf(data: bytes, page: int) -> Image.Image:
    with document_pdf.opened(data) as document:
        if not 1 <= page <= min(len(document), PAGES_MAX):
            raise BadInput("no such page", code="no_such_page")
        one: pdfium.PdfPage = document[page - 1]
        width, height = one.get_size()
        if width <= 0 or height <= 0:
            raise BadInput("a page without size", code="picture_broken")
        picture: Image.Image = one.render(scale=LONGEST / max(width, height), grayscale=True).to_pil()
        return picture.copy()
