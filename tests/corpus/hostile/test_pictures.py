"""Pictures that mean harm, from the citizen's form and the SMTP door to the officer's page (H37)."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from channels.codecs import thumbnail
from domain.errors import BadInput, Unavailable
from domain.report import Report
from duty.thumbnails import Thumbnails
from sandbox.pool import Pool
from store import reports
from store import tables as t
from tests.corpus.mail_hub import DOMAIN, DUTY, open_door
from tests.servers import free_port
from tests.web.api_world import World, served, world
from tests.web.citizen_kit import jpeg as photo_with_position
from tests.web.console_browser import link_for, words
from tests.web.screens import chromium, must_be_accessible, person_at

SCRIPT = b"<script>window.boomed = true</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.boomed = true'>" + SCRIPT + b"</svg>"
PAGE = b"<!doctype html>" + SCRIPT
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\ntrailer<</Root 1 0 R>>"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 60_000, 60_000)
MARK = b"window.boomed"
SAID = {  # what the page says in place of a picture
    "not_a_picture": ("无预览：不是能预览的图片", "No preview: not a picture that can be shown"),
    "picture_too_large": ("无预览：图片尺寸过大", "No preview: the picture is too large"),
    "picture_broken": ("无预览：图片损坏", "No preview: the picture is broken"),
}


def picture(kind: str, size: tuple[int, int] = (900, 600), **more: Any) -> bytes:
    """Left half red, right half blue."""
    made, out = Image.new("RGB", size, "red"), io.BytesIO()
    made.paste("blue", (size[0] // 2, 0, *size))
    made.save(out, kind, **more)
    return out.getvalue()


def png_bomb(side: int) -> bytes:
    """A black PNG of side x side pixels, grey: some 100 KB a gigabyte."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    squeeze = zlib.compressobj(9)
    rows = b"".join(squeeze.compress(bytes(side + 1)) for _ in range(side)) + squeeze.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif_polyglot() -> bytes:
    """A GIF that is also a script: the width is the letters of a comment's beginning, the script follows its end."""
    gif = picture("GIF", (0x2A2F, 4))  # "/*"
    return gif + b"*/=1;" + MARK + b" = true;"


def photo_that_tells() -> bytes:
    """A JPEG that lies on its side, with a position, a comment and a profile, and a script in each."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = SCRIPT.decode()
    exif.get_ifd(0x8825).update({1: "N", 2: (30.0, 16.0, 26.76), 3: "E", 4: (120.0, 9.0, 18.36)})
    return picture("JPEG", exif=exif, comment=SCRIPT, icc_profile=SCRIPT * 20)


@contextmanager
def officer_at(hall: World, port: int, language: str = "zh-CN") -> Iterator[httpx.Client]:
    """An officer's browser at a real socket."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        client.cookies.set("lang", language, domain="127.0.0.1")
        assert (
            client.post(link_for(hall, "officer"), headers={"Sec-Fetch-Site": "same-origin"}).status_code
            == 303
        )
        yield client


def by_form(hall: World, port: int, *files: tuple[str, bytes, str]) -> Report:
    """A citizen's report over a socket, filed."""
    hall.clock.forward(seconds=1)  # the newest report is the one with the greatest id
    answer = httpx.post(
        f"http://127.0.0.1:{port}/report",
        data={"text": "山体滑坡，附照片"},
        files=[("files", file) for file in files],
        headers={"Sec-Fetch-Site": "same-origin"},
        timeout=30,
    )
    assert answer.status_code == 303, words(answer.text)
    return newest(hall)


def newest(hall: World) -> Report:
    hall.file_all()
    rows = hall.hub.store.read(lambda unit: unit.rows(t.report_row.select().order_by(t.report_row.c.id)))
    found = hall.hub.store.read(lambda unit: reports.get(unit, rows[-1].id))
    assert found is not None
    return found


def previews(officer: httpx.Client, report: Report) -> list[str]:
    """What the page's own pieces say, one of each attachment, as htmx fetches them."""
    base = f"/console/reports/{report.id}"
    assert officer.get(base).status_code == 200
    return [officer.get(f"{base}/attachments/{a.sha256}/preview").text for a in report.content.attachments]


def shown(officer: httpx.Client, piece: str) -> tuple[Image.Image, httpx.Response]:
    """The picture that a piece points to, drawn."""
    address = re.search(r'<img src="([^"]+)" width="(\d+)" height="(\d+)"', piece)
    assert address, piece
    answer = officer.get(address[1])
    assert answer.status_code == 200
    drawn = Image.open(io.BytesIO(answer.content))
    assert drawn.size == (int(address[2]), int(address[3]))
    return drawn, answer


def is_harmless(answer: httpx.Response) -> bool:
    head = answer.headers
    return (
        head["content-type"] == "image/jpeg"
        and head["x-content-type-options"] == "nosniff"
        and head["content-security-policy"] == "default-src 'none'; sandbox"
        and head["cache-control"] == "no-store"
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_h37_an_officer_sees_a_picture_drawn_anew_whatever_its_name(quick: World, kind: str) -> None:
    original = picture(kind)
    with served(quick.hub) as port, officer_at(quick, port) as officer:
        report = by_form(quick, port, ("现场.docx", original, "text/html"))
        (piece,) = previews(officer, report)
        drawn, answer = shown(officer, piece)
        assert is_harmless(answer)
        assert (drawn.format, drawn.size) == ("JPEG", (480, 320))
        left, right = drawn.getpixel((100, 160)), drawn.getpixel((380, 160))
        assert isinstance(left, tuple) and left[0] > 200 and left[2] < 60
        assert isinstance(right, tuple) and right[2] > 200 and right[0] < 60
        said = words(officer.get(f"/console/reports/{report.id}").text)
        assert "现场.docx" in said and f"image/{kind.lower()}" in said
        assert 'alt="预览：现场.docx"' in piece
        assert quick.hub.blobs.get(report.content.attachments[0].sha256) == original


def test_h37_nothing_of_a_photo_but_its_pixels_is_served_and_its_position_is_a_hint(quick: World) -> None:
    with served(quick.hub) as port, officer_at(quick, port) as officer:
        report = by_form(quick, port, ("a.jpg", photo_that_tells(), "image/jpeg"))
        drawn, answer = shown(officer, previews(officer, report)[0])
        assert drawn.size == (320, 480)  # upright
        assert not drawn.getexif() and not {"comment", "exif", "icc_profile"} & drawn.info.keys()
        assert MARK not in answer.content and b"Exif" not in answer.content
        (position,) = report.content.facts["position"]
        assert (position.value, position.origin, position.note) == ("30.2741,120.1551", "exif", "a.jpg")
        said = words(officer.get(f"/console/reports/{report.id}").text)
        assert re.search(r"30\.2741,120\.1551\s+\S*照片", said), said


HOSTILE = {
    "svg": ("flood.png", SVG, "image/png", "image/svg+xml", "not_a_picture"),
    "html": ("flood.png", PAGE, "image/png", "text/html", "not_a_picture"),
    "pdf": ("flood.jpg", PDF, "image/jpeg", "application/pdf", "not_a_picture"),
    "heic": ("flood.heic", HEIC, "image/heic", "image/heic", "not_a_picture"),
    "broken": ("flood.jpg", picture("JPEG")[:2000], "image/jpeg", "image/jpeg", "picture_broken"),
    "html in a png": ("flood.png", b"\x89PNG\r\n\x1a\n" + PAGE, "image/png", "image/png", "picture_broken"),
}


@pytest.mark.parametrize("door", ["form", "mail"])
def test_h37_what_is_no_picture_is_evidence_that_no_browser_opens(
    sqlite_model: Path, tmp_path: Path, at: datetime, door: str
) -> None:
    settings = {"smtp_port": free_port(), "email_domain": DOMAIN, "email_relay_host": "127.0.0.1",
                "email_relay_port": 9, "email_relay_tls": "never"}  # fmt: skip
    with (
        world(tmp_path / "data", at, model=sqlite_model, **settings) as hall,
        served(hall.hub) as port,
        officer_at(hall, port) as officer,
        officer_at(hall, port, "en") as reader,
    ):
        report = (
            by_form(hall, port, *(row[:3] for row in list(HOSTILE.values())[:5]))
            if door == "form"
            else by_mail(hall)
        )
        pieces = list(zip(report.content.attachments, previews(officer, report), strict=True))
        assert len(pieces) >= 5
        for kept, piece in pieces:
            name, raw, _, kind, reason = next(
                row for row in HOSTILE.values() if hall.hub.blobs.get(kept.sha256) == row[1]
            )
            assert (kept.media_type, kept.name) == (kind, name)
            assert words(piece) == SAID[reason][0] and "<img" not in piece
            path = f"/console/reports/{report.id}/attachments/{kept.sha256}"
            assert words(reader.get(f"{path}/preview").text) == SAID[reason][1]
            assert officer.get(f"{path}/thumbnail").status_code == 404
            saved = officer.get(path)
            assert saved.content == raw
            assert saved.headers["content-type"] == "application/octet-stream"
            assert saved.headers["content-disposition"].startswith("attachment")
            assert saved.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in saved.headers["content-security-policy"]
        page = words(officer.get(f"/console/reports/{report.id}").text)
        assert all(SAID[reason][0] in page for reason in ("not_a_picture", "picture_broken"))


def by_mail(hall: World) -> Report:
    """The same files through the SMTP door."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.cn", DUTY, "flood"
    mail.set_content("see the pictures")
    for name, raw, declared, _, _ in HOSTILE.values():
        main, _, sub = declared.partition("/")
        mail.add_attachment(raw, maintype=main, subtype=sub, filename=name)
    with open_door(hall.hub) as mails:
        mails.send(mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return newest(hall)


def test_h37_a_picture_that_is_also_a_script_is_shown_without_the_script(quick: World) -> None:
    polyglot = gif_polyglot()
    assert polyglot.startswith(b"GIF87a/*") or polyglot.startswith(b"GIF89a/*")
    with served(quick.hub) as port, officer_at(quick, port) as officer:
        report = by_form(
            quick, port, ("a.gif", polyglot, "image/gif"), ("b.jpg", picture("JPEG") + PAGE, "image/jpeg")
        )
        for piece in previews(officer, report):
            _, answer = shown(officer, piece)
            assert is_harmless(answer) and MARK not in answer.content


def test_h37_a_bomb_of_900_million_pixels_is_never_drawn_and_the_next_picture_is(quick: World) -> None:
    bomb = png_bomb(30_000)
    assert len(bomb) < 2 << 20
    with served(quick.hub) as port, officer_at(quick, port) as officer:
        report = by_form(quick, port, ("a.png", bomb, "image/png"), ("b.png", picture("PNG"), "image/png"))
        first, second = previews(officer, report)
        assert words(first) == SAID["picture_too_large"][0]
        assert shown(officer, second)[0].size == (480, 320)
        assert quick.hub.blobs.get(report.content.attachments[0].sha256) == bomb


@pytest.mark.parametrize(("limits", "reason"), [({"memory_bytes": 160 << 20}, "parser_memory")])
def test_h37_a_picture_that_breaks_a_limit_ends_its_child_alone(
    quick: World, tmp_path: Path, limits: dict[str, Any], reason: str
) -> None:
    large = quick.hub.blobs.put(picture("PNG", (6_300, 6_300)))
    small = quick.hub.blobs.put(picture("PNG"))
    pool = Pool(size=1, **limits)
    try:
        made = Thumbnails(tmp_path / "thumbs", blobs=quick.hub.blobs, pool=pool)
        assert made.get(large, "image/png").reason == reason
        assert made.get(small, "image/png").width == 480
    finally:
        pool.close()
    again = Thumbnails(tmp_path / "thumbs", blobs=quick.hub.blobs, pool=pool)  # both are known: nobody draws
    assert again.get(large, "image/png").reason == reason
    assert again.get(small, "image/png").jpeg.startswith(b"\xff\xd8")
    with pytest.raises(Unavailable):
        again.get(quick.hub.blobs.put(picture("GIF")), "image/gif")


def test_h37_the_largest_picture_that_is_drawn_stays_within_the_childs_limits() -> None:
    pool = Pool(size=1)
    try:
        assert pool.run(thumbnail.draw, picture("PNG", (8_000, 5_000))).value["width"] == 480
        assert pool.run(thumbnail.draw, picture("JPEG", (10_000, 10_000))).value["width"] == 480
        with pytest.raises(BadInput) as refused:
            pool.run(thumbnail.draw, picture("PNG", (8_000, 5_001)))
        assert refused.value.code == "picture_too_large"
    finally:
        pool.close()


def test_h37_half_a_thumbnail_that_a_power_cut_left_is_drawn_again(quick: World) -> None:
    sha256 = quick.hub.blobs.put(picture("PNG"))
    whole = quick.hub.thumbnails.get(sha256, "image/png").jpeg
    (kept,) = [path for path in (quick.hub.settings.data_dir / "thumbs").rglob(sha256)]
    for half in (b"", whole[:2000], bytes(len(whole))):
        kept.write_bytes(half)
        assert quick.hub.thumbnails.known(sha256, "image/png") is None
        assert quick.hub.thumbnails.get(sha256, "image/png").jpeg == whole


def test_h37_a_thumbnail_is_shown_only_with_its_own_report_and_only_to_who_is_logged_in(quick: World) -> None:
    with served(quick.hub) as port, officer_at(quick, port) as officer:
        one = by_form(quick, port, ("a.png", picture("PNG"), "image/png"))
        other = by_form(quick, port, ("b.png", picture("PNG", (300, 200)), "image/png"))
        sha256 = one.content.attachments[0].sha256
        for name in ("preview", "thumbnail"):
            path = f"attachments/{sha256}/{name}"
            assert officer.get(f"/console/reports/{one.id}/{path}").status_code == 200
            assert officer.get(f"/console/reports/{other.id}/{path}").status_code == 404
            away = httpx.get(f"http://127.0.0.1:{port}/console/reports/{one.id}/{path}")
            assert (away.status_code, away.headers["location"]) == (303, "/login")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.mark.parametrize("scripts", [True, False])
def test_h37_the_officers_browser_shows_the_thumbnail_and_runs_no_planted_script(
    quick: World, browser: Browser, scripts: bool
) -> None:
    files = [("山.jpg", photo_with_position(), "image/jpeg"), ("js.gif", gif_polyglot(), "image/gif"),
             *(HOSTILE[name][:3] for name in ("svg", "html", "pdf"))]  # fmt: skip
    with (
        served(quick.hub) as port,
        person_at(browser, quick, port, "officer", java_script_enabled=scripts) as page,
    ):
        report = by_form(quick, port, *files)
        page.goto(f"/console/reports/{report.id}")
        pictures = page.locator(".shot img")
        for n in range(2):
            page.locator(".shot").nth(n).scroll_into_view_if_needed()
        expect(pictures).to_have_count(2)
        for n in range(2):
            pictures.nth(n).scroll_into_view_if_needed()
            expect(pictures.nth(n)).to_have_js_property("complete", True)
            assert int(pictures.nth(n).evaluate("one => one.naturalWidth")) > 0
        expect(page.locator(".shot", has_text="无预览")).to_have_count(3)
        if scripts:
            must_be_accessible(page)
            assert page.evaluate("() => window.boomed === true") is False
        for kept in report.content.attachments:
            path = f"/console/reports/{report.id}/attachments/{kept.sha256}"
            with page.expect_download() as saved:
                page.locator(f'a[href="{path}"]').click()
            assert Path(saved.value.path()).read_bytes() == quick.hub.blobs.get(kept.sha256)
        assert len(page.context.pages) == 1
        if scripts:
            assert page.evaluate("() => window.boomed === true") is False
