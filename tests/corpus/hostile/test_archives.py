"""What hangs on a mail is looked into after filing: bombs are named, nothing is unpacked to a disk, nobody waits (H15)."""

import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from store import scans
from tests import documents_kit as kit
from tests.corpus.hostile.test_mail_files import CASES, HEAD, archives, part
from tests.corpus.mail_hub import MailHub, open_door
from tests.web.api_world import World, world


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, MailHub]]:
    """A hub with its interface and its mail door."""
    with (
        world(tmp_path_factory.mktemp("desk") / "data", datetime.now(UTC)) as made,
        open_door(made.hub) as door,
    ):
        yield made, door


def mailed(desk: tuple[World, MailHub], subject: str, name: str, data: bytes) -> str:
    """The report of a mail with this file, filed and not yet scanned."""
    made, door = desk
    body = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee file\r\n--b\r\n" + part(
        b"application/octet-stream",
        data,
        b'Content-Disposition: attachment; filename="' + name.encode() + b'"\r\n',
    )
    code = door.send(HEAD + b"Subject: " + subject.encode() + b"\r\n" + body + b"--b--\r\n")
    for inbound in door.due():
        made.hub.filing.file(inbound)
    report = door.found(code)
    assert report is not None
    return report.id


def shown(made: World, report: str) -> dict[str, Any]:
    (attachment,) = made.get("officer", f"/v1/reports/{report}").json()["attachments"]
    return dict(attachment["scan"])


def scan_all(made: World) -> None:
    for row in made.hub.store.read(lambda u: scans.due(u, made.clock())):
        made.hub.jobs.scan_file(row)


SAID = {  # case -> finding of the archive, or reason of the document
    "1:1026": "archive_bomb",
    "42.zip": "archive_too_deep",
    "a sheet": "document_broken",
    "a document": "document_bomb",
    "a gzip header": "",
    "a symbolic link": "archive_symlink",
    "1,000,000,000 claimed": "archive_bomb",
}


@pytest.mark.parametrize("case", CASES)
def test_h15_what_an_archive_holds_is_listed_by_a_child_and_its_bombs_are_named(
    desk: tuple[World, MailHub], case: str
) -> None:
    made, _ = desk
    name, data = archives()[case]
    report = mailed(desk, case, name, data)
    assert shown(made, report) == {
        "state": "pending",
        "reason": None,
    }  # filed and told before anybody has looked
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    files = {f for f in made.hub.settings.data_dir.rglob("*") if f.is_file()}
    scan_all(made)
    assert time.process_time() - started < 2
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 << 10
    )  # KB: what unfolds does so in a child
    assert {f for f in made.hub.settings.data_dir.rglob("*") if f.is_file()} - files == set()
    found = shown(made, report)
    assert found["state"] == "scanned"
    assert len(found["entries"]) <= 1_000
    assert max((entry["depth"] for entry in found["entries"]), default=0) <= 2
    told = found["findings"] + [d["reason"] for d in found["documents"] if d["reason"]]
    assert SAID[case] in told if SAID[case] else told == []


def test_h15_more_than_a_thousand_names_and_more_than_100_mb_are_not_looked_through(
    desk: tuple[World, MailHub],
) -> None:
    made, _ = desk
    many = mailed(desk, "many", "many.zip", kit.zipped({f"{n}.txt": b"x" for n in range(1_200)}))
    text = b"".join(
        b"%07d water is rising at the bridge, two cars are under it\n" % n for n in range(136_000)
    )  # 8 MB
    large = mailed(desk, "large", "large.zip", kit.zipped({f"{n}.txt": text for n in range(14)}))
    scan_all(made)
    found = shown(made, many)
    assert (len(found["entries"]), found["findings"]) == (1_000, ["archive_many_entries"])
    found = shown(made, large)
    assert found["findings"] == ["archive_over_limit"]
    assert found["entries"][-1]["marks"] == ["not_opened"]


def test_the_words_and_the_marks_are_told_to_programs(desk: tuple[World, MailHub]) -> None:
    made, _ = desk
    report = mailed(
        desk, "page", "a.zip", kit.gbk_zip({"大坪村<b>.docx": kit.docx("山塌了<script>"), "../x.exe": b"MZ"})
    )
    scan_all(made)
    found = shown(made, report)
    assert found["documents"][0]["text"] == "山塌了<script>"
    assert found["findings"] == ["archive_traversal", "archive_executable"]
