"""Faxes: taken when whole, kept before they are moved, once whatever happens; numbered by year without a gap."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path

import pytest
import sqlalchemy as sa

from channels import fax
from channels.codecs import fax_pages
from domain.errors import BadInput, Unavailable
from domain.report import Inbound
from intake import desk, fax_folder
from intake.entering import Entering
from intake.fax_folder import DONE, EMPTY, FAILED, STABLE, FaxFolder
from intake.filing import Filing
from intake.reading import Locale
from intake.spool import Spool
from sandbox.pool import Pool
from store import inbox, reports
from store import tables as t
from store.blobs import Blobs
from tests import documents_kit, fax_kit
from tests.outbox.outbox_kit import Standing

CHINA = timezone(timedelta(hours=8))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool(wall=timedelta(seconds=20))
    yield opened
    opened.close()


@pytest.fixture
def clock(at: datetime) -> Standing:
    return Standing(at)


@pytest.fixture
def folder(store, tmp_path: Path, clock: Standing) -> FaxFolder:
    directory = tmp_path / "in"
    directory.mkdir()
    return FaxFolder(directory=directory, store=store, blobs=Blobs(tmp_path / "blobs"), spool=Spool(tmp_path / "spool"),
                     clock=clock, zone=CHINA, largest=1 << 20, admit=lambda _size: None)  # fmt: skip


@pytest.fixture
def filing(store, folder, pool, clock) -> Filing:
    return Filing(
        store=store,
        blobs=folder.blobs,
        pool=pool,
        locale=Locale(area_code="0571"),
        clock=clock,
        entering=Entering(zone=CHINA),
    )


def drop(folder: FaxFolder, name: str, data: bytes, at: datetime | None = None) -> Path:
    path = folder.directory / name
    path.write_bytes(data)
    moment = (at or folder.clock()).timestamp()
    os.utime(path, (moment, moment))
    return path


def look(folder: FaxFolder, clock: Standing) -> int:
    """Two looks, so far apart that what does not change is whole."""
    count = folder.look()
    clock.at += STABLE
    return count + folder.look()


def taken(store) -> list[str]:
    return store.read(
        lambda u: [r.id for r in u.rows(sa.select(t.inbound.c.id).where(t.inbound.c.channel == "fax"))]
    )


def inside(folder: FaxFolder, place: str) -> list[str]:
    return (
        sorted(p.name for p in (folder.directory / place).iterdir())
        if (folder.directory / place).exists()
        else []
    )


def facts(store, filing: Filing) -> list[dict[str, str]]:
    """Those of every report that is filed now."""
    found = []
    for row in store.read(lambda u: inbox.due(u, filing.clock())):
        report = filing.file(row)
        content = store.read(lambda u, report=report: reports.get(u, report)).content
        found.append({name: values[0].value for name, values in content.facts.items()})
    return found


def test_faxes_in_folders_of_a_line_or_a_day_are_taken_and_no_link_is_followed(
    store, folder, filing, clock, tmp_path
) -> None:
    for place in (
        "057100001111/2026-11-23",
        "a/b/c/d",
        "a/b/c/d/e",
        ".sent",
        "half.part",
        f"{DONE}/x",
        f"line/{DONE}",
    ):
        (folder.directory / place).mkdir(parents=True, exist_ok=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "no.tif").write_bytes(fax_kit.tiff(1))
    (folder.directory / "link").symlink_to(elsewhere)
    (folder.directory / "no.tif").symlink_to(elsewhere / "no.tif")
    wanted = ("057100001111/2026-11-23/140500_057188888888.tif", "a/b/c/d/deep.tif", f"line/{DONE}/own.tif")
    for n, name in enumerate(
        (*wanted, "a/b/c/d/e/no.tif", ".sent/no.tif", "half.part/no.tif", f"{DONE}/x/no.tif"), 1
    ):
        drop(folder, name, fax_kit.tiff(n))
    assert look(folder, clock) == 3
    found = facts(store, filing)
    assert {one["subject"] for one in found} == set(wanted)
    assert {one.get("sender") for one in found} == {
        "+8657188888888",
        None,
    }  # the line's own number is not the caller's
    assert len(inside(folder, DONE)) == 4
    assert (folder.directory / "057100001111/2026-11-23").is_dir()
    assert folder.look() == 0


def test_a_file_in_a_folder_that_is_still_written_waits(store, folder, clock) -> None:
    (folder.directory / "line").mkdir()
    path = drop(folder, "line/a.tif", b"half")
    folder.look()
    clock.at += STABLE
    path.write_bytes(fax_kit.tiff(1))
    assert folder.look() == 0
    clock.at += STABLE
    assert folder.look() == 1


def test_a_folder_that_may_not_be_opened_holds_up_no_other(store, folder, clock, monkeypatch) -> None:
    (folder.directory / "closed").mkdir()
    drop(folder, "a.tif", fax_kit.tiff(1))
    scan = os.scandir

    def scandir(path):  # the tests may run as root, to whom nothing is closed
        if str(path).endswith("closed"):
            raise PermissionError(13, "closed")
        return scan(path)

    monkeypatch.setattr(fax_folder.os, "scandir", scandir)
    with pytest.raises(PermissionError):
        folder.look()
    clock.at += STABLE
    with pytest.raises(PermissionError):
        folder.look()
    assert len(taken(store)) == 1


def test_a_dropped_fax_is_a_report_with_number_pages_and_sender(store, folder, filing, clock) -> None:
    drop(folder, "20261123_140500_057188888888.tif", fax_kit.tiff(3))
    assert look(folder, clock) == 1
    assert facts(store, filing) == [{"sender": "+8657188888888", "pages": "3", "received_number": "2026-0001",
                                     "subject": "20261123_140500_057188888888.tif"}]  # fmt: skip
    assert [n.endswith("20261123_140500_057188888888.tif") for n in inside(folder, DONE)] == [True]


def test_the_number_that_the_server_wrote_into_a_tiff_goes_before_the_name_of_the_file(
    store, folder, filing, clock
) -> None:
    drop(folder, "fax000012.tif", fax_kit.tiff(1, caller="+86 571 87654321"))
    look(folder, clock)
    assert facts(store, filing)[0]["sender"] == "+8657187654321"


def test_a_pdf_is_a_fax_too(store, folder, filing, clock) -> None:
    drop(folder, "fax.pdf", documents_kit.pdf("示例县", "第二页"))
    look(folder, clock)
    assert facts(store, filing)[0]["pages"] == "2"


def test_a_file_that_still_grows_is_left_alone(store, folder, clock) -> None:
    whole = fax_kit.tiff(2)
    for size in (100, 200, len(whole)):
        drop(folder, "a.tif", whole[:size])
        assert folder.look() == 0
        clock.at += timedelta(seconds=2)
    drop(folder, "b.tif.part", whole)
    drop(folder, ".hidden.tif", whole)
    clock.at += STABLE
    assert folder.look() == 1
    assert [Path(n).suffix for n in inside(folder, ".") if n != DONE] == [".tif", ".part"]
    assert taken(store) == [name.split("-")[0] for name in inside(folder, DONE)]


def test_a_link_is_not_followed(store, folder, clock, tmp_path: Path) -> None:
    secret = tmp_path / "secret.tif"
    secret.write_bytes(fax_kit.tiff())
    (folder.directory / "a.tif").symlink_to(secret)
    os.mkfifo(folder.directory / "pipe.tif")
    assert look(folder, clock) == 0
    assert secret.exists()


def test_the_same_bytes_within_a_day_are_one_fax_and_after_it_another(store, folder, clock) -> None:
    clock.at = datetime(2026, 11, 23, 23, 50, tzinfo=CHINA).astimezone(UTC)
    data = fax_kit.tiff()
    for name, hours in (
        ("a.tif", 0),
        ("b.tif", 0),
        ("c.tif", 1),
        ("d.tif", 22),
    ):  # two of them after midnight
        clock.at += timedelta(hours=hours)
        drop(folder, name, data)
        look(folder, clock)
    assert len(taken(store)) == 1
    assert len(inside(folder, DONE)) == 4
    clock.at += timedelta(hours=2)
    drop(folder, "e.tif", data)
    look(folder, clock)
    assert len(taken(store)) == 2


def test_what_is_no_fax_is_a_report_all_the_same_and_lies_on_the_shelf(store, folder, filing, clock) -> None:
    drop(folder, "broken.tif", fax_kit.tiff()[:60])
    drop(folder, "letter.doc", b"not a fax")
    assert look(folder, clock) == 2
    facts(store, filing)
    reasons = store.read(lambda u: [row.reason for row in u.rows(sa.select(t.shelf.c.reason))])
    assert sorted(reasons) == ["fax_broken", "not_a_fax"]
    assert len(store.read(lambda u: reports.page(u, reports.Filter(channel="fax"), limit=9))) == 2


def test_an_empty_and_a_huge_file_are_put_aside_with_their_reason(store, folder, clock) -> None:
    drop(folder, "empty.tif", b"")
    drop(folder, "huge.tif", bytes((1 << 20) + 1))
    look(folder, clock)
    clock.at += EMPTY
    folder.look()
    assert sorted(n.split("-")[0] for n in inside(folder, FAILED)) == ["fax_empty", "fax_too_large"]
    assert store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.shelf))) == 2


class Broken(Exception):
    """The process ends here."""


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_process_that_dies_at_any_step_loses_nothing_and_keeps_nothing_twice(
    store, folder, clock, step: str
) -> None:
    drop(folder, "a.tif", fax_kit.tiff())
    kept = folder._keep

    class Dying(FaxFolder):
        def _keep(self, inbound, at):
            if step == "after":
                kept(inbound, at)
            raise Broken

    dying = Dying(directory=folder.directory, store=store, blobs=folder.blobs, spool=folder.spool, clock=clock, zone=CHINA,
                  largest=1 << 20, admit=lambda _size: None)  # fmt: skip
    with pytest.raises(Broken):
        look(dying, clock)
    assert (folder.directory / "a.tif").exists()
    clock.at += timedelta(days=3)
    look(folder, clock)
    assert len(taken(store)) == 1
    assert len(inside(folder, DONE)) == 1


def test_with_a_full_disk_the_file_stays_where_it_is(store, folder, clock) -> None:
    def full(_size: int) -> None:
        raise Unavailable("full", code="disk_full")

    folder.admit = full
    drop(folder, "a.tif", fax_kit.tiff())
    folder.look()
    clock.at += STABLE
    with pytest.raises(Unavailable):
        folder.look()
    assert (folder.directory / "a.tif").exists()


def test_a_name_that_is_no_text_is_a_fax_and_holds_up_none(store, folder, filing, clock) -> None:
    drop(folder, os.fsdecode("传真".encode("gb18030") + b"_057188888888.tif"), fax_kit.tiff(1, seed=1))
    drop(folder, os.fsdecode(b"\xff.tif"), b"", at=clock())
    drop(folder, "县" * 84 + ".t", fax_kit.tiff(1, seed=2))  # 254 bytes: as long as a name may be
    assert look(folder, clock) == 2
    clock.at += EMPTY
    folder.look()
    assert sorted(p.name for p in folder.directory.iterdir()) == [DONE, FAILED]
    (named,) = [one for one in facts(store, filing) if "sender" in one]
    assert named["sender"] == "+8657188888888"
    assert named["subject"] == "传真_057188888888.tif"


@pytest.mark.parametrize("size", [None, 0, (1 << 20) + 1])
def test_a_file_that_cannot_be_seen_to_holds_up_none_behind_it(
    folder, clock, monkeypatch, size: int | None
) -> None:
    drop(
        folder, "first.tif", fax_kit.tiff() if size is None else bytes(size), at=clock() - timedelta(hours=1)
    )
    drop(folder, "second.tif", fax_kit.tiff(1, seed=3))
    folder.look()
    clock.at += EMPTY
    read = fax_folder._read

    def locked(path: Path, signature: fax_folder.Signature) -> bytes | None:
        if path.name == "first.tif":
            raise PermissionError(path)
        return read(path, signature)

    def gone(*_):
        raise Unavailable("gone")

    monkeypatch.setattr(fax_folder, "_read", locked)
    monkeypatch.setattr(folder.store, "run", gone)  # the database is down: a fax goes to the spool
    with pytest.raises((PermissionError, Unavailable)):
        folder.look()
    assert sorted(p.name for p in folder.directory.iterdir()) == [DONE, "first.tif"]
    assert [inbound.meta["name"] for _, inbound, _ in folder.spool.read()] == ["second.tif"]


def test_a_file_that_grows_while_it_is_kept_is_taken_again(store, folder, clock, monkeypatch) -> None:
    path, keep = drop(folder, "20261123_140500_057188888888.tif", fax_kit.tiff(1)), folder._keep

    class Growing(FaxFolder):
        def _keep(self, inbound, at):
            with path.open("ab") as file:
                file.write(b"more pages")
            return keep(inbound, at)

    growing = Growing(directory=folder.directory, store=store, blobs=folder.blobs, spool=folder.spool, clock=clock, zone=CHINA,
                      largest=1 << 20, admit=lambda _size: None)  # fmt: skip
    assert look(growing, clock) == 1
    (again,) = [p for p in folder.directory.iterdir() if p.is_file()]
    assert fax_pages.number_in(again.name) == "057188888888"
    assert look(folder, clock) == 1
    assert len(taken(store)) == 2
    assert [p.read_bytes().endswith(b"more pages") for p in (folder.directory / DONE).iterdir()] == [True]


def test_an_empty_file_that_is_written_while_it_is_put_aside_is_taken(
    store, folder, clock, monkeypatch
) -> None:
    path, run = drop(folder, "a.tif", b""), store.run
    folder.look()
    clock.at += EMPTY

    def written(work):
        path.write_bytes(fax_kit.tiff(1))
        return run(work)

    monkeypatch.setattr(store, "run", written)
    folder.look()
    monkeypatch.undo()
    assert inside(folder, FAILED) == []
    assert look(folder, clock) == 1


def test_faxes_are_numbered_by_year_without_a_gap_whoever_files_them_at_once(
    store, folder, filing, clock
) -> None:
    new_year = datetime(2027, 1, 1, 0, 0, tzinfo=CHINA).astimezone(UTC)
    ids = []
    for n in range(12):
        moment = new_year + timedelta(hours=n - 6)
        inbound = fax.dropped(fax_kit.tiff(1, seed=n), name=f"{n}.tif", day="x", at=moment)
        names = desk.mint_names(moment)
        ids.append(
            store.run(
                lambda u, inbound=inbound, names=names, at=moment: desk.receive(u, inbound, names, at=at)
            ).inbound_id
        )
    clock.at = new_year + timedelta(days=1)
    with ThreadPoolExecutor(3) as workers:
        list(workers.map(filing.file, [*ids, *ids]))  # each rung for twice
    rows = store.read(lambda u: [(r.year, r.n) for r in u.rows(sa.select(t.fax.c.year, t.fax.c.n))])
    assert sorted(rows) == [(year, n) for year in (2026, 2027) for n in range(1, 7)]


def test_a_mail_of_a_gateway_is_a_fax_and_nobody_is_answered(store, folder, filing, clock, at) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = (
        "Fax <fax@gw.example.cn>",
        "d@e.cn",
        "来自 0571-87654321 的传真",
    )
    mail.set_content("详见附件")
    mail.add_attachment(fax_kit.tiff(4), maintype="image", subtype="tiff", filename="fax.tif")
    arrived = Inbound(channel="email", external_id="m1", raw=mail.as_bytes(), media_type="message/rfc822", received_at=at,
                      sender="Fax@GW.example.cn")  # fmt: skip
    inbound = fax.of_gateway(arrived, {"fax@gw.example.cn"})
    assert inbound.channel == "fax"
    assert fax.of_gateway(arrived, {"other@gw.example.cn"}).channel == "email"
    store.run(lambda u: desk.receive(u, inbound, desk.mint_names(at), at=at))
    (found,) = facts(store, filing)
    assert (found["sender"], found["pages"], found["received_number"]) == ("+8657187654321", "4", "2026-0001")


@pytest.mark.parametrize(("name", "number"), [("20261123_140500_057188888888.tif", "057188888888"), ("fax000012.tif", ""),
                         ("+8613800138000-20261123140500.pdf", "+8613800138000"), ("20261123.tif", ""), ("", "")])  # fmt: skip
def test_a_number_in_a_name_is_no_date(name: str, number: str) -> None:
    assert fax_pages.number_in(name) == number


def test_pages_are_drawn_upright_as_wide_as_paper_and_only_those_that_are_there(pool: Pool) -> None:
    for data, kind in ((fax_kit.tiff(2), "tiff"), (documents_kit.pdf("示例县", "二"), "pdf")):
        drawn = pool.run(fax_pages.draw, data, {"page": 2})
        width, height = drawn.value["width"], drawn.value["height"]
        assert 1.3 < height / width < 1.45, kind  # A4 is 1.414: the dots of a fax are twice as high as wide
        assert drawn.blobs[0][:2] == b"\xff\xd8"
        with pytest.raises(BadInput) as refused:
            pool.run(fax_pages.draw, data, {"page": 3})
        assert refused.value.code == "no_such_page"
