"""Where and when a picture says it was taken, read from its EXIF block without decoding a pixel."""

import io
import re
from collections.abc import Mapping
from typing import Any

from PIL import Image

FORMATS = ("JPEG", "PNG", "TIFF")
READ_MAX = 64 << 20  # bytes; a camera's own files stay below
JPEG_HEAD = 128 << 10  # bytes; the block stands in the first segment (CIPA DC-008 §4.7.1)
BLOCK_MAX = 64 << 10  # bytes; an EXIF block is one JPEG segment (CIPA DC-008 §4.7.2)

_IFD_EXIF, _IFD_GPS = 0x8769, 0x8825  # CIPA DC-008 (Exif 2.32) §4.6.3
_TAKEN, _OFFSET, _CHANGED = 0x9003, 0x9011, 0x0132
_LAT_REF, _LAT, _LON_REF, _LON = 1, 2, 3, 4  # §4.6.6
_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")
_ZONE = re.compile(r"[+-]\d\d:\d\d")
_TIFF_FOLLOWS = rb"(?=MM\x00\*|II\*\x00)"
_RAW_BLOCK = {
    "image/heic": re.compile(rb"Exif\x00\x00" + _TIFF_FOLLOWS),
    "image/avif": re.compile(rb"Exif\x00\x00" + _TIFF_FOLLOWS),
    "image/webp": re.compile(rb"EXIF[\s\S]{4}(?:Exif\x00\x00)?" + _TIFF_FOLLOWS),
}


def exif_of(data: bytes, media_type: str) -> dict[str, Any]:
    """Any of ``lat``, ``lon`` (degrees, WGS 84) and ``time`` (local time, with offset when it has one).

    Empty when there is none. The values are the sender's claim. Never raises.
    """
    if not media_type.startswith("image/") or len(data) > READ_MAX:
        return {}
    try:
        tags = _tags(data, media_type)
        return {} if tags is None else _position(tags.get_ifd(_IFD_GPS)) | _time(tags)
    except (
        Exception
    ):  # Pillow raises whatever a broken block makes it stumble over; a hint is not worth a mail
        return {}


def _tags(data: bytes, media_type: str) -> Image.Exif | None:
    if media_type in _RAW_BLOCK:  # Pillow cannot read them, or decodes the picture to do so
        block = _RAW_BLOCK[media_type].search(data)
        tags = Image.Exif()
        tags.load(data[block.end() : block.end() + BLOCK_MAX] if block else b"")
        return tags
    if media_type == "image/jpeg":
        data = data[:JPEG_HEAD]
    if media_type.removeprefix("image/").upper() not in FORMATS:
        return None
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        return picture.getexif()


def _position(gps: Mapping[int, Any]) -> dict[str, Any]:
    lat = _degrees(gps.get(_LAT), gps.get(_LAT_REF), "S")
    lon = _degrees(gps.get(_LON), gps.get(_LON_REF), "W")
    if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180 or (lat, lon) == (0.0, 0.0):
        return {}
    return {"lat": lat, "lon": lon}


def _degrees(value: Any, reference: Any, negative: str) -> float | None:
    """Degrees, minutes, seconds to degrees; 6 decimals are 11 cm. None for what is no finite number."""
    if not isinstance(value, tuple) or len(value) != 3:
        return None
    degrees, minutes, seconds = (float(part) for part in value)
    total = degrees + minutes / 60 + seconds / 3600
    if not -1000 < total < 1000:  # also false for NaN
        return None
    return round(-total if str(reference).strip("\0 ").upper() == negative else total, 6)


def _time(tags: Image.Exif) -> dict[str, Any]:
    inner = tags.get_ifd(_IFD_EXIF)
    match = _TIME.match(str(inner.get(_TAKEN) or tags.get(_CHANGED) or ""))
    if not match or match[1] < "1990":
        return {}
    zone = str(inner.get(_OFFSET, "")).strip("\0 ")
    return {"time": f"{match[1]}-{match[2]}-{match[3]}T{match[4]}{zone if _ZONE.fullmatch(zone) else ''}"}
