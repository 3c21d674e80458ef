"""How feeds of others name their files, and how their servers answer: what is met is fetched, once."""

import gzip

import pytest

from store import bulletins
from store.bulletins import Filter
from tests.bulletin_kit import xml
from tests.intake.peer_server import atom
from tests.intake.test_pull import Hall

ATOM = b'<feed xmlns="http://www.w3.org/2005/Atom"%s><id>f</id><title>t</title>%s</feed>'
RSS = b'<rss version="2.0"><channel><title>t</title>%s</channel></rss>'
CAP = b'type="application/cap+xml; charset=utf-8"'


def _entry(inside: bytes) -> bytes:
    return b"<entry><id>e</id><updated>2026-11-23T06:00:00Z</updated>%s</entry>" % inside


NAMED = {  # shape -> a feed that names /dir/a.xml
    "an enclosure beside a page": ATOM % (b"", _entry(
        b'<link rel="alternate" type="text/html" href="/page"/><link rel="enclosure" ' + CAP + b' href="/dir/a.xml"/>')),
    "the content lies elsewhere": ATOM % (b"", _entry(b"<content " + CAP + b' src="/dir/a.xml"/>')),
    "a base of its own": ATOM % (b' xml:base="/dir/"', _entry(b"<link " + CAP + b' href=" a.xml "/>')),
    "a base of the entry": ATOM % (b' xml:base="/dir/"', _entry(b"<link " + CAP + b' href="a.xml"/>').replace(
        b"<entry>", b'<entry xml:base="../dir/">')),
    "RSS with an enclosure and a page": RSS % (
        b'<item><link>/page</link><enclosure url="/dir/a.xml" length="9" ' + CAP + b"/></item>"),
    "RSS with a guid alone": RSS % b"<item><title>x</title><guid>%s/dir/a.xml</guid></item>",
}  # fmt: skip


@pytest.fixture
def hall(sqlite_store, pool, tmp_path, at):
    return Hall(sqlite_store, pool, tmp_path, at)


@pytest.mark.parametrize("shape", NAMED)
def test_every_way_to_name_a_file_is_followed(hall, site, at, shape) -> None:
    site.put("/dir/a.xml", xml("a", at))
    feed = NAMED[shape].replace(b"%s", site.url.encode())
    hall.pull(hall.add(site.put("/feed", feed)))
    hall.read()
    assert hall.names("force") == ["a"]
    assert site.paths() == ["/feed", "/dir/a.xml"]


def test_of_a_feed_that_holds_alerts_and_names_others_both_are_read(hall, site, at) -> None:
    inside = _entry(b"<content>" + xml("a", at).partition(b"?>")[2] + b'</content><link href="/twice.xml"/>')
    site.put("/b.xml", xml("b", at))
    hall.pull(
        hall.add(site.put("/feed", ATOM % (b"", inside + _entry(b"<link " + CAP + b' href="/b.xml"/>'))))
    )
    hall.read()
    assert hall.names("force") == ["a", "b"]
    assert site.paths() == ["/feed", "/b.xml"]


def test_a_file_that_is_named_before_it_is_there_is_asked_for_again_and_holds_up_no_other(
    hall, site, at
) -> None:
    names = [f"{site.url}/{n}.xml" for n in range(6)]
    site.put("/5.xml", xml("a5", at))
    one = hall.add(site.put("/feed", atom([(name, "") for name in names])))
    hall.pull(one)
    hall.read()
    assert hall.names() == ["a5"]
    for n in range(4):
        site.put(f"/{n}.xml", xml(f"a{n}", at))
    for _ in range(20):
        hall.pull(one, minutes=10)
    hall.read()
    assert hall.names() == ["a0", "a1", "a2", "a3", "a5"]
    assert hall.items().count(("refused", "http_404")) == 1  # 4.xml never came
    assert hall.shelved() == ["http_404"]


@pytest.mark.parametrize(
    ("location", "leads"), [("b.xml", "/dir/b.xml"), ("../b.xml", "/b.xml"), ("?x=1", "/dir/a.xml?x=1")]
)
def test_a_redirect_may_be_relative_to_where_it_was_met(hall, site, at, location, leads) -> None:
    site.put(leads, xml("a", at))
    hall.pull(hall.add(site.put("/dir/a.xml", b"", status=302, headers={"Location": location})))
    hall.read()
    assert hall.names() == ["a"]


@pytest.mark.parametrize(
    "location", ["//other.example/a.xml", "..//other.example/a.xml", "file:a.xml", "", "a\\b"]
)
def test_h64_no_relative_redirect_leads_to_another_host(hall, site, at, location) -> None:
    one = hall.add(site.put("/dir/a.xml", b"", status=302, headers={"Location": location}))
    hall.pull(one)
    assert hall.peer(one).reason in ("bad_redirect", "http_404")
    assert all(not path.startswith("http") for path in site.paths())


def test_packed_bytes_in_several_members_are_all_unpacked(hall, site, at) -> None:
    raw = xml("a", at)
    packed = gzip.compress(raw[:200]) + gzip.compress(raw[200:]) + bytes(100)
    hall.pull(hall.add(site.put("/feed", packed, headers={"Content-Encoding": "gzip"})))
    hall.read()
    assert hall.names() == ["a"]


@pytest.mark.parametrize(
    ("before", "behind"), [(b"\n\n  ", b""), (b"", b"\0\0"), (b"\xef\xbb\xbf\r\n", b"\x1a")]
)
def test_blanks_before_and_nuls_behind_an_alert_are_a_finding_and_it_is_read(
    hall, site, at, before, behind
) -> None:
    given = before + xml("a", at) + behind
    hall.pull(hall.add(site.put("/a.xml", given)))
    hall.read()
    (one,) = hall.store.read(lambda u: bulletins.page(u, Filter(view="all"), hall.clock(), limit=9))
    assert one.identifier == "a"
    assert "XML" in [finding["rule"] for finding in one.findings]
    assert hall.shelved() == []


def test_a_wide_encoding_keeps_its_bytes(hall, site, at) -> None:
    wide = xml("a", at).decode().replace("UTF-8", "UTF-16").encode("utf-16-le")
    hall.pull(hall.add(site.put("/a.xml", b"\xff\xfe" + wide)))
    hall.read()
    assert hall.names() == ["a"]
