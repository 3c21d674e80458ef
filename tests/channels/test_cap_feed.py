"""The CAP files and the Atom feed as other programs read them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from lxml import etree

from channels.cap_feed import CapFeed
from channels.codecs.feed_items import ENDED_ENTRIES
from channels.contract import Division, Entry
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
    return replace(made, **changes)


def built(*entries: Entry, mode: Mode = Mode.LIVE) -> dict[str, bytes]:
    return {f.path: f.read() for f in CapFeed(mode=mode).build(entries, public_url=URL + "/")}


def feed(*entries: Entry) -> etree._Element:
    return etree.fromstring(built(*entries)["public/alerts.atom"])


def test_a_cap_file_is_the_payload_byte_for_byte_and_indexes_come_last() -> None:
    files = CapFeed(mode=Mode.LIVE).build([entry(2), entry(1)], public_url=URL)
    caps = [f for f in files if not f.is_index]
    assert (
        [f.path for f in caps]
        == [f"public/cap/rel_{n:026d}.xml" for n in (2, 1)]
        == [f.path for f in files[:2]]
    )
    assert {f.path: f.about for f in caps} == {f.path: f.path[11:-4] for f in caps}
    assert files[0].read() == b"<alert>2</alert>"
    assert files[0].media_type == "application/cap+xml"


FORMS = ("atom", "rss", "json", "geojson")


def test_there_are_feeds_of_all_of_each_language_each_level_and_each_area() -> None:
    folders = ["public/", "public/zh-CN/", "public/en/"]
    folders += [f"public/levels/{c}/" for c in ("red", "orange", "yellow", "blue")]
    wanted = {f"{folder}alerts.{form}" for folder in folders for form in FORMS} | {"public/cap/index.json"}
    assert set(built()) == wanted
    areas = ("330000000000", "330100000000", "330102000000")
    wanted |= {f"public/areas/{code}/alerts.{form}" for code in areas for form in FORMS}
    wanted |= {f"public/areas/{code}.json" for code in areas} | {f"public/cap/rel_{1:026d}.xml"}
    assert set(built(placed(1))) == wanted


def placed(n: int = 1, **changes: object) -> Entry:
    """An entry in divisions that are known."""
    divisions = (
        Division(code="330000000000", names={"zh-CN": "浙省", "en": "Zhe"}, centre=(120.1, 29.1)),
        Division(code="330100000000", names={"zh-CN": "杭市", "en": "Hang"}),
        Division(code="330102000000", names={"zh-CN": "上区", "en": "Shang"}, centre=(120.2, 30.2)),
    )
    return entry(n, divisions=divisions, **changes)


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
        ({"headlines": {"zh-CN": "\u202e\u200f"}}, True),
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
    for ids in every_id(files).values():
        assert ids == [f"urn:x-tocsin:rel_{n:026d}" for n in (4, 2)]
    assert (f"public/cap/{bad.release_id}.xml" in files) is keeps_file
    assert not any(".." in path for path in files)
    assert [f.pointer for f in CapFeed(mode=Mode.LIVE).flaws([entry(4), bad, entry(2)])] == [bad.release_id]


def every_id(files: dict[str, bytes], folder: str = "public/") -> dict[str, list[str]]:
    """form -> ids of its entries, in the order in which they are written."""
    atom = etree.fromstring(files[f"{folder}alerts.atom"])
    rss = etree.fromstring(files[f"{folder}alerts.rss"])
    assert {g.get("isPermaLink") for g in rss.iter("guid")} <= {"false"}
    return {
        "atom": [i.text or "" for i in atom.findall("a:entry/a:id", ATOM)],
        "rss": [g.text or "" for g in rss.iter("guid")],
        "json": [i["id"] for i in json.loads(files[f"{folder}alerts.json"])["items"]],
        "geojson": [f["id"] for f in json.loads(files[f"{folder}alerts.geojson"])["features"]],
    }


NASTY = "]]><script>alert(1)</script>&\x00\x0b\ud800\uffff\u202e\u2066\n坏"


def test_hostile_words_are_written_as_words_in_every_format() -> None:
    nasty = placed(2, issuer=NASTY, headlines={"zh-CN": NASTY, "en": NASTY}, event_code=NASTY)
    files = built(nasty, placed(1))
    for ids in every_id(files).values():
        assert ids == [f"urn:x-tocsin:rel_{n:026d}" for n in (2, 1)]
    shown = [
        etree.fromstring(files["public/alerts.atom"]).findtext("a:entry/a:title", "", ATOM),
        etree.fromstring(files["public/alerts.rss"]).findtext("channel/item/title", ""),
        json.loads(files["public/alerts.json"])["items"][0]["title"],
        json.loads(files["public/alerts.geojson"])["features"][0]["properties"]["headline"],
        json.loads(files["public/cap/index.json"])[0]["headlines"]["zh-CN"],
    ]
    assert set(shown) == {"]]><script>alert(1)</script>&\ufffd\ufffd\ufffd\ufffd 坏"}
    for path, body in files.items():
        assert not {"\u202e", "\u2066", "\x00"} & set(body.decode()), path


@pytest.mark.parametrize("state", ["stopped", "cancelled", "corrected", "superseded", "unlifted", "expired"])
def test_every_format_says_how_a_release_stands_and_when_that_changed(state: str) -> None:
    before, after = built(placed()), built(placed(state=state, changed_at=SENT + timedelta(hours=1)))
    for folder in ("public/", "public/en/", "public/areas/330102000000/", "public/levels/orange/"):
        assert every_id(before, folder) == every_id(after, folder)
        titles, times = zip(*(_said(files, folder) for files in (before, after)), strict=True)
        for was, now in zip(*titles, strict=True):
            assert now.startswith("[") and now.endswith(was)
        for was, now in zip(*times, strict=True):
            assert now - was == timedelta(minutes=59)
    said = {_said(built(placed(state=s)), "public/")[0][0] for s in ("published", state)}
    assert len(said) == 2
    item = json.loads(after["public/alerts.json"])["items"][0]["_tocsin"]
    assert (item["state"], item["is_current"]) == (state, state == "unlifted")


def _said(files: dict[str, bytes], folder: str) -> tuple[list[str], list[datetime]]:
    atom = etree.fromstring(files[f"{folder}alerts.atom"])
    rss = etree.fromstring(files[f"{folder}alerts.rss"])
    item = json.loads(files[f"{folder}alerts.json"])["items"][0]
    feature = json.loads(files[f"{folder}alerts.geojson"])["features"][0]["properties"]
    titles = [atom.findtext("a:entry/a:title", "", ATOM), rss.findtext("channel/item/title", ""), item["title"],
              feature["headline"]]  # fmt: skip
    times = [
        datetime.fromisoformat(atom.findtext("a:entry/a:updated", "", ATOM)),
        datetime.fromisoformat(atom.findtext("a:updated", "", ATOM)),
        parsedate_to_datetime(rss.findtext("channel/item/pubDate", "")),
        parsedate_to_datetime(rss.findtext("channel/lastBuildDate", "")),
        datetime.fromisoformat(item["date_modified"]),
        datetime.fromisoformat(feature["changed_at"]),
    ]
    return titles, times


def test_each_state_has_its_own_title_in_each_language() -> None:
    states = ("published", "stopped", "cancelled", "corrected", "superseded", "unlifted", "expired")
    for folder in ("public/", "public/zh-CN/", "public/en/"):
        titles = {_said(built(entry(state=state)), folder)[0][0] for state in states}
        assert len(titles) == len(states)
        if folder.endswith("en/"):
            assert all(title.isascii() for title in titles)


def test_a_chain_is_linked_in_both_directions_and_refers_to_all_before_it() -> None:
    first = placed(1, state="superseded")
    second = placed(2, state="superseded", supersedes=first.release_id, sent=SENT + timedelta(hours=1))
    payloads = {"mul": b"<alert/>", "mul+lift": b"<alert>Cancel</alert>"}
    third = placed(3, state="cancelled", supersedes=second.release_id, sent=SENT + timedelta(hours=2),
                   changed_at=SENT + timedelta(hours=3), payloads=payloads)  # fmt: skip
    files = built(third, second, first)
    rows = {row["file"]: row for row in json.loads(files["public/cap/index.json"])}
    lift, last, middle, oldest = (
        rows[f"rel_{n:026d}{e}.xml"] for n, e in ((3, "-lift"), (3, ""), (2, ""), (1, ""))
    )
    assert [r["msgType"] for r in (oldest, middle, last, lift)] == ["Alert", "Update", "Update", "Cancel"]
    assert lift["references"] == ["rel-1", "rel-2", "rel-3"] and middle["references"] == ["rel-1"]
    assert (lift["identifier"], last["superseded_by"]) == ("rel-3-L", None)
    assert (oldest["superseded_by"], middle["supersedes"]) == (second.release_id, first.release_id)
    root = etree.fromstring(files["public/alerts.atom"])
    links = {
        entry.findtext("a:id", "", ATOM)[13:]: {
            link.get("rel"): link.get("href")
            for link in entry.findall("a:link", ATOM)
            if "version" in link.get("rel")
        }
        for entry in root.findall("a:entry", ATOM)
    }
    cap = f"{URL}/public/cap/"
    assert links[second.release_id] == {
        "predecessor-version": f"{cap}{first.release_id}.xml", "successor-version": f"{cap}{third.release_id}.xml",
    }  # fmt: skip
    ending = json.loads(files["public/alerts.json"])["items"][0]
    assert ending["id"].endswith("-lift") and ending["_tocsin"]["msgType"] == "Cancel"
    assert ending["date_published"] == "2026-11-23T09:05:00+00:00"


def test_a_json_feed_has_what_version_1_1_asks_for() -> None:
    feed = json.loads(built(placed(2), placed(1))["public/en/alerts.json"])
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert (feed["feed_url"], feed["home_page_url"]) == (f"{URL}/public/en/alerts.json", f"{URL}/en/")
    assert feed["language"] == "en" and feed["title"] == "Public warnings and notices"
    for item in feed["items"]:
        assert item["content_text"] and item["title"] == "Rainstorm"
        assert item["url"].startswith(f"{URL}/en/alerts/rel_")
        assert item["attachments"][0]["mime_type"] == "application/cap+xml"
        assert item["_tocsin"]["areas"] == [
            {"code": "330102000000", "areaDesc": {"zh-CN": "上区", "en": "Shang"}}
        ]


def test_geojson_has_the_centre_longitude_first_and_null_where_it_is_unknown() -> None:
    both = placed(3, areas=("330102", "330000000000"))
    features = json.loads(built(both, placed(2), entry(1))["public/alerts.geojson"])["features"]
    assert [f["geometry"] for f in features] == [
        {"type": "MultiPoint", "coordinates": [[120.1, 29.1], [120.2, 30.2]]},
        {"type": "Point", "coordinates": [120.2, 30.2]},
        None,
    ]
    properties = features[1]["properties"]
    assert [properties[n] for n in ("status", "scope", "msgType", "severity")] == [
        "Actual", "Public", "Alert", "Severe",
    ]  # fmt: skip


def test_feeds_of_one_level_area_or_language_hold_nothing_else() -> None:
    red = placed(3, colour="red", headlines={"zh-CN": "红"})
    far = entry(2, areas=("440100000000",), divisions=(Division(code="440100000000", names={"zh-CN": "穗"}),))
    files = built(red, far, placed(1))
    found = {
        folder: [int(i[-26:]) for i in every_id(files, f"public/{folder}/")["atom"]]
        for folder in (
            "levels/red",
            "levels/orange",
            "levels/blue",
            "areas/330100000000",
            "areas/440100000000",
            "en",
        )
    }
    assert found == {
        "levels/red": [3], "levels/orange": [2, 1], "levels/blue": [], "areas/330100000000": [3, 1],
        "areas/440100000000": [2], "en": [2, 1],
    }  # fmt: skip
    book = json.loads(files["public/areas/330102000000.json"])
    assert (book["centre"], book["names"]["en"]) == ([120.2, 30.2], "Shang")
    assert book["current"] == [red.release_id, placed(1).release_id]
    assert {url.removeprefix(f"{URL}/") for url in book["feeds"].values()} <= set(files)


def test_a_feed_is_in_the_order_of_its_changes() -> None:
    ended = entry(1, state="cancelled", sent=SENT - timedelta(days=9), changed_at=SENT + timedelta(hours=9))
    for ids in every_id(built(entry(3), entry(2), ended)).values():
        assert [int(i[-26:]) for i in ids] == [1, 3, 2]


def test_a_release_without_a_page_leads_to_its_cap_file() -> None:
    files = built(entry(channels=("cap_feed",)))
    cap = f"{URL}/public/cap/rel_{1:026d}.xml"
    assert etree.fromstring(files["public/alerts.rss"]).findtext("channel/item/link") == cap
    assert "url" not in json.loads(files["public/alerts.json"])["items"][0]
    assert b'type="text/html" hreflang' not in files["public/alerts.atom"]


def test_a_file_has_another_version_as_soon_as_it_has_other_bytes() -> None:
    cases = [
        [], [placed()], [placed(state="unlifted")], [placed(changed_at=SENT)], [placed(2)], [placed(issuer="乙")],
        [placed(1, state="superseded"), placed(2, supersedes=f"rel_{1:026d}")], [placed(headlines={"en": "x"})],
        [placed(identifier="y")], [placed(channels=("cap_feed",))], [entry()],
        [placed(payloads={"mul": b"<a/>"})], [placed(hashes={"mul": "a" * 64})],
    ]  # fmt: skip
    seen: dict[tuple[str, str], bytes] = {}
    for mode in Mode:
        for url in (URL, "https://y.example"):
            for case in cases:
                for file in CapFeed(mode=mode).build(case, public_url=url):
                    if not (file.about and case[0].hashes):  # the hash is given, so it is believed
                        assert seen.setdefault((file.path, file.version), file.read()) == file.read()


def test_the_json_index_lists_every_file() -> None:
    rows = json.loads(built(entry(2), entry(1, state="cancelled"))["public/cap/index.json"])
    assert [(r["file"], r["state"]) for r in rows] == [
        (f"rel_{2:026d}.xml", "published"),
        (f"rel_{1:026d}.xml", "cancelled"),
    ]
    assert rows[0]["changed_at"] == "2026-11-23T06:07:00+00:00"


def test_old_endings_fall_out_of_the_feed_and_what_is_in_force_never_does() -> None:
    many = [entry(n, state="cancelled") for n in range(300, 100, -1)] + [entry(n) for n in range(100, 0, -1)]
    for ids in every_id(built(*many)).values():
        assert len(ids) == ENDED_ENTRIES + 100
        assert f"urn:x-tocsin:rel_{1:026d}" in ids and f"urn:x-tocsin:rel_{300:026d}" in ids


def test_a_demo_feed_says_so() -> None:
    title = etree.fromstring(built(mode=Mode.DEMO)["public/alerts.atom"]).findtext("a:title", "", ATOM)
    assert title.startswith("【演示】[TEST]")
    assert "演示" not in feed().findtext("a:title", "", ATOM)
