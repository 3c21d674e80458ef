"""The files that came with a report: to be saved as they are, or seen small as drawn anew."""

import re
from urllib.parse import quote

from starlette.responses import Response

from domain.errors import NotFound, Unavailable
from domain.report import Attachment
from store import blobs, reports
from store.unit import Unit
from web.console.visit import Visit
from web.page import HEADERS

_ALONE = "default-src 'none'; sandbox"  # whatever a browser takes the bytes for, they run and fetch nothing


def attachment(visit: Visit) -> Response:
    """A file that came with the report; only one that belongs to it."""
    file = _file(visit)
    return download(visit.hub.blobs.get(file.sha256), file.name, file.sha256)


def preview(visit: Visit) -> Response:
    """The piece of the report's page that shows one picture, drawn now, or says why there is none."""
    file = _file(visit)
    try:
        picture = visit.hub.thumbnails.get(file.sha256, file.media_type)
    except Unavailable:
        picture = None  # the piece asks again
    base = f"/console/reports/{visit.part('id')}"
    return visit.fragment("preview.html", base=base, file=file, picture=picture, again="load delay:2s")


def thumbnail(visit: Visit) -> Response:
    """The picture itself, of our own making; never a byte of the sender's (H37)."""
    file = _file(visit)
    picture = visit.hub.thumbnails.get(file.sha256, file.media_type)
    if not picture.jpeg:
        raise NotFound("no preview")
    headers = {**HEADERS, "Content-Security-Policy": _ALONE, "Content-Disposition": "inline"}
    return Response(picture.jpeg, 200, headers, media_type="image/jpeg")


def download(body: bytes, name: str, sha256: str) -> Response:
    """Bytes that a browser stores: unknown type, attachment, no sniffing, no rendering (H37)."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80] or "file"
    shown = quote(re.sub(r"[\x00-\x1f\x7f/\\]", "_", name)[:120], safe="")
    headers = {
        **HEADERS,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{shown}",
        "Content-Security-Policy": _ALONE,
        "X-Content-SHA256": sha256,
    }
    return Response(body, 200, headers, media_type="application/octet-stream")


def _file(visit: Visit) -> Attachment:
    """Raises NotFound for a file of another report, or of none."""
    sha256 = visit.part("sha256")

    def work(unit: Unit) -> Attachment:
        report = reports.get(unit, visit.part("id"))
        if report is None or not blobs.is_of_report(unit, report.id, sha256):
            raise NotFound("no such file")
        unnamed = Attachment(sha256=sha256, name=sha256, media_type="", declared_type="", size=0)
        return next((a for a in report.content.attachments if a.sha256 == sha256), unnamed)

    return visit.read(work)
