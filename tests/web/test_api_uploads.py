"""Attachments in parts (tus 1.0.0): they go on where they broke off, and what is whole is attached once."""

import base64
import hashlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import Conflict
from domain.further import UploadState
from intake.uploads import LARGEST
from store import journal, reports, shelf, uploads
from store import tables as t
from store.parts import Parts
from tests.web.api_world import World, served
from tests.web.citizen_kit import jpeg

TUS = {"Tus-Resumable": "1.0.0"}
DATA = jpeg() + os.urandom(300_000)


def begin(hall: World, *, size: int = len(DATA), name: str = "现场.jpg") -> str:
    report_id = hall.post("department", "/v1/reports", {"text": "滑坡"}).json()["id"]
    hall.file_all()
    answer = announce(hall, report_id, size, name=name)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def announce(
    hall: World, report_id: str, size: int, *, name: str = "a", key: str = "u", who: str = "department"
) -> Any:
    meta = f"filename {base64.b64encode(name.encode()).decode()},filetype {base64.b64encode(b'image/jpeg').decode()}"
    headers = hall.headers(
        who, **TUS, **{"Upload-Length": str(size), "Upload-Metadata": meta, "Idempotency-Key": key}
    )
    return hall.client.post(f"/v1/reports/{report_id}/attachments", headers=headers)


def patch(hall: World, path: str, offset: int, data: bytes, *, who: str = "department", **more: str) -> Any:
    kind = "application/offset+octet-stream"
    headers = hall.headers(who, **TUS | {"Upload-Offset": str(offset), "Content-Type": kind} | more)
    return hall.client.patch(path, content=data, headers=headers)


def offset(hall: World, path: str) -> int:
    answer = hall.client.head(path, headers=hall.headers("department", **TUS))
    assert answer.status_code == 200 and answer.headers["Tus-Resumable"] == "1.0.0"
    return int(answer.headers["Upload-Offset"])


def attach(hall: World) -> None:
    for row_id in hall.hub.store.read(lambda u: uploads.due(u, UploadState.WHOLE, hall.clock())):
        hall.hub.jobs.attach_upload(row_id)
        hall.hub.jobs.attach_upload(row_id)  # a second worker: nothing more


def test_a_file_in_three_parts_is_attached_once_byte_for_byte(hall: World) -> None:
    path = begin(hall)
    for start in (0, 100_000, 200_000):
        end = start + 100_000 if start < 200_000 else len(DATA)
        assert offset(hall, path) == start
        answer = patch(hall, path, start, DATA[start:end])
        assert answer.status_code == 204 and answer.headers["Upload-Offset"] == str(end)
    assert ("attach_upload", path.rpartition("/")[2]) in hall.rings
    attach(hall)
    told = hall.get("department", path).json()
    assert told["state"] == "kept" and told["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert hall.get("department", told["links"]["attachment"]).content == DATA
    report = hall.hub.store.read(lambda u: reports.get(u, told["links"]["report"].rpartition("/")[2]))
    assert report
    (kept,) = report.content.attachments
    assert (kept.name, kept.media_type, kept.size) == ("现场.jpg", "image/jpeg", len(DATA))
    assert report.content.facts["position"][0].origin == "exif" and report.revision == 2
    assert list((hall.hub.settings.data_dir / "uploads").iterdir()) == []


def test_r2_a_connection_that_breaks_costs_only_what_was_under_way(quick: World) -> None:
    path = begin(quick)
    with served(quick.hub) as port, socket.create_connection(("127.0.0.1", port)) as wire:
        lines = [f"PATCH {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(DATA)}",
                 "Content-Type: application/offset+octet-stream", "Upload-Offset: 0"]  # fmt: skip
        lines += [f"{name}: {value}" for name, value in quick.headers("department", **TUS).items()]
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + DATA[:150_000])
        wire.shutdown(socket.SHUT_WR)
        while wire.recv(65536):
            pass
    begun = offset(quick, path)
    assert begun == 150_000
    assert patch(quick, path, begun, DATA[begun:]).status_code == 204
    attach(quick)
    assert quick.get("department", path).json()["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_bytes_that_no_row_speaks_of_are_written_over(quick: World) -> None:
    """As after a kill between the fsync and the COMMIT."""
    path = begin(quick)
    assert patch(quick, path, 0, DATA[:1000]).status_code == 204
    file = quick.hub.settings.data_dir / "uploads" / f"{path.rpartition('/')[2]}.part"
    file.write_bytes(DATA[:1000] + b"half of a part that was never answered")
    assert offset(quick, path) == 1000
    assert patch(quick, path, 1000, DATA[1000:]).status_code == 204
    attach(quick)
    assert quick.get("department", path).json()["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_a_wrong_offset_too_much_and_a_second_sender_are_told_apart(quick: World) -> None:
    path = begin(quick)
    assert patch(quick, path, 5, b"x").json()["code"] == "upload_offset"
    assert patch(quick, path, 0, DATA + b"x").status_code == 413
    with quick.hub.departments.uploads.parts.opened(path.rpartition("/")[2]):
        busy = patch(quick, path, 0, b"x")
    assert (busy.status_code, busy.json()["code"]) == (409, "upload_busy")
    assert patch(quick, path, 0, DATA).status_code == 204
    assert patch(quick, path, len(DATA), b"").json()["code"] == "upload_whole"


def test_r2_what_another_adds_until_the_file_is_ours_is_not_cut_off(quick: World, monkeypatch) -> None:
    path, hub, opened, others = begin(quick), quick.hub, Parts.opened, [DATA[:1000]]
    mine = path.rpartition("/")[2]

    def late(parts: Parts, name: str, *more: Any) -> Any:
        if others:
            data = others.pop()
            found = hub.store.read(lambda u: uploads.get(u, mine))
            (hub.settings.data_dir / "uploads" / f"{mine}.part").write_bytes(data)
            hub.departments.uploads.grown(found, len(data))
        return opened(parts, name, *more)

    monkeypatch.setattr(Parts, "opened", late)
    assert patch(quick, path, 0, DATA[:500]).json()["code"] == "upload_offset"
    assert offset(quick, path) == 1000
    assert patch(quick, path, 1000, DATA[1000:]).status_code == 204
    attach(quick)
    assert quick.get("department", path).json()["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_two_that_send_the_same_part_at_once_write_it_once(hall: World) -> None:
    path = begin(hall)
    with ThreadPoolExecutor(2) as two:
        answers = list(two.map(lambda _: patch(hall, path, 0, DATA).status_code, range(2)))
    assert sorted(answers) in ([204, 409], [204, 404])
    attach(hall)
    assert hall.get("department", path).json()["state"] == "kept"


@pytest.mark.parametrize(
    ("more", "status"),
    [({"Tus-Resumable": "0.2.2"}, 412), ({"Content-Type": "text/plain"}, 415), ({"Upload-Offset": "-1"}, 400),
     ({"Upload-Offset": "1e3"}, 400), ({"X-HTTP-Method-Override": "DELETE"}, 204)],
)  # fmt: skip
def test_h52_what_is_not_the_protocol_is_refused_and_no_header_overrides_the_method(
    quick: World, more: dict[str, str], status: int
) -> None:
    path = begin(quick)
    assert patch(quick, path, 0, b"abc", **more).status_code == status
    assert offset(quick, path) == (3 if status == 204 else 0)


def test_limits_are_told_before_a_byte_is_sent(quick: World) -> None:
    options = quick.client.options("/v1/uploads")
    assert options.headers["Tus-Max-Size"] == str(LARGEST) and "creation" in options.headers["Tus-Extension"]
    report_id = quick.post("department", "/v1/reports", {"text": "x"}).json()["id"]
    assert announce(quick, report_id, LARGEST + 1).status_code == 413
    for n in range(10):
        assert announce(quick, report_id, 5, key=f"k{n}").status_code == 201
    assert announce(quick, report_id, 5, key="one-more").json()["code"] == "too_many_uploads"
    again = announce(quick, report_id, 5, key="k0")
    assert again.status_code == 201 and again.headers["Idempotent-Replayed"] == "true"
    assert announce(quick, report_id, 6, key="k0").status_code == 422
    assert quick.count(t.upload) == 10


def test_h50_an_upload_belongs_to_the_key_that_began_it(quick: World) -> None:
    path = begin(quick)
    assert patch(quick, path, 0, b"x", who="other").status_code == 404
    assert quick.get("other", path).status_code == 404 and quick.get("officer", path).status_code == 404
    report_id = quick.get("department", path).json()["links"]["report"].rpartition("/")[2]
    assert announce(quick, report_id, 3, who="other").status_code == 404


def test_what_is_given_up_or_forgotten_goes_and_what_waits_for_its_report_stays(quick: World) -> None:
    path = begin(quick)
    gone = quick.client.delete(path, headers=quick.headers("department", **TUS))
    assert gone.status_code == 204 and patch(quick, path, 0, b"x").status_code == 409
    report_id = quick.post("department", "/v1/reports", {"text": "未登记"}).json()["id"]
    early = announce(quick, report_id, 3, key="early").headers["location"]
    late = announce(quick, report_id, 3, key="late").headers["location"]
    assert patch(quick, early, 0, b"abc").status_code == 204
    attach(quick)
    assert quick.get("department", early).json()["state"] == "whole"
    quick.file_all()
    quick.clock.forward(seconds=6)
    attach(quick)
    assert quick.get("department", early).json()["state"] == "kept"
    quick.clock.at += timedelta(days=8)
    quick.hub.departments.uploads.tidy()
    assert quick.get("department", late).json()["state"] == "given_up"
    assert list((quick.hub.settings.data_dir / "uploads").iterdir()) == []
    (left,) = quick.hub.store.read(shelf.pending)
    late_id = late.rpartition("/")[2]
    assert (left.kind, left.reason, left.origin) == ("upload", "upload_forgotten", late_id)
    for upload_id, by in ((path.rpartition("/")[2], "key_department"), (late_id, "system")):
        last = quick.hub.store.read(lambda u, one=upload_id: journal.entries(u, "upload", one))[-1]
        assert (last.act, last.by) == ("give_up", by)


def test_r2_what_grows_while_it_is_looked_at_is_not_given_up(quick: World) -> None:
    path = begin(quick)
    upload_id = path.rpartition("/")[2]
    seen = quick.hub.store.read(lambda u: uploads.get(u, upload_id))
    assert patch(quick, path, 0, DATA[:1000]).status_code == 204
    with pytest.raises(Conflict):
        quick.hub.departments.uploads.give_up(seen, by="system")
    assert patch(quick, path, 1000, DATA[1000:]).status_code == 204
    assert not (quick.hub.settings.data_dir / "uploads" / f"{upload_id}.part").exists()


def test_r16_what_is_whole_and_cannot_be_attached_lies_on_the_shelf_until_it_is(quick: World) -> None:
    report_id = quick.post("department", "/v1/reports", {"text": "未登记"}).json()["id"]
    path = announce(quick, report_id, 3).headers["location"]
    assert patch(quick, path, 0, b"abc").status_code == 204
    for _ in range(60):
        attach(quick)
        quick.clock.forward(minutes=5)
    (left,) = quick.hub.store.read(shelf.pending)
    assert (left.kind, left.reason, left.origin) == ("upload", "not_found", path.rpartition("/")[2])
    assert left.count > 1
    quick.file_all()
    quick.clock.forward(hours=1)
    attach(quick)
    assert quick.get("department", path).json()["state"] == "kept"
    assert quick.hub.store.read(shelf.pending) == []


def test_files_that_no_upload_speaks_of_are_tidied_away(quick: World) -> None:
    path = begin(quick)
    assert patch(quick, path, 0, DATA[:9]).status_code == 204
    directory = quick.hub.settings.data_dir / "uploads"
    (mine,) = directory.iterdir()
    (directory / "upl_nobody.part").write_bytes(b"x")
    for file in directory.iterdir():
        os.utime(file, (1, 1))
    quick.hub.departments.uploads.tidy()
    assert list(directory.iterdir()) == [mine]


def test_an_empty_file_is_whole_when_it_is_announced(hall: World) -> None:
    path = begin(hall, size=0, name="空.txt")
    assert hall.rings[-1] == ("attach_upload", path.rpartition("/")[2])
    assert offset(hall, path) == 0
    assert patch(hall, path, 0, b"").status_code == 204
    assert patch(hall, path, 0, b"x").json()["code"] == "upload_whole"
    attach(hall)
    told = hall.get("department", path).json()
    assert (told["state"], told["length"], told["offset"]) == ("kept", 0, 0)
    file = hall.get("department", told["links"]["attachment"])
    assert (file.status_code, file.content) == (200, b"")
