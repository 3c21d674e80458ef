"""Files for everyone: written atomically, in one order, never with a stale validator."""

import gzip
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from channels.contract import File
from domain.errors import Tampered
from domain.handling import Handling
from domain.release import State
from outbox import atomic, publish, recall, relay, sweep
from outbox.book import Book
from outbox.publish import Published
from store import journal, releases, shelf
from store import tables as t
from tests.outbox.outbox_kit import TEXT, Pages, approve, outgoing, run_all


def notice(store, at, **more):
    return approve(store, at, channels=("web_notice",), languages=("zh-CN", "en"), **more)


def page(out, release_id):
    return out.public_dir / "alerts" / release_id / "index.html"


def test_a_public_release_becomes_files_and_is_published(store, at, tmp_path):
    release_id, dispatches = notice(store, at)
    out = outgoing(store, at, tmp_path)
    run_all(out)
    assert TEXT["zh-CN"].encode() in page(out, release_id).read_bytes()
    assert (out.public_dir / "index.html").read_text() == f"{release_id} published"
    assert page(out, release_id).stat().st_mode & 0o777 == 0o644
    assert store.read(lambda u: releases.get(u, release_id)).state is State.PUBLISHED
    assert [publish.publish(out, d) for d in dispatches] == [Published.NOT_OPEN] * 2


def test_a_file_server_of_another_user_reaches_every_page(store, at, tmp_path):
    notice(store, at)
    out = outgoing(store, at, tmp_path)
    before = os.umask(0o077)  # as the hub sets it for its database
    try:
        run_all(out)
    finally:
        os.umask(before)
    directories = [out.public_dir, *(p for p in out.public_dir.rglob("*") if p.is_dir())]
    assert len(directories) == 3
    assert {p.stat().st_mode & 0o777 for p in directories} == {0o755}


def test_bytes_that_are_there_already_are_not_written_again(store, at, tmp_path):
    release_id, _ = notice(store, at)
    out = outgoing(store, at, tmp_path)
    run_all(out)
    before = page(out, release_id).stat()
    assert publish.republish(out, "web_notice") == []
    assert page(out, release_id).stat() == before


def test_what_is_not_public_never_becomes_a_file(store, at, tmp_path):
    release_id, _ = notice(store, at, handling=Handling.INTERNAL)
    out = outgoing(store, at, tmp_path)
    run_all(out)
    assert not page(out, release_id).exists()
    assert (out.public_dir / "index.html").read_text() == ""


def test_a_stop_reaches_the_files_by_the_sweep_alone(store, at, tmp_path):
    release_id, _ = notice(store, at)
    out = outgoing(store, at, tmp_path)
    run_all(out)
    assert publish.refresh(out) == []

    def lift(unit):
        before = releases.get(unit, release_id)
        releases.save(unit, before, replace(before, state=State.CANCELLED), at + timedelta(minutes=1))

    store.run(lift)
    assert publish.refresh(out) == [f"alerts/{release_id}/index.html", "index.html"]
    assert page(out, release_id).read_bytes().startswith(b"cancelled")
    assert publish.refresh(out) == []


def test_a_change_whose_moment_is_older_than_another_one_reaches_the_files_too(store, at, tmp_path):
    first, _ = notice(store, at)
    second, _ = notice(store, at)
    out = outgoing(store, at, tmp_path)
    run_all(out)
    earlier = at - timedelta(milliseconds=300)  # it waited for its turn, or its host's clock is behind

    def replaced(unit):
        before = releases.get(unit, first, lock=True)
        releases.save(unit, before, replace(before, state=State.SUPERSEDED), earlier)

    store.run(replaced)
    assert publish.refresh(out)
    assert f"{first} superseded" in (out.public_dir / "index.html").read_text()
    assert publish.refresh(out) == []


def test_a_release_stopped_before_its_lane_began_is_never_told(store, at, tmp_path):
    release_id, dispatches = notice(store, at)
    out = outgoing(store, at, tmp_path)
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="r"))
    run_all(out)
    publish.republish(out, "web_notice")
    assert not page(out, release_id).exists()


def test_two_different_contents_never_share_second_and_length(store, at, tmp_path):
    path = tmp_path / "alerts" / "index.html"
    seen = set()
    for n in range(50):  # all in one second of the clock
        assert atomic.write(path, f"{n:04d}".encode(), at)
        seen.add(int(path.stat().st_mtime))
    assert len(seen) == 50
    assert sorted(os.listdir(path.parent)) == ["index.html", "index.html.gz"]


def test_the_packed_twin_is_of_the_same_bytes_and_goes_with_its_file(tmp_path, at):
    path = tmp_path / "alerts" / "index.html"
    twin = atomic.twin_of(path)
    for n in range(20):
        atomic.write(path, f"{n:04d}".encode() * 500, at)
        assert gzip.decompress(twin.read_bytes()) == path.read_bytes()
        assert twin.stat().st_mtime == path.stat().st_mtime and twin.stat().st_mode & 0o777 == 0o644
    stamp = path.stat().st_mtime
    twin.write_bytes(b"torn")
    assert not atomic.write(path, path.read_bytes(), at)  # the file itself is as it was
    assert gzip.decompress(twin.read_bytes()) == path.read_bytes() and path.stat().st_mtime == stamp
    atomic.remove(path)
    assert list(path.parent.iterdir()) == []


def test_a_lost_twin_is_laid_again(store, at, tmp_path):
    release_id, _ = notice(store, at)
    out = outgoing(store, at, tmp_path)
    run_all(out)
    atomic.twin_of(page(out, release_id)).unlink()
    publish.republish(out, "web_notice")
    packed = atomic.twin_of(page(out, release_id)).read_bytes()
    assert gzip.decompress(packed) == page(out, release_id).read_bytes()


def test_a_changed_artefact_is_not_published_and_is_shelved(store, at, tmp_path):
    release_id, dispatches = notice(store, at)
    store.run(lambda u: u.execute(t.dispatch.update().values(sha256="0" * 64)))
    out = outgoing(store, at, tmp_path)
    run_all(out)
    assert not page(out, release_id).exists()
    assert {i.reason for i in store.read(shelf.pending)} == {"tampered"}
    assert "tampered" in [e.act for e in store.read(lambda u: journal.entries(u, "release", release_id))]


def test_the_kill_switch_holds_new_files_back(store, at, tmp_path):
    release_id, dispatches = notice(store, at)
    times = [at]
    out = outgoing(store, at, tmp_path, clock=lambda: times[0])
    out.stop_file.touch()
    for dispatch in dispatches:
        relay.relay(out, dispatch)
        assert publish.publish(out, dispatch) is Published.HELD
    assert not page(out, release_id).exists()
    out.stop_file.unlink()
    times[0] = at + timedelta(seconds=3)
    run_all(out)
    assert page(out, release_id).exists()


def test_a_publisher_cannot_write_outside_its_directory(store, at, tmp_path):
    for path in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(Tampered):
            files = [File(path=path, body=b"", media_type="x")]
            publish._Turn(tmp_path / "public", at, Book(tmp_path, "x")).write(files)


def test_an_index_is_written_after_the_pages_it_names(store, at, tmp_path):
    notice(store, at)
    out = outgoing(store, at, tmp_path)
    written = []
    write = atomic.write
    try:
        atomic.write = lambda path, *a: written.append(path.name) or write(path, *a)
        files = [File(path="index.html", body=b"i", media_type="t", is_index=True),
                 File(path="a/page.html", body=b"p", media_type="t")]  # fmt: skip
        publish._Turn(out.public_dir, at, Book(tmp_path, "x")).write(files)
    finally:
        atomic.write = write
    assert written == ["page.html", "index.html"]


def test_the_process_that_read_last_writes_last(store, at, tmp_path):
    reading, go_on = threading.Event(), threading.Event()

    class Slow(Pages):
        def build(self, entries, *, public_url):
            reading.set()
            assert go_on.wait(10)
            return super().build(entries, public_url=public_url)

    first, dispatches = notice(store, at)
    quick = outgoing(store, at, tmp_path)
    slow = replace(quick, publishers={"web_notice": Slow()})
    relay.relay(quick, dispatches[0])
    with ThreadPoolExecutor() as pool:
        late = pool.submit(publish.publish, slow, dispatches[0])
        assert reading.wait(10)
        newest = pool.submit(publish.republish, quick, "web_notice")
        with pytest.raises(TimeoutError):
            newest.result(0.3)  # it waits for its turn, and only then reads
        go_on.set()
        assert late.result(10) is Published.DONE
        newest.result(10)
    assert first in (quick.public_dir / "index.html").read_text()


def test_a_warning_that_is_over_stays_current_and_a_notice_expires(store, at, tmp_path):
    out = outgoing(store, at, tmp_path)
    warning, _ = notice(store, at)
    plain, _ = notice(store, at, colour=None)
    run_all(out)
    later = at + timedelta(hours=6)
    assert store.run(lambda u: sweep.expire(u, later - timedelta(seconds=1))) == 0
    assert store.run(lambda u: sweep.expire(u, later)) == 2
    found = {i: store.read(lambda u, i=i: releases.get(u, i)).state for i in (warning, plain)}
    assert found == {warning: State.UNLIFTED, plain: State.EXPIRED}


def test_lists_reach_back_two_years_and_the_page_stays(store, at, tmp_path):
    release_id, _ = notice(store, at, colour=None)
    times = [at]
    out = outgoing(store, at, tmp_path, clock=lambda: times[0])
    run_all(out)
    store.run(lambda u: sweep.expire(u, at + timedelta(hours=6)))
    for days, is_listed in ((720, True), (750, False)):
        times[0] = at + timedelta(days=days)
        publish.republish(out, "web_notice")
        assert (release_id in (out.public_dir / "index.html").read_text()) is is_listed
    assert page(out, release_id).exists()
