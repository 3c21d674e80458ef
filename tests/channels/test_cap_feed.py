"""The CAP files and the Atom feed as other programs read them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from channels.cap_feed import ENDED_ENTRIES, CapFeed
from channels.contract import Entry
from domain.handling import Mode

ATOM = {"a": "http://www.w3.org/2005/Atom"}
SENT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
URL = "https://alerts.example.cn"


def entry(n: int = 1, **changes: object) -> Entry:
    made = Entry(
        release_id=f"rel_{n:026d}",
        identifier=f"rel-{n}",
        state="published",
        sent=SENT,
        changed_at=SENT + timedelta(minutes=n),
        expires=SENT + timedelta(hours=6),
        kind="warning",
        colour="orange",
        event_code="11B03",
        issuer="示例市应急管理局",
        areas=("330102000000",),
        headlines={"zh-CN": "暴雨 <橙色> & 预警", "en": "Rainstorm"},
        payloads={"mul": f"<alert>{n}</alert>".encode()},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def built(*entries: Entry, mode: Mode = Mode.LIVE) -> dict[str, bytes]:
    return {f.path: f.body for f in CapFeed(mode=mode).build(entries, public_url=URL + "/")}


def feed(*entries: Entry) -> etree._Element:
    return etree.fromstring(built(*entries)["public/alerts.atom"])


def test_a_cap_file_is_the_payload_byte_for_byte_and_indexes_come_last() -> None:
    files = CapFeed(mode=Mode.LIVE).build([entry(2), entry(1)], public_url=URL)
    assert [(f.path, f.is_index) for f in files] == [
        (f"public/cap/rel_{2:026d}.xml", False),
        (f"public/cap/rel_{1:026d}.xml", False),
        ("public/cap/index.json", True),
        ("public/alerts.atom", True),
    ]
    assert files[0].body == b"<alert>2</alert>"
    assert files[0].media_type == "application/cap+xml"


def test_the_same_entries_give_the_same_bytes() -> None:
    assert built(entry(2), entry(1)) == built(entry(2), entry(1))
    assert built() == built()


def test_each_entry_links_its_cap_file_with_rel_and_type() -> None:
    root = feed(entry(2), entry(1))
    found = root.xpath("a:entry/a:link[@rel='alternate'][@type='application/cap+xml']/@href", namespaces=ATOM)
    assert found == [f"{URL}/public/cap/rel_{n:026d}.xml" for n in (2, 1)]
    own = root.xpath("a:link[@rel='self']/@href", namespaces=ATOM)
    assert own == [f"{URL}/public/alerts.atom"]


def test_every_entry_has_id_title_updated_and_author() -> None:
    root = feed(entry(2), entry(1))
    for one in root.findall("a:entry", ATOM):
        assert all(
            (one.findtext(f"a:{n}", "", ATOM)).strip() for n in ("id", "title", "updated", "author/a:name")
        )
    ids = [i.text for i in root.findall("a:entry/a:id", ATOM)]
    assert len(set(ids)) == 2
    assert root.findtext("a:entry/a:title", "", ATOM) == "暴雨 <橙色> & 预警"


def test_the_feed_is_as_new_as_its_newest_change_and_never_the_clock() -> None:
    assert feed(entry(7), entry(1)).findtext("a:updated", "", ATOM) == "2026-11-23T06:12:00+00:00"
    assert feed().findtext("a:updated", "", ATOM) == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize("state", ["stopped", "cancelled", "corrected", "superseded", "unlifted", "expired"])
def test_a_change_of_state_shows_in_title_and_category_under_the_same_id(state: str) -> None:
    before, after = feed(entry()), feed(entry(state=state, changed_at=SENT + timedelta(hours=1)))
    assert before.findtext("a:entry/a:id", "", ATOM) == after.findtext("a:entry/a:id", "", ATOM)
    assert before.findtext("a:entry/a:updated", "", ATOM) < after.findtext("a:entry/a:updated", "", ATOM)
    assert after.findtext("a:entry/a:title", "", ATOM).startswith("[")
    assert state in after.xpath("a:entry/a:category/@term", namespaces=ATOM)


def test_an_ending_is_an_entry_of_its_own_that_points_back_to_the_warning() -> None:
    ended = entry(state="cancelled", payloads={"mul": b"<alert/>", "mul+lift": b"<alert>cancel</alert>"})
    files = built(ended)
    assert files[f"public/cap/rel_{1:026d}-lift.xml"] == b"<alert>cancel</alert>"
    assert files[f"public/cap/rel_{1:026d}.xml"] == b"<alert/>"
    first = feed(ended).find("a:entry", ATOM)
    assert first is not None
    assert first.findtext("a:id", "", ATOM).endswith("-lift")
    related = first.xpath("a:link[@rel='related'][@type='application/cap+xml']/@href", namespaces=ATOM)
    assert related == [f"{URL}/public/cap/rel_{1:026d}.xml"]


@pytest.mark.parametrize(
    ("changes", "keeps_file"),
    [
        ({"headlines": {}}, True),
        ({"headlines": {"zh-CN": " "}}, True),
        ({"headlines": {"zh-CN": "坏\x0b"}}, True),
        ({"changed_at": datetime(2026, 11, 23)}, False),  # noqa: DTZ001
        ({"state": "unheard_of"}, True),
        ({"payloads": {}}, False),
        ({"release_id": "rel_../../etc/passwd"}, False),
        ({"release_id": "../x"}, False),
    ],
)
def test_one_bad_entry_is_left_out_and_the_feed_stands(changes: dict[str, object], keeps_file: bool) -> None:
    bad = entry(3, **changes)
    files = built(entry(4), bad, entry(2))
    root = etree.fromstring(files["public/alerts.atom"])
    ids = [i.text for i in root.findall("a:entry/a:id", ATOM)]
    assert ids == [f"urn:x-tocsin:rel_{n:026d}" for n in (4, 2)]
    assert (f"public/cap/{bad.release_id}.xml" in files) is keeps_file
    assert not any(".." in path for path in files)
    assert [f.pointer for f in CapFeed(mode=Mode.LIVE).flaws([entry(4), bad, entry(2)])] == [bad.release_id]


def test_the_json_index_lists_every_file() -> None:
    rows = json.loads(built(entry(2), entry(1, state="cancelled"))["public/cap/index.json"])
    assert [(r["file"], r["state"]) for r in rows] == [
        (f"rel_{2:026d}.xml", "published"),
        (f"rel_{1:026d}.xml", "cancelled"),
    ]
    assert rows[0]["changed_at"] == "2026-11-23T06:07:00+00:00"


def test_old_endings_fall_out_of_the_feed_and_what_is_in_force_never_does() -> None:
    many = [entry(n, state="cancelled") for n in range(300, 100, -1)] + [entry(n) for n in range(100, 0, -1)]
    assert len(feed(*many).findall("a:entry", ATOM)) == ENDED_ENTRIES + 100


def test_a_demo_feed_says_so() -> None:
    title = etree.fromstring(built(mode=Mode.DEMO)["public/alerts.atom"]).findtext("a:title", "", ATOM)
    assert title.startswith("【演示】[TEST]")
    assert "演示" not in feed().findtext("a:title", "", ATOM)
