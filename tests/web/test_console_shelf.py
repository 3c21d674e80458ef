"""The shelf at the desk: what failed again and again is told with how often, and can be tried once more."""

import re
from datetime import timedelta

import pytest

from domain.errors import NotFound
from domain.person import Role
from domain.report import ScanState
from intake.scan import WAITS
from store import scans, shelf, webhooks
from tests import documents_kit as kit
from tests.web.api_world import World
from tests.web.console_browser import Browser, add_person, bring, enter
from tests.web.test_console_scans import _mail


@pytest.fixture
def officer(quick: World) -> Browser:
    add_person(quick, "officer1", Role.OFFICER)
    return enter(quick, "officer1")


def test_r16_a_file_that_was_given_up_is_looked_into_again_from_the_shelf(
    quick: World, officer: Browser
) -> None:
    report = bring(quick, "email", _mail("a.docx", kit.docx("大坪村三组滑坡")), "message/rfc822")
    kept = {
        path: path.read_bytes()
        for path in (quick.hub.settings.data_dir / "blobs").rglob("*")
        if path.is_file()
    }
    for path in kept:
        path.unlink()
    (row,) = quick.hub.store.read(lambda u: scans.due(u, quick.clock()))
    for _ in range(len(WAITS) + 1):
        quick.hub.jobs.scan_file(row)
        quick.clock.at += max(WAITS)
    officer.get("/console?lang=en")
    page = officer.get("/console/shelf").text
    assert "Look into an attachment" in page and "Try again" in page
    (shelf_id,) = re.findall(r"/console/shelf/(\w+)/again", page)
    for path, data in kept.items():
        path.write_bytes(data)
    again = officer.post(f"/console/shelf/{shelf_id}/again")
    assert again.headers["location"] == "/console/shelf?done=again" and quick.rings[-1] == ("scan_file", row)
    quick.hub.jobs.scan_file(row)
    (found,) = quick.hub.store.read(lambda u: scans.of_report(u, report)).values()
    assert found.state is ScanState.SCANNED
    assert officer.post(f"/console/shelf/{shelf_id}/again").status_code == 409
    assert officer.post("/console/shelf/shf_x/again").status_code == 404


def test_r16_a_job_that_breaks_is_on_the_shelf_once_with_how_often(quick: World, officer: Browser) -> None:
    at = quick.clock()

    def work(unit) -> str:
        made = webhooks.add(unit, "示例省气象局", "http://127.0.0.1:9/x", "whsec_x", at)
        unit.vault.destroy(unit.connection, made, at)
        return webhooks.expect(unit, made, "1", {}, at)

    call = quick.hub.store.run(work)

    def tell() -> None:
        with pytest.raises(NotFound):
            quick.hub.jobs.tell_webhook(call)
        quick.clock.at += timedelta(hours=1)

    for _ in range(3):
        tell()
    (left,) = quick.hub.store.read(shelf.pending)
    assert (left.kind, left.origin, left.count) == ("job", f"tell_webhook:{call}", 3)
    page = officer.get("/console/shelf").text
    assert "3 次" in page and "后台处理" in page
    assert officer.post(f"/console/shelf/{left.id}/again").status_code == 303
    assert quick.rings[-1] == ("tell_webhook", call)
    tell()
    assert [row.count for row in quick.hub.store.read(shelf.pending)] == [1]


def test_only_the_duty_room_has_things_tried_again(quick: World) -> None:
    shelf_id = quick.hub.store.run(
        lambda u: shelf.put(u, "study", "study_failed", origin="rep_x", at=quick.clock())
    )
    add_person(quick, "auditor1", Role.AUDITOR)
    auditor = enter(quick, "auditor1")
    assert "/again" not in auditor.get("/console/shelf").text
    assert auditor.post(f"/console/shelf/{shelf_id}/again").status_code == 403
