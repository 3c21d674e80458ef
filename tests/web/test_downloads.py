"""Strangers' files on a host of their own: by a link of a minute, without a cookie, and nothing else answers there (H18)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from domain.errors import NotFound
from domain.person import Role
from hub import refusals
from tests.corpus.hostile.raw_http import Said, get
from tests.servers import nginx
from tests.web.api_world import World, served, settings_of, world
from tests.web.console_browser import add_person, bring, enter
from web import downloads
from web.downloads import Ticket

DESK, FILES = "desk.example", "files.example.gov.cn"
NAME, EVIL = "报告\u202e<b>.html", b"<html><script>document.cookie</script></html>"


@pytest.fixture
def hub(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[tuple[World, int]]:
    with world(
        tmp_path / "data", at, model=sqlite_model, base_url=f"http://{DESK}", files_url=f"http://{FILES}"
    ) as made, served(made.hub) as port:  # fmt: skip
        yield made, port


def _report(made: World) -> tuple[str, str]:
    """A report with an evil page as its file: (report, SHA-256 of the file)."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.cn", "d@e.cn", "x"
    mail.set_content("详见附件")
    mail.add_attachment(EVIL, maintype="text", subtype="html", filename=NAME)
    report = bring(made, "email", mail.as_bytes(), "message/rfc822")
    (file,) = made.get("officer", f"/v1/reports/{report}").json()["attachments"]
    return report, file["sha256"]


def _sent_to(made: World, path: str) -> str:
    """Where an officer's browser is sent for it."""
    browser = enter(made, "officer1")
    answer = browser.get(path)
    assert answer.status_code == 303
    assert EVIL not in answer.content
    place = answer.headers["location"]
    assert place.startswith(f"http://{FILES}/f/")
    return place.removeprefix(f"http://{FILES}")


def _is_saved(said: Said) -> bool:
    head = said.head
    return (
        head["content-type"] == "application/octet-stream" and head["content-disposition"].startswith("attachment; ")
        and head["x-content-type-options"] == "nosniff" and "sandbox" in head["content-security-policy"]
        and "set-cookie" not in head and head["cache-control"] == "no-store"
    )  # fmt: skip


def test_h18_a_download_leaves_from_another_host_name_by_a_link_of_a_minute(hub: tuple[World, int]) -> None:
    made, port = hub
    add_person(made, "officer1", Role.OFFICER)
    report, sha256 = _report(made)
    for path in (f"/console/reports/{report}/attachments/{sha256}", f"/console/reports/{report}/original"):
        link = _sent_to(made, path)
        said = get(port, link, "Cookie: tocsin=anything; lang=en", host=f"{FILES}:{port}")
        assert said.status == 200
        assert EVIL in said.body or b"multipart/mixed" in said.body
        assert _is_saved(said)
        assert get(port, link, host=DESK).status == 404
        assert get(port, link, host="evil.example").status == 421
        assert get(port, link, host=FILES, method="POST").status == 405
        made.clock.forward(seconds=59)
        assert get(port, link, host=FILES).status == 200
        made.clock.forward(seconds=1)
        assert get(port, link, host=FILES).status == 404


ELSEWHERE = (
    "/", "/login", "/console", "/v1/me", "/v1/reports", "/report", "/public/alerts.atom", "/metrics", "/hooks/sms/twilio",
    "/healthz", "/f/", "/f/a.b", "/f/x", "/console/static/style.css",
)  # fmt: skip


def test_h18_nothing_but_downloads_answers_on_the_host_of_files(hub: tuple[World, int]) -> None:
    _, port = hub
    for path in ELSEWHERE:
        said = get(port, path, "Cookie: tocsin=x", host=FILES)
        assert (said.status, "set-cookie" in said.head) == (404, False), path


def test_h18_a_link_that_was_touched_in_any_letter_opens_nothing(hub: tuple[World, int]) -> None:
    made, port = hub
    add_person(made, "officer1", Role.OFFICER)
    report, sha256 = _report(made)
    link = _sent_to(made, f"/console/reports/{report}/attachments/{sha256}")
    body, _, mac = link.removeprefix("/f/").partition(".")
    for place in range(0, len(body), 7):
        other = "A" if body[place] != "A" else "B"
        assert get(port, f"/f/{body[:place]}{other}{body[place + 1 :]}.{mac}", host=FILES).status == 404
    for wrong in (f"{body}.", f"{body}.{mac[:-4]}", f"{body}.{mac}AAAA", mac, f".{mac}", "中"):
        assert get(port, f"/f/{wrong}", host=FILES).status in (400, 404)


def test_h18_every_part_of_a_link_is_under_its_mac(at: datetime) -> None:
    whole = Ticket(
        what="blob", id="a" * 64, name="x", sha256="a" * 64, who="per_1", until=int(at.timestamp()) + 60
    )
    token = downloads.write(b"k", whole)
    assert downloads.read(b"k", token, at) == whole
    mac = token.partition(".")[2]
    for change in (
        {"what": "report"},
        {"id": "b"},
        {"name": "y"},
        {"sha256": "c"},
        {"who": "per_2"},
        {"until": whole.until + 1},
    ):
        forged = downloads.write(b"k", replace(whole, **change)).partition(".")[0]
        with pytest.raises(NotFound):
            downloads.read(b"k", f"{forged}.{mac}", at)
    with pytest.raises(NotFound):
        downloads.read(b"another key", token, at)


def test_h18_without_a_host_of_files_the_desk_gives_them_as_downloads(tmp_path: Path, at: datetime) -> None:
    with world(tmp_path / "data", at) as made:
        add_person(made, "officer1", Role.OFFICER)
        report, sha256 = _report(made)
        answer = enter(made, "officer1").get(f"/console/reports/{report}/attachments/{sha256}")
        assert answer.content == EVIL
        assert answer.headers["content-type"] == "application/octet-stream"
        assert re.match(r"attachment; ", answer.headers["content-disposition"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(("code", "more"), [
    ("files_host", {"files_url": "http://127.0.0.1:9000"}), ("files_host", {"files_url": "http://a.cn", "public_url": "http://a.cn"}),
    ("files_host", {"files_url": "http://A.cn", "allowed_hosts": "b.cn, a.cn"}), ("files_url", {"files_url": "files.cn"}),
    ("files_url", {"files_url": "http://files.cn/x"}), ("files_cleartext", {"files_url": "http://f.cn", "base_url": "https://d.cn"}),
])  # fmt: skip
def test_h18_a_host_of_files_that_is_none_of_its_own_is_refused(
    tmp_path: Path, code: str, more: dict[str, str]
) -> None:
    assert code in [found for found, _ in refusals.faults(settings_of(tmp_path, **more), None)]


@pytest.mark.faults
def test_h18_the_shipped_server_lets_downloads_through_and_nothing_else(
    hub: tuple[World, int], tmp_path: Path
) -> None:
    made, port = hub
    add_person(made, "officer1", Role.OFFICER)
    report, sha256 = _report(made)
    link = _sent_to(made, f"/console/reports/{report}/attachments/{sha256}")
    with nginx(tmp_path, tmp_path, files=port) as front:
        said = get(front, link, "Cookie: tocsin=x", host=FILES)
        assert (said.status, said.body) == (200, EVIL)
        assert _is_saved(said)
        for path in ("/", "/login", "/v1/me", "/console", "/f/../login"):
            assert get(front, path, host=FILES).status in (400, 404)
        assert get(front, link, host=FILES, method="POST").status == 403
