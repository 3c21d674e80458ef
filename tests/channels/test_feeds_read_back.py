"""Our CAP files and feeds as the programs of others read them: capparser, feedparser, and the traps of feedgen."""

import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

import capparser
import feedparser
import pytest
from lxml import etree

from channels.cap_feed import CapFeed
from channels.codecs.cap import Reference, build
from channels.codecs.cap_check import examine
from channels.codecs.cap_release import Level, Place, Words, make_alert
from channels.contract import Division, Entry
from domain.artefact import Purpose
from domain.handling import Mode
from domain.release import Colour, Kind

SENT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
URL = "https://alerts.example.cn"
ZONE = ZoneInfo("Asia/Shanghai")
WORDS = {
    "zh-CN": Words(event="暴雨", headline="暴雨 <橙色> & 预警", description="三小时 100 毫米以上。", instruction="停工。",
                   sender_name="示例市应急管理局"),
    "en": Words(event="Rainstorm", headline="Rain & wind", description="5 > 3\nand \"so\" on.", instruction="Stay in.",
                sender_name="Shili EMB"),
}  # fmt: skip
PLACE = Place(
    code="330102000000",
    names={"zh-CN": "上区", "en": "Shang"},
    polygons=("30.1,120.1 30.1,120.3 30.3,120.3 30.3,120.1 30.1,120.1",),
)


def cap(purpose: Purpose = Purpose.MAIN, *references: Reference) -> bytes:
    alert = make_alert(
        purpose=purpose, identifier=f"id-{purpose}", sender="cap@alerts.example.cn", sent=SENT, mode=Mode.LIVE,
        kind=Kind.WARNING, event_code="11B03", words=WORDS, places=[PLACE], expires=SENT + timedelta(hours=6),
        level=Level(colour=Colour.ORANGE), references=references, web=f"{URL}/alerts/1/", contact="12345",
    )  # fmt: skip
    return build(alert, zone=ZONE)


def entry(n: int = 1, **changes: Any) -> Entry:
    kept: dict[str, Any] = {
        "release_id": f"rel_{n:026d}", "identifier": f"id-{n}", "state": "published", "sent": SENT,
        "changed_at": SENT + timedelta(minutes=n), "expires": SENT + timedelta(hours=6), "kind": "warning",
        "colour": "orange", "event_code": "11B03", "issuer": "示例市应急管理局", "areas": ("330102000000",),
        "headlines": {"zh-CN": "暴雨 <橙色> & 预警", "en": "Rain & wind"}, "payloads": {"mul": cap()},
        "divisions": (Division(code="330102000000", names={"zh-CN": "上区", "en": "Shang"}, centre=(120.2, 30.2)),),
    }  # fmt: skip
    return Entry(**(kept | changes))


def built(*entries: Entry) -> dict[str, bytes]:
    return {f.path: f.read() for f in CapFeed(mode=Mode.LIVE).build(entries, public_url=URL)}


def read(data: bytes) -> Any:
    """feedparser must not look at a path or an address: it gets bytes."""
    found = feedparser.parse(io.BytesIO(data))
    assert not found.bozo, found.get("bozo_exception")
    return found


def feeds(files: Mapping[str, bytes]) -> Iterator[tuple[str, Any]]:
    for path, data in files.items():
        if path.endswith((".atom", ".rss")):
            yield path, read(data)


def test_a_public_parser_of_cap_reads_every_word_of_our_alert() -> None:
    alert = capparser.parse(stringXML=cap().decode())
    assert (alert.getIdentifier(), alert.getSender(), alert.getSent()) == (
        "id-main", "cap@alerts.example.cn", "2026-11-23T14:05:00+08:00",
    )  # fmt: skip
    assert [alert.getStatus(), alert.getMsgType(), alert.getScope()] == ["Actual", "Alert", "Public"]
    for info, (language, words) in zip(alert.getInfos(), WORDS.items(), strict=True):
        assert info.getLanguage() == language
        assert (info.getEvent(), info.getHeadline()) == (words.event, words.headline)
        assert (info.getDescription(), info.getInstruction()) == (words.description, words.instruction)
        assert [info.getUrgency(), info.getSeverity(), info.getCertainty()] == [
            "Immediate",
            "Severe",
            "Likely",
        ]
        assert info.getExpires() == "2026-11-23T20:05:00+08:00"
        (area,) = info.getAreas()
        assert area.areaDesc[0] == PLACE.name(language)
        assert area.polygon[0] == PLACE.polygons[0]
        (code,) = area.geocode[0]
        assert (code.valueName[0], code.value[0]) == ("GB/T2260", "330102")
        assert [p.valueName[0] for p in info.getParameters()] == ["cn:kind", "cn:color"]


@pytest.mark.parametrize("purpose", [Purpose.LIFT, Purpose.CORRECTION])
def test_a_public_parser_of_cap_reads_what_an_ending_ends(purpose: Purpose) -> None:
    ended = Reference(sender="cap@alerts.example.cn", identifier="id-main", sent=SENT)
    raw = cap(purpose, ended)
    alert = capparser.parse(stringXML=raw.decode())
    assert alert.getMsgType() == "Cancel"
    assert alert.getReferences() == "cap@alerts.example.cn,id-main,2026-11-23T14:05:00+08:00"
    assert examine(raw, as_output=True).findings == []


def test_every_feed_is_read_and_lists_the_same_in_the_same_order() -> None:
    entries = [entry(3), entry(2), entry(1, state="cancelled", payloads={"mul": cap(), "mul+lift": cap()})]
    files = built(*entries)
    wanted = [f"urn:x-tocsin:rel_{n:026d}" for n in (3, 2)] + [
        f"urn:x-tocsin:rel_{1:026d}{e}" for e in ("-lift", "")
    ]
    read_back = dict(feeds(files))
    assert [e.id for e in read_back["public/alerts.atom"].entries] == wanted
    assert [e.id for e in read_back["public/alerts.rss"].entries] == wanted
    assert [i["id"] for i in json.loads(files["public/alerts.json"])["items"]] == wanted
    rows = json.loads(files["public/cap/index.json"])
    assert [f"urn:x-tocsin:{r['file'].removesuffix('.xml')}" for r in rows] == wanted
    assert len(read_back) > 10
    for path, feed in read_back.items():
        assert feed.feed.title and feed.feed.link.startswith(URL), path
        for one in feed.entries:
            assert one.id and one.title, path
            assert one.updated_parsed if path.endswith("atom") else one.published_parsed, path
            assert one.link.startswith(f"{URL}/"), path  # what a reader opens: the page


def test_each_listed_cap_file_is_there_and_is_an_alert_without_an_error() -> None:
    files = built(entry(2), entry(1))
    listed = set()
    for _, feed in feeds(files):
        for one in feed.entries:
            found = [
                x.href
                for x in [*one.links, *one.get("enclosures", [])]
                if x.get("type") == "application/cap+xml"
            ]
            assert found, one
            listed |= set(found)
    listed |= {f"{URL}/public/cap/{row['file']}" for row in json.loads(files["public/cap/index.json"])}
    assert {url.removeprefix(f"{URL}/") for url in listed} == {p for p in files if p.endswith(".xml")}
    for path in (p for p in files if p.endswith(".xml")):
        seen = examine(files[path], as_output=True)
        assert (seen.is_valid, seen.findings) == (True, [])


def test_an_atom_link_keeps_its_type_relation_and_language() -> None:
    """feedgen 1.0.0 writes href alone (its issue 135)."""
    (one,) = read(built(entry())["public/alerts.atom"]).entries
    links = [(link.rel, link.type, link.get("hreflang")) for link in one.links]
    assert links == [
        ("alternate", "application/cap+xml", None),
        ("alternate", "text/html", "zh-CN"),
        ("alternate", "text/html", "en"),
    ]


def test_the_link_of_an_rss_channel_is_the_page_and_its_own_address_is_kept() -> None:
    """feedgen takes the last link that was added for the channel's."""
    channel = read(built(entry())["public/alerts.rss"]).feed
    assert channel.link == f"{URL}/"
    assert [link.href for link in channel.links if link.rel == "self"] == [f"{URL}/public/alerts.rss"]


def test_a_feed_is_as_new_as_its_newest_change_and_has_the_same_bytes_at_any_hour() -> None:
    """feedgen takes the clock: new bytes at each build, and no cache ever hits."""
    one, two = built(entry(2), entry(1)), built(entry(2), entry(1))
    assert one == two
    newest = SENT + timedelta(minutes=2)
    assert datetime.fromisoformat(read(one["public/alerts.atom"]).feed.updated) == newest
    assert parsedate_to_datetime(read(one["public/alerts.rss"]).feed.updated) == newest


@pytest.mark.parametrize(
    "bad",
    [
        {"headlines": {}}, {"state": "?"}, {"payloads": {}}, {"release_id": ""}, {"sent": SENT.replace(tzinfo=None)},
        {"headlines": {"en": "\x00\x0b"}, "issuer": "\x00\ud800"}, {"issuer": ""}, {"colour": "mauve"},
        {"event_code": "\x01"}, {"areas": ()}, {"headlines": {"en": "x" * 100_000}},
    ],
)  # fmt: skip
def test_one_bad_entry_never_takes_the_feed_with_it(bad: dict[str, Any]) -> None:
    """feedgen raises for the whole feed: naive times, control characters, a missing id."""
    for path, feed in feeds(built(entry(4), entry(3, **bad), entry(2))):
        ids = [one.id[-1] for one in feed.entries]
        if path in ("public/alerts.atom", "public/alerts.rss"):
            assert ids in (["4", "2"], ["4", "3", "2"]), path


def test_an_entry_that_ended_stays_and_says_so_instead_of_vanishing() -> None:
    """To readers an absent entry could mean lifted, expired, or a feed that is broken."""
    for state in ("cancelled", "expired", "superseded", "corrected"):
        (one,) = read(built(entry(state=state))["public/alerts.atom"]).entries
        assert one.title.startswith("[")
        assert state in [tag.term for tag in one.tags]


def test_our_feeds_are_known_to_our_own_checker_and_need_nothing_from_outside() -> None:
    files = built(entry(2), entry(1))
    for path in (p for p in files if p.endswith((".atom", ".rss"))):
        seen = examine(files[path])
        assert (seen.is_wellformed, seen.version.partition("+")[0]) == (True, path.rpartition(".")[2])
        assert b"<!DOCTYPE" not in files[path] and b"<?xml-stylesheet" not in files[path]


def test_a_thousand_entries_stay_below_what_readers_take() -> None:
    """Public readers take at most 900 KB; what ended long ago leaves first."""
    many = [entry(n, state="expired", payloads={"mul": b"<alert/>"}) for n in range(1000, 0, -1)]
    data = built(*many)["public/alerts.atom"]
    assert len(data) < 300_000
    root = etree.fromstring(data)
    assert len(root.findall("{*}entry")) == len(read(data).entries) == 100
