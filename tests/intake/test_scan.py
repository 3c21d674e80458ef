"""Files of a report are looked into after it is filed: by one worker, some times, and what was found is said beside them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from domain.errors import BadInput, NotFound
from domain.person import Person, Role
from domain.report import Attachment, Content, Inbound, Report, ScanState, State
from duty import shelf as duty
from intake import desk
from intake.scan import LEASE, WAITS, Scanner
from sandbox.pool import Pool
from store import journal, reports, scans, shelf, study
from store.blobs import Blobs, note
from tests import documents_kit as kit
from tests.outbox.outbox_kit import Standing

WORDS = "示例县大坪村三组，埋压2人"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool(wall=timedelta(seconds=20))
    yield opened
    opened.close()


class Killed:
    """A pool whose child dies over everything."""

    def __init__(self, code: str) -> None:
        self.code, self.calls = code, 0

    def run(self, *_arguments):
        self.calls += 1
        raise BadInput("dead", code=self.code)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest.fixture
def made(store, blobs, pool, at):
    """(scanner, clock, rings)."""
    clock, rings = Standing(at), []
    scanner = Scanner(store=store, blobs=blobs, pool=pool, clock=clock, bell=lambda *ring: rings.append(ring))
    return scanner, clock, rings


def filed(store, blobs, at, *files: tuple[str, str, bytes]) -> str:
    """A report with these files, (name, media type, bytes)."""
    inbound = Inbound(channel="api", external_id="x", raw=b"x", media_type="text/plain", received_at=at)
    attachments = tuple(
        Attachment(sha256=blobs.put(data), name=name, media_type=kind, declared_type="", size=len(data))
        for name, kind, data in files
    )
    names, content = (
        desk.mint_names(at),
        Content(text="详见附件", language="zh", facts={}, attachments=attachments),
    )

    def work(unit) -> str:
        kept = desk.receive(unit, inbound, names, at=at)
        for one in attachments:
            note(unit, one.sha256, one.size, inbound.handling, at)
        report = Report(id=kept.report_id, code=kept.code, channel="api", organisation="", handling=inbound.handling,
                        state=State.FILED, revision=1, received_at=at, filed_at=at, content=content)  # fmt: skip
        reports.insert(unit, report, inbound_id=kept.inbound_id, by="door:api", at=at)
        return kept.report_id

    return store.run(work)


def due(store, at) -> list[str]:
    return store.read(lambda u: scans.due(u, at))


def test_the_words_of_a_document_stand_beside_the_report_and_are_studied(made, store, blobs, at) -> None:
    scanner, _, rings = made
    report = filed(store, blobs, at, ("报告.zip", "application/zip", kit.gbk_zip({"报告.docx": kit.docx(WORDS)})),
                   ("图.png", "image/png", b"\x89PNG"))  # fmt: skip
    store.run(lambda u: study.end(u, study.begin(u, report, at, at + LEASE), failed=(), again_at=None))
    (row,) = due(store, at)  # a picture holds no words
    assert scanner.scan(row) is ScanState.SCANNED
    assert scanner.scan(row) is None
    (found,) = store.read(lambda u: scans.of_report(u, report)).values()
    (document,) = found.found["documents"]
    assert (document["path"], document["text"], document["tool"]) == ("报告.docx", WORDS, "tocsin-docx/1")
    assert store.read(lambda u: scans.texts(u, report)) == [WORDS]
    assert rings == [("study_report", report)]
    assert store.read(lambda u: study.due(u, at)) == [report]
    assert store.read(lambda u: journal.entries(u, "report", report))[-1].act == "scan"


def test_what_is_found_is_sealed_with_the_report(made, store, blobs, at) -> None:
    scanner, _, _ = made
    report = filed(store, blobs, at, ("a.docx", "application/zip", kit.docx(WORDS)))
    scanner.scan(due(store, at)[0])
    store.run(lambda u: u.vault.destroy(u.connection, report, at))
    with pytest.raises(NotFound):
        store.read(lambda u: scans.of_report(u, report))


def test_a_file_that_no_parser_gets_through_is_tried_some_times_and_then_told_to_be_unscanned(
    made, store, blobs, at
) -> None:
    scanner, clock, _ = made
    killed = Killed("parser_timeout")
    scanner = Scanner(store=store, blobs=blobs, pool=killed, clock=clock)
    report = filed(store, blobs, at, ("a.docx", "application/zip", kit.docx(WORDS)))
    (row,) = due(store, at)
    stands = []
    while ids := due(store, clock.at):
        stands.append(scanner.scan(ids[0]))
        clock.at += max(WAITS)
    assert stands == [ScanState.PENDING] * len(WAITS) + [ScanState.UNSCANNED]
    assert killed.calls == len(WAITS) + 1
    (found,) = store.read(lambda u: scans.of_report(u, report)).values()
    assert (found.state, found.reason) == (ScanState.UNSCANNED, "parser_timeout")
    (left,) = store.read(shelf.pending)
    assert (left.kind, left.reason, left.origin) == ("scan", "parser_timeout", row)
    officer = Person(id="per_o", name="甲", organisation="o", roles=frozenset({Role.OFFICER}))
    job = store.run(lambda u: duty.again(u, left.id, by=officer, at=clock.at))
    assert job == ("scan_file", row) and store.read(shelf.pending) == []
    assert made[0].scan(row) is ScanState.SCANNED


def test_r16_a_file_over_which_the_look_breaks_or_whose_key_is_destroyed_is_given_up(
    made, store, blobs, at
) -> None:
    scanner, clock, _ = made

    class Broken:
        def run(self, *_arguments):
            raise ZeroDivisionError

    bugs: list[str] = []
    broken = Scanner(
        store=store, blobs=blobs, pool=Broken(), clock=clock, on_bug=lambda what, _: bugs.append(what)
    )
    filed(store, blobs, at, ("a.docx", "application/zip", kit.docx(WORDS)))
    while ids := due(store, clock.at):
        broken.scan(ids[0])
        clock.at += max(WAITS)
    assert len(bugs) == len(WAITS) + 1
    assert [row.reason for row in store.read(shelf.pending)] == ["scan_failed"]


def test_r16_a_file_whose_key_is_destroyed_meanwhile_is_given_up(made, store, blobs, at) -> None:
    scanner, _, _ = made
    report = filed(store, blobs, at, ("a.docx", "application/zip", kit.docx(WORDS)))
    (row,) = due(store, at)

    class Destroyed:
        def run(self, *arguments):
            store.run(lambda u: u.vault.destroy(u.connection, report, at))
            return made[0].pool.run(*arguments)

    scanner = Scanner(store=store, blobs=blobs, pool=Destroyed(), clock=lambda: at)
    assert scanner.scan(row) is ScanState.UNSCANNED
    assert [row.reason for row in store.read(shelf.pending)] == ["erased"]


def test_r16_a_file_that_ends_every_worker_is_given_up(made, store, blobs, at) -> None:
    scanner, clock, _ = made
    filed(store, blobs, at, ("a.docx", "application/zip", kit.docx(WORDS)))
    (row,) = due(store, at)
    for _ in range(len(WAITS) + 1):
        assert store.run(lambda u: scans.claim(u, row, clock.at, LEASE))
        clock.at += LEASE
    assert scanner.scan(row) is ScanState.UNSCANNED
    assert [row.reason for row in store.read(shelf.pending)] == ["worker_died"]


def test_a_worker_that_died_over_a_file_leaves_it_to_another(made, store, blobs, at) -> None:
    scanner, clock, _ = made
    filed(store, blobs, at, ("a.docx", "application/zip", kit.docx(WORDS)))
    (row,) = due(store, at)
    assert store.run(lambda u: scans.claim(u, row, at, LEASE))
    assert scanner.scan(row) is None
    clock.at += LEASE
    assert scanner.scan(row) is ScanState.SCANNED


def test_a_missing_file_is_asked_for_again_and_then_given_up(made, store, blobs, at) -> None:
    scanner, clock, _ = made
    report = filed(store, blobs, at, ("a.docx", "application/zip", kit.docx(WORDS)))
    for file in Path(blobs._directory).rglob("*"):
        if file.is_file():
            file.unlink()
    while ids := due(store, clock.at):
        scanner.scan(ids[0])
        clock.at += max(WAITS)
    (found,) = store.read(lambda u: scans.of_report(u, report)).values()
    assert (found.state, found.reason) == (ScanState.UNSCANNED, "not_found")


def test_one_bad_document_of_many_leaves_the_others_readable(made, store, blobs, at) -> None:
    scanner, _, _ = made
    bomb = kit.zipped({"[Content_Types].xml": "<T/>", "word/document.xml": b"<a/>" * (6 << 20)})
    report = filed(
        store,
        blobs,
        at,
        ("a.zip", "application/zip", kit.zipped({"1.docx": bomb, "2.docx": kit.docx(WORDS)})),
    )
    scanner.scan(due(store, at)[0])
    (found,) = store.read(lambda u: scans.of_report(u, report)).values()
    assert [(d.get("reason"), d.get("text")) for d in found.found["documents"]] == [
        ("document_bomb", ""),
        ("", WORDS),
    ]


def test_a_new_version_of_a_report_enters_only_what_is_new(made, store, blobs, at) -> None:
    report = filed(store, blobs, at, ("a.docx", "application/zip", kit.docx(WORDS)))

    def revise(unit) -> None:
        before = reports.get(unit, report, lock=True)
        reports.revise(unit, before, before.content, by="system", at=at)

    store.run(revise)
    assert len(due(store, at)) == 1
