"""A small picture drawn anew from a stranger's picture: nothing of the original's bytes goes into it."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageOps

from channels.codecs import pixels
from channels.codecs.files import sniff
from domain.errors import BadInput

LONGEST = 480  # pixels of the longer side: enough to judge a photo in a table, about 30 KB
DRAWN = 40_000_000  # pixels of one that is decoded whole: 4 bytes each are a third of the child's memory
QUALITY = 80
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
_SMALL_FIRST = ("RGB", "RGBA", "L", "CMYK")  # modes that can be made smaller as they are


def draw(data: bytes, _options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: ``{"width", "height"}`` and one JPEG without metadata, upright, on white.

    The size is read before anything is decoded; of several frames the first is drawn. Raises BadInput
    not_a_picture, picture_too_large or picture_broken.
    """
    media_type = sniff(data)
    if media_type not in FORMATS:
        raise BadInput("no picture that is drawn", code="not_a_picture")
    _must_be_small(pixels.size_of(data, media_type), media_type)
    try:
        with Image.open(io.BytesIO(data), formats=(FORMATS[media_type],)) as picture:
            _must_be_small(picture.size, media_type)  # the header of a GIF may say less than its frames
            return _written(_upright(_made_small(picture)))
    except (BadInput, MemoryError):
        raise
    except Exception:  # Pillow raises whatever a broken picture makes it stumble over
        raise BadInput("the picture cannot be decoded", code="picture_broken") from None


def _must_be_small(size: tuple[int, int] | None, media_type: str) -> None:
    """A JPEG is decoded at a fraction of its size (ITU-T T.81: by DCT blocks); the others only whole."""
    if size is None:
        raise BadInput("no size in the header", code="picture_broken")
    most = pixels.LARGEST if media_type == "image/jpeg" else DRAWN
    if size[0] * size[1] > most:
        raise BadInput(f"{size[0]} x {size[1]} pixels", code="picture_too_large")


def _made_small(picture: Image.Image) -> Image.Image:
    picture.draft("RGB", (LONGEST, LONGEST))
    small = picture if picture.mode in _SMALL_FIRST else picture.convert("RGBA")
    small.thumbnail((LONGEST, LONGEST))
    return small


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as the camera says; a broken EXIF block turns nothing."""
    with contextlib.suppress(Exception):
        return ImageOps.exif_transpose(picture)
    return picture


def _written(picture: Image.Image) -> tuple[dict[str, Any], list[bytes]]:
    """Only the pixels go over: Pillow writes a comment of the original into a copy that it saves."""
    clean = Image.new("RGB", picture.size, "white")
    colours = picture.convert("RGBA")
    clean.paste(colours, mask=colours)
    out = io.BytesIO()
    clean.save(out, "JPEG", quality=QUALITY)
    return {"width": clean.width, "height": clean.height}, [out.getvalue()]
