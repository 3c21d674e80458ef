"""What the tests of the citizen's form post and read back."""

import io
import re
from typing import Any
from urllib.parse import urlencode

from PIL import Image

from store import reports
from store import tables as t
from tests.web.api_world import World
from tests.web.console_browser import words

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post(hall: World, fields: dict[str, Any], **more: Any) -> Any:
    return hall.client.post("/report", content=urlencode(fields).encode(), headers=FORM, **more)


def code_of(answer: Any) -> str:
    assert answer.status_code == 303, words(answer.text)
    found = re.match(r"/report/r/([0-9A-Z]{8})[A-Za-z0-9_-]{22}\?lang=", answer.headers["location"])
    assert found, answer.headers["location"]
    return f"{found[1][:4]}-{found[1][4:]}"


def filed(hall: World) -> Any:
    """The one report."""
    hall.file_all()
    (row,) = hall.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
    return hall.hub.store.read(lambda unit: reports.get(unit, row.id))


def token_of(page: str) -> str:
    found = re.search(r'name="once" value="([0-9a-f]{32})"', page)
    assert found
    return found[1]


def jpeg() -> bytes:
    """A photo that knows where it was taken."""
    picture, kept = Image.new("RGB", (8, 8)), io.BytesIO()
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (30.0, 16.0, 26.76), 3: "E", 4: (120.0, 9.0, 18.36)})
    picture.save(kept, "JPEG", exif=exif)
    return kept.getvalue()
