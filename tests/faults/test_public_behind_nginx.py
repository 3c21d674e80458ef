"""The public files behind a real nginx with the configuration that is shipped: no Tocsin process has a part in it."""

import gzip
import http.client
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from domain.handling import Mode
from domain.release import State
from outbox import atomic, publish
from store import hub as hub_row
from tests.conftest import open_store
from tests.faults.schedule import seeds
from tests.outbox.public_kit import CHANNELS, end, issue, run, site, told
from tests.servers import PUBLIC_NAME, nginx

ROOT = Path(__file__).parents[2]
ENDS = {"/": b"</html>", "/en/": b"</html>", "/public/alerts.atom": b"</feed>"}
PACE = 75.0  # reads a second of each of the four: 300, of which R17 asks 200 on a machine that others use too
PAGE = b"<!doctype html><p>ALERT %s %06d</p></html>"


class Reader:
    """One kept connection, as a browser's."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        sent = {"Host": PUBLIC_NAME, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self._connection.request("GET", path, headers=sent)
        answer = self._connection.getresponse()
        body = answer.read()
        head = {name.lower(): value for name, value in answer.getheaders()}
        if head.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return answer.status, head, body


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """(root of the public files, port)."""
    root = tmp_path / "public"
    atomic.make(root)
    with nginx(tmp_path, root) as port:
        yield root, port


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_r34_f49_two_hundred_rewrites_of_one_length_are_never_not_modified(
    served, at: datetime, encoding: str
) -> None:
    """The clock stands: all 200 fall into one second, and the file of the first 100 is two in each second."""
    root, port = served
    path, reader = root / "index.html", Reader(port)
    etag = seen = ""
    last = parsedate_to_datetime("Thu, 01 Jan 1970 00:00:00 GMT")
    for n in range(200):
        now = at + timedelta(seconds=n // 2 if n < 100 else 50)
        atomic.write(path, PAGE % (b"ACTIVE" if n % 2 else b"LIFTED", n), now)
        known = {"If_None_Match": etag, "If_Modified_Since": seen}
        for given in ({}, {"If_None_Match": etag}, {"If_Modified_Since": seen}, known):
            status, head, body = reader.get("/", Accept_Encoding=encoding, **(given if n else {}))
            assert (status, body) == (200, PAGE % (b"ACTIVE" if n % 2 else b"LIFTED", n)), (n, given)
        changed = parsedate_to_datetime(head["last-modified"])
        assert changed > last
        etag, seen, last = head["etag"], head["last-modified"], changed
        assert reader.get("/", Accept_Encoding=encoding, If_None_Match=etag)[0] == 304
        assert reader.get("/", Accept_Encoding=encoding, If_Modified_Since=seen)[0] == 304
        assert head.get("content-encoding", "identity") == encoding


def test_r34_without_the_rising_time_nginx_does_answer_not_modified(served, at: datetime) -> None:
    """That the test above can fail: what the publisher does not do is found out by the same server."""
    root, port = served
    path, reader = root / "index.html", Reader(port)
    stale, etag = 0, ""
    for n in range(20):
        path.write_bytes(PAGE % (b"ACTIVE", n))
        os.utime(path, (at.timestamp(), at.timestamp()))
        if n:
            stale += reader.get("/", If_None_Match=etag)[0] == 304
        etag = str(reader.get("/")[1]["etag"])
    assert stale == 19


def test_f49_two_lists_of_the_publisher_in_one_second_have_two_validators(
    store, at, areas, served, tmp_path
) -> None:
    from tests.outbox.public_kit import issue, run, site

    root, port = served
    out, reader, seen = site(store, at, tmp_path), Reader(port), set()
    assert out.public_dir == root
    for _ in range(4):  # the clock stands; the list changes by a release of the same length
        issue(store, at, name="暴雨")
        run(out, at)
        for path in ENDS:
            status, head, _ = reader.get(path)
            assert status == 200
            seen.add((path, head["etag"], head["last-modified"]))
    assert (
        len({(path, etag) for path, etag, _ in seen})
        == len({(path, at) for path, _, at in seen})
        == 4 * len(ENDS)
    )


WRITER = """
import sys
from datetime import datetime, timedelta
from pathlib import Path
from domain.handling import Mode
from domain.release import State
from outbox import publish
from tests.conftest import open_store
from tests.outbox.public_kit import CHANNELS, end, issue, run, site

url, at, place, first = sys.argv[1], datetime.fromisoformat(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
store = open_store(url)
out = site(store, at, place)
for n in range(first, first + 1000):
    now = at + timedelta(minutes=n)
    release_id = issue(store, now)
    run(out, now)
    end(store, release_id, State.CANCELLED, now + timedelta(seconds=10))
    out.clock.at = now + timedelta(seconds=10)
    changed = sum(len(publish.refresh(out)) for _ in range(2))
    print(n, changed, flush=True)
"""


@contextmanager
def readers(port: int, count: int) -> Iterator[list[str]]:
    """Read lists and the pages they name all the while; yields what was wrong, and one line of reads at the end."""
    wrong: list[str] = []
    stop, reads = threading.Event(), [0] * count

    def work(k: int) -> None:
        reader = Reader(port)
        try:
            while not stop.is_set():
                for path, ending in ENDS.items():
                    seen = _look(reader, path, ending, wrong)
                    reads[k] += seen
                    stop.wait(seen / PACE)
        except Exception as error:  # a reader that dies has seen nothing wrong
            wrong.append(f"a reader died: {error!r}")

    threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
        print(f"{sum(reads)} reads, {sum(reads) / (time.monotonic() - began):.0f}/s")
    assert min(reads) > 0


def _look(reader: Reader, path: str, ending: bytes, wrong: list[str]) -> int:
    """Read a list packed and plain, and the first of what it names; how many files that were."""
    _get(reader, path, "identity", ending, wrong)
    body = _get(reader, path, "gzip", ending, wrong).decode()
    pages = re.findall(r'href="(?:\.\./)*((?:en/)?alerts/rel_[^"]+)"', body)[:3]
    alerts = re.findall(r"https://x\.example(/public/cap/[^\"<]+\.xml)", body)[:3]
    for page in pages:
        _get(reader, f"/{page}", "gzip", b"</html>", wrong)
    for alert in alerts:
        _get(reader, alert, "gzip", b"</p>", wrong)
    return 2 + len(pages) + len(alerts)


def _get(reader: Reader, path: str, encoding: str, ending: bytes, wrong: list[str]) -> bytes:
    status, _, body = reader.get(path, Accept_Encoding=encoding)
    if status != 200:
        wrong.append(f"{status} for {path} ({encoding})")
    elif not body.rstrip().endswith(ending):
        wrong.append(f"{path} is torn ({encoding})")
    return body


@pytest.mark.parametrize("rewrites", [120, pytest.param(1000, marks=pytest.mark.faults)])
def test_r17_readers_see_no_half_file_and_no_404_while_the_publisher_is_killed(
    database_url: str, store, at: datetime, areas, served, tmp_path: Path, rewrites: int
) -> None:
    root, port = served
    seed = seeds(range(17, 18))[0]
    print(f"seed {seed}")
    dice = random.Random(seed)
    out = site(store, at, tmp_path)
    told(store, out, at)
    for channel in CHANNELS:
        publish.republish(out, channel)
    done, n, kills = 0, 1, 0
    with readers(port, 4) as wrong:
        while done < rewrites or kills < 3:
            command = [sys.executable, "-c", WRITER, database_url, at.isoformat(), str(tmp_path), str(n)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
                assert writer.stdout
                for line in writer.stdout:
                    n, changed = (int(word) for word in line.split())
                    done += changed
                    if dice.random() < 0.5:
                        break
                time.sleep(dice.random() / 20)  # a moment of the next turn, whichever it is
                writer.send_signal(signal.SIGKILL)
                kills += 1
            n += 1
    print(f"{done} rewrites, {kills} kills")
    assert wrong == [], (seed, wrong[:5])
    # and the next start mends whatever the kills left
    last = site(store, at + timedelta(minutes=n), tmp_path)
    run(last, at + timedelta(minutes=n))
    for channel in CHANNELS:
        publish.republish(last, channel)
    for path in root.rglob("*"):
        if path.is_file() and path.name[0] != "." and path.suffix != ".gz":
            assert gzip.decompress(atomic.twin_of(path).read_bytes()) == path.read_bytes(), path


def test_r17_pages_and_feeds_stay_up_when_nothing_of_tocsin_runs(
    database_url, at: datetime, served, tmp_path
) -> None:
    """The process that wrote them is dead and its database is gone; an expired text still says when it expires."""
    _, port = served
    command = [sys.executable, "-c", WRITER, database_url, at.isoformat(), str(tmp_path), "1"]
    made = open_store(database_url)
    made.run(lambda unit: hub_row.init(unit, Mode.DEMO, "test", at))
    made.close()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout and writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).unlink()
    reader = Reader(port)
    for path, ending in ENDS.items():
        status, _, body = reader.get(path, Accept_Encoding="gzip")
        assert status == 200 and body.rstrip().endswith(ending)
    (page,) = set(re.findall(r"alerts/rel_[0-9A-Z]+/", reader.get("/")[2].decode()))
    body = reader.get(f"/{page}")[2].decode()
    expires = re.search(r'<time[^>]+datetime="([^"]+)"', body)
    assert expires and datetime.fromisoformat(expires[1]).tzinfo


def test_r18_a_site_that_is_built_again_twice_is_the_same_byte_for_byte(
    store, at: datetime, areas, tmp_path
) -> None:
    """Identifier, `sent`, CAP bytes and address are those of the approval, whatever became of the release since."""
    out = site(store, at, tmp_path / "one")
    kept: dict[str, bytes] = {}
    for n, state in enumerate((State.PUBLISHED, State.SUPERSEDED, State.CANCELLED, State.CORRECTED)):
        release_id = issue(store, at + timedelta(minutes=n))
        run(out, at + timedelta(minutes=n))
        first = (out.public_dir / f"public/cap/{release_id}.xml").read_bytes()
        if state is not State.PUBLISHED:
            end(store, release_id, state, at + timedelta(hours=1))
        for channel in CHANNELS:
            publish.republish(out, channel)
        kept[f"public/cap/{release_id}.xml"] = first
    built = []
    for place in ("two", "three"):
        again = site(store, at + timedelta(hours=2), tmp_path / place)
        for channel in CHANNELS:
            publish.republish(again, channel)
        built.append(_files(again.public_dir))
    assert built[0] == built[1] == _files(out.public_dir)
    assert {path: built[0][path] for path in kept} == kept


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name[0] != "."
    }
