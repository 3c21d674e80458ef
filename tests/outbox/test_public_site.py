"""The public site of a real store: chains, endings, and nothing made or told that should not be."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree
from lxml import html as lxml_html

from channels.contract import Entry, File
from domain.handling import Handling, Mode
from domain.release import State
from outbox import atomic, publish, recall, relay
from outbox.book import Book
from outbox.publish import Published
from store import hub as hub_row
from store import promises
from store import tables as t
from tests.conftest import open_store
from tests.outbox.public_kit import CHANNELS, PATHS, end, issue, run, site, told

ATOM = {"a": "http://www.w3.org/2005/Atom"}
AGAIN = """
import sys
from datetime import datetime
from pathlib import Path
from outbox import publish
from tests.conftest import open_store
from tests.outbox.public_kit import CHANNELS, site
store = open_store(sys.argv[1])
out = site(store, datetime.fromisoformat(sys.argv[2]), Path(sys.argv[3]))
print(sum(len(publish.republish(out, channel)) for channel in CHANNELS))
store.close()
"""


def files(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name[0] != "."
    }


def republish(out) -> list[str]:
    return [path for channel in CHANNELS for path in publish.republish(out, channel)]


def page(out, release_id: str, folder: str = ""):
    place = out.public_dir / folder / "alerts" / release_id / "index.html"
    return lxml_html.document_fromstring(place.read_text())


def ids(out, folder: str = "") -> list[str]:
    root = etree.fromstring((out.public_dir / "public" / folder / "alerts.atom").read_bytes())
    return [i.text.removeprefix("urn:x-tocsin:") for i in root.findall("a:entry/a:id", ATOM)]


def test_alert_update_lift_is_one_chain_on_pages_and_in_feeds(store, at, tmp_path, areas):
    out = site(store, at, tmp_path)
    first = told(store, out, at, State.SUPERSEDED)
    second = told(store, out, at + timedelta(hours=1), State.CANCELLED, supersedes=first,
                  areas=("990101000000", "990200000000"))  # fmt: skip
    changed = republish(out)
    assert {f"{e}alerts/{r}/index.html" for r in (first, second) for e in ("", "en/")} <= set(changed)
    for folder, words in (("", ["首次发布", "更新1", "解除"]), ("en", ["First issue", "Update 1", "Lifted"])):
        for release_id in (first, second):
            steps = page(out, release_id, folder).xpath(
                "//ol[@class='steps']/li/*[self::a or self::strong]/text()"
            )
            assert steps == words
    assert "新增地区：乙市" in page(out, first).xpath("string(//ol[@class='steps'])")
    assert "第1号 更新1" in page(out, second).xpath("string(//h2[@id='versions'])")
    assert page(out, second).xpath("string(//main/p[1])") == "暴雨 lift zh-CN"
    assert page(out, second).xpath("normalize-space(//del)") == "暴雨 main zh-CN"
    assert ids(out) == [f"{second}-lift", second, first]
    assert ids(out, "areas/990200000000") == [f"{second}-lift", second]
    assert ids(out, "areas/990100000000") == ids(out, "areas/990101000000") == ids(out)
    lift = out.public_dir / "public" / "cap" / f"{second}-lift.xml"
    assert lift.read_text() == "<p>暴雨 lift mul</p>"
    rows = json.loads((out.public_dir / "public" / "cap" / "index.json").read_text())
    assert [r["msgType"] for r in rows] == ["Cancel", "Update", "Alert"]
    point = json.loads((out.public_dir / "public" / "alerts.geojson").read_text())["features"][-1]["geometry"]
    assert point == {"type": "Point", "coordinates": [113.1, 30.2]}


@pytest.mark.parametrize("state", list(PATHS))
def test_every_state_is_told_on_the_page_and_in_every_feed(store, at, tmp_path, areas, state):
    out = site(store, at, tmp_path)
    release_id = told(store, out, at)
    before = files(out.public_dir)
    end(store, release_id, state, at + timedelta(hours=2))
    changed = set(publish.refresh(out))
    if state is State.PUBLISHED:
        assert changed == set()
        return
    feeds = {f"public/{f}alerts.{e}" for f in ("", "en/", "zh-CN/", "levels/orange/", "areas/990101000000/")
             for e in ("atom", "rss", "json", "geojson")}  # fmt: skip
    assert feeds | {f"alerts/{release_id}/index.html", f"en/alerts/{release_id}/index.html"} <= changed
    assert before[f"public/cap/{release_id}.xml"] == files(out.public_dir)[f"public/cap/{release_id}.xml"]
    item = json.loads((out.public_dir / "public" / "alerts.json").read_text())["items"][0]
    assert item["_tocsin"]["state"] == state and item["title"].startswith("[")


def test_r18_another_process_writes_the_same_bytes(database_url, at, tmp_path):
    store = open_store(database_url)
    store.run(lambda unit: hub_row.init(unit, Mode.DEMO, "test", at))
    out = site(store, at, tmp_path / "one")
    for n, state in enumerate(PATHS):
        told(store, out, at + timedelta(hours=n), state)
    republish(out)
    made = files(out.public_dir)
    for n, zone in enumerate(("America/New_York", "Pacific/Kiritimati")):
        place = tmp_path / f"other{n}"
        place.mkdir()
        env = {**os.environ, "TZ": zone, "PYTHONHASHSEED": str(n + 7), "LANG": "C", "LC_ALL": "C"}
        root = Path(__file__).parents[2]
        done = subprocess.run([sys.executable, "-c", AGAIN, database_url, at.isoformat(), str(place)],
                              env=env, cwd=root, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert files(place / "public") == made
    assert republish(out) == []
    (out.public_dir / ".web_notice.book").unlink()
    (out.public_dir / ".cap_feed.book").write_text("[broken")
    assert republish(out) == []
    store.close()


def test_a_change_makes_and_writes_only_what_it_touches(store, at, tmp_path, areas):
    out = site(store, at, tmp_path)
    old = [
        told(store, out, at + timedelta(minutes=n), State.CANCELLED, areas=("990200000000",))
        for n in range(3)
    ]
    republish(out)
    asked: list[str] = []

    class Counting(type(out.publishers["web_notice"])):
        def build(self, entries, *, public_url):
            return [replace(f, body=lambda f=f: asked.append(f.path) or f.read())
                    for f in super().build(entries, public_url=public_url)]  # fmt: skip

    counting = replace(out, publishers={**out.publishers, "web_notice": Counting(mode=Mode.DEMO)})
    new = issue(store, at + timedelta(hours=3))
    run(counting, at + timedelta(hours=3))
    assert f"alerts/{new}/index.html" in asked and "index.html" in asked
    assert not any(release_id in path for path in asked for release_id in old)
    assert not any("a/990200000000" in path for path in asked)
    changed = publish.republish(counting, "cap_feed")
    assert not any("990200000000" in path for path in changed)


def test_what_somebody_changed_in_the_directory_is_put_right(store, at, tmp_path):
    out = site(store, at, tmp_path)
    release_id = told(store, out, at)
    place = out.public_dir / "alerts" / release_id / "index.html"
    right = place.read_bytes()
    place.write_text("hacked")
    (out.public_dir / "public" / "alerts.rss").unlink()
    assert sorted(republish(out)) == [f"alerts/{release_id}/index.html", "public/alerts.rss"]
    assert place.read_bytes() == right


def test_what_the_kill_switch_holds_is_not_told_by_the_way(store, at, tmp_path):
    out = site(store, at, tmp_path)
    shown = told(store, out, at)
    out.stop_file.touch()
    held = issue(store, at)
    for dispatch in store.read(lambda u: promises.of_release(u, held)):
        relay.relay(out, dispatch.id)
        assert publish.publish(out, dispatch.id) is Published.HELD
    end(store, shown, State.CANCELLED, at + timedelta(minutes=2))
    changed = publish.refresh(out)
    assert f"alerts/{shown}/index.html" in changed  # an ending is told all the same
    republish(out)
    assert not any(held in path or held.encode() in body for path, body in files(out.public_dir).items())
    store.run(lambda u: recall.stop(u, held, by="x", at=at, reason="r"))
    out.stop_file.unlink()
    republish(out)
    assert not any(held in path or held.encode() in body for path, body in files(out.public_dir).items())


def test_a_page_that_was_out_when_its_lane_was_stopped_says_so(store, at, tmp_path):
    out = site(store, at, tmp_path)
    release_id = issue(store, at)
    dispatches = store.read(lambda u: promises.of_release(u, release_id))
    for dispatch in dispatches:
        relay.relay(out, dispatch.id)
    publish._write_channel(out, out.publishers["web_notice"], release_id)  # and the process dies here
    assert page(out, release_id).xpath("string(//*[@role='status']//strong)") == "生效中"
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="r"))
    end(store, release_id, State.CANCELLED, at + timedelta(minutes=1))
    republish(out)
    assert page(out, release_id).xpath("string(//*[@role='status']//strong)") == "已解除"
    assert ids(out) == []  # the other lane had told nothing yet


def test_bytes_that_are_not_what_was_approved_are_left_out_of_pages_and_lists(store, at, tmp_path):
    out = site(store, at, tmp_path)
    good, bad = issue(store, at), issue(store, at + timedelta(minutes=1))
    run(out, at + timedelta(minutes=1))
    for path in (f"alerts/{bad}/index.html", f"en/alerts/{bad}/index.html", f"public/cap/{bad}.xml"):
        atomic.remove(out.public_dir / path)

    def change(unit):
        table = " ON artefact" if unit.is_postgres else ""
        unit.connection.exec_driver_sql(f"DROP TRIGGER artefact_no_update{table}")
        unit.execute(t.artefact.update().where(t.artefact.c.release == bad).values(body=b"<p>other</p>"))

    store.run(change)
    republish(out)
    assert not any(bad in path or bad.encode() in body for path, body in files(out.public_dir).items())
    assert ids(out) == [good]


def test_what_is_not_public_is_in_no_page_list_or_feed(store, at, tmp_path, areas):
    out = site(store, at, tmp_path)
    hidden = issue(store, at, handling=Handling.INTERNAL, name="机密")
    run(out, at)
    assert not any(
        hidden.encode() in body or "机密".encode() in body for body in files(out.public_dir).values()
    )
    assert not (out.public_dir / "a" / "990101000000").exists()


def test_a_list_that_became_shorter_leaves_no_old_page_behind(store, at, tmp_path):
    out = site(store, at, tmp_path)
    made = [issue(store, at + timedelta(minutes=n)) for n in range(13)]
    run(out, at + timedelta(minutes=13))
    assert (out.public_dir / "page-2.html").exists()
    for release_id in made[2:]:
        end(store, release_id, State.CANCELLED, at + timedelta(hours=1))
    changed = publish.refresh(out)
    assert "page-2.html" in changed and not (out.public_dir / "page-2.html").exists()
    assert not list((out.public_dir / "en").glob("page-*"))


def test_numbers_are_those_of_the_local_year(store, tmp_path, people):
    turn = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)  # midnight in China
    out = site(store, turn, tmp_path)
    made = [told(store, out, turn + timedelta(minutes=n)) for n in (-2, -1, 0)]
    republish(out)
    lines = lxml_html.document_fromstring((out.public_dir / "index.html").read_text()).xpath("//ul/li")
    found = {line.xpath("string(a/@href)").split("/")[1]: line.text_content() for line in lines}
    assert [f"第{n}号" in found[r] for r, n in zip(made, (1, 2, 1), strict=True)] == [True] * 3


def test_an_upgrade_makes_old_pages_again_bit_by_bit_the_last_change_first(tmp_path, at):
    entries = [
        Entry(release_id=f"r{n}", identifier="", state="published", sent=at, changed_at=at + timedelta(seconds=n),
              expires=at, kind="", colour="", event_code="", issuer="", areas=(), headlines={}, payloads={})
        for n in range(publish.MOST_MADE + 50)
    ]  # fmt: skip
    pages = [
        File(path=f"{e.release_id}.html", body=b"x", media_type="t", version="2", about=e.release_id)
        for e in entries
    ]
    for is_whole, count in ((False, publish.MOST_MADE), (True, 50)):
        book = Book(tmp_path, "x")
        turn = publish._Turn(tmp_path, at, book)
        turn.write_pages(pages, entries)
        book.close()
        assert (turn.is_whole, len(turn.changed)) == (is_whole, count)
        assert (f"r{len(entries) - 1}.html" in turn.changed) is (not is_whole)
