"""The public pages: what a reader sees, without a server and without scripts."""

import posixpath
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from lxml import etree
from lxml import html as lxml_html

from channels.contract import Entry
from channels.web_notice import WebNotice
from domain.handling import Mode
from domain.release import CURRENT, State

SENT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
ZH = '<h1 class="level red"><span class="tag">红色预警</span> 甲区暴雨红色预警</h1><p>远离河道</p>\n'
EN = '<h1 class="level red"><span class="tag">Red warning</span> Red rainstorm warning</h1><p>Keep away</p>\n'
LARGEST = 14 * 1024  # one round trip of a new connection


def entry(n: int = 1, **changes: object) -> Entry:
    made = Entry(
        release_id=f"rel_{n:026d}",
        identifier=f"rel-{n}",
        state="published",
        sent=SENT,
        changed_at=SENT + timedelta(minutes=n),
        expires=SENT + timedelta(hours=6),
        kind="warning",
        colour="red",
        event_code="11B03",
        issuer="示例市应急管理局",
        areas=("330102000000",),
        headlines={"zh-CN": "暴雨红色预警", "en": "Red rainstorm warning"},
        payloads={"zh-CN": ZH.encode(), "en": EN.encode()},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def built(*entries: Entry, mode: Mode = Mode.LIVE) -> dict[str, str]:
    made = WebNotice(mode=mode).build(entries, public_url="https://x.example")
    return {f.path: f.body.decode() for f in made}


def page(text: str) -> etree._Element:
    return lxml_html.document_fromstring(text)


PLACE = f"alerts/rel_{1:026d}/index.html"


def test_a_page_holds_the_approved_bytes_and_is_made_twice_alike() -> None:
    pages = built(entry())
    assert ZH in pages[PLACE]
    assert EN in pages["en/" + PLACE]
    assert pages == built(entry())


def test_without_releases_the_index_says_that_nothing_is_in_force() -> None:
    pages = built()
    assert set(pages) == {"index.html", "en/index.html"}
    assert "目前没有生效的预警" in pages["index.html"]
    assert "There is no warning in force" in pages["en/index.html"]


def test_every_link_of_every_page_leads_to_a_file_that_exists() -> None:
    pages = built(
        *(entry(n) for n in range(40, 2, -1)),
        entry(2, state="cancelled"),
        entry(1, payloads={"en": EN.encode()}),
    )
    published = {*pages, "public/alerts.atom", *(f"public/cap/rel_{n:026d}.xml" for n in range(1, 41))}
    for path, text in pages.items():
        for href in page(text).xpath("//@href"):
            assert not re.match(r"[a-z]+:|/", href)
            if not href.startswith("#"):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), href))
                assert target in published, (path, href)


def test_pages_run_nothing_load_nothing_and_fit_one_round_trip() -> None:
    long = {"zh-CN": "暴" * 160, "en": "R" * 160}
    many = [entry(n, headlines=long, issuer="示例市应急管理局" * 3) for n in range(60, 0, -1)]
    for path, text in built(
        *many, *(entry(n, state="cancelled", headlines=long) for n in range(70, 61, -1))
    ).items():
        root = page(text)
        assert root.xpath("//script | //img | //iframe | //link[@rel='stylesheet'] | //@onclick") == []
        assert "url(" not in text
        assert "default-src 'none'" in text
        assert len(text.encode()) <= LARGEST, path


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("published", "生效中"),
        ("stopped", "已停止发送"),
        ("cancelled", "已解除"),
        ("corrected", "已更正"),
        ("superseded", "已被替代"),
        ("unlifted", "到期未解除"),
        ("expired", "已到期"),
    ],
)
def test_the_state_stands_above_the_notice_in_words(state: str, words: str) -> None:
    text = built(entry(state=state))[PLACE]
    root = page(text)
    assert root.xpath("string(//*[contains(@class,'state')]//strong)") == words
    assert text.index('class="state') < text.index("甲区暴雨红色预警</h1>")
    assert root.xpath("string(//title)").startswith(words)


def test_what_is_over_is_folded_away_below_its_ending() -> None:
    ending = "<h1>已解除：第1号</h1>"
    over = built(entry(state="cancelled", payloads={"zh-CN": ZH.encode(), "zh-CN+lift": ending.encode()}))[
        PLACE
    ]
    assert over.index(ending) < over.index("<details>") < over.index(ZH)
    assert "<details>" not in built(entry())[PLACE]
    assert "<details>" in built(entry(state="superseded"))[PLACE]


def test_the_index_lists_red_first_and_ended_ones_apart() -> None:
    root = page(built(entry(3, colour="blue"), entry(2, state="cancelled"), entry(1))["index.html"])
    lists = [[a.get("href") for a in ul.xpath(".//a")] for ul in root.xpath("//ul")]
    assert [[int(h.split("_")[1][:26]) for h in one] for one in lists] == [[1, 3], [2]]
    assert "红色预警" in root.xpath("string(//li[1])")


def test_every_state_is_on_the_index_as_current_or_ended() -> None:
    for state in set(State) - {State.DRAFT, State.SUBMITTED, State.RETURNED, State.REJECTED}:
        text = built(entry(state=state.value))["index.html"]
        assert ("最近结束" in text) is (state not in CURRENT)


def test_a_long_list_goes_on_upon_further_pages_and_loses_nothing() -> None:
    pages = built(*(entry(n) for n in range(100, 0, -1)), entry(101, state="cancelled"))
    names = sorted(p for p in pages if p.startswith(("index", "page")))
    assert len(names) > 2
    shown = [h for name in names for h in page(pages[name]).xpath("//li/a/@href")]
    assert len(shown) == len(set(shown)) == 101
    assert [page(pages[n]).xpath("string(//nav/a[@rel='next']/@href)") for n in names[-2:]] == [names[-1], ""]


def test_an_oversized_headline_never_makes_the_index_say_that_nothing_is_in_force() -> None:
    pages = built(entry(headlines={"zh-CN": "雨" * 9_000, "en": "rain" * 9_000}))
    assert "目前没有生效" not in pages["index.html"]
    assert "no warning in force" not in pages["en/index.html"]


def test_languages_are_declared_and_point_at_each_other() -> None:
    pages = built(entry())
    assert page(pages[PLACE]).get("lang") == "zh-CN"
    assert page(pages["en/" + PLACE]).get("lang") == "en"
    assert page(pages[PLACE]).xpath("//header//a[@hreflang='en']/@href") == [f"../../en/{PLACE}"]
    only = built(entry(payloads={"zh-CN": ZH.encode()}, headlines={"zh-CN": "暴雨"}))
    assert "en/" + PLACE not in only
    assert page(only["en/index.html"]).xpath("//li/a[@lang='zh-CN']/@href") == [f"../{PLACE}"]


def test_what_is_not_the_notice_itself_is_escaped() -> None:
    nasty = "<script>alert(1)</script>\"'&"
    text = "".join(
        built(entry(headlines={"zh-CN": nasty, "en": nasty}, issuer=nasty, colour='"><x')).values()
    )
    assert "<script" not in text
    assert "<x" not in text


def test_a_bad_entry_gets_no_page_and_breaks_no_other() -> None:
    pages = built(
        entry(2),
        entry(release_id="rel_../../x"),
        entry(3, payloads={"zh-CN": b"\xff"}),
        entry(4, payloads={}),
        entry(5, state="new"),
        entry(6, sent=datetime(2026, 1, 1)),  # noqa: DTZ001
    )
    assert {p for p in pages if "alerts/" in p} == {f"{b}alerts/rel_{2:026d}/index.html" for b in ("", "en/")}
    assert len(page(pages["index.html"]).xpath("//li")) == 1


def test_a_demo_page_says_so_at_its_top_and_is_kept_from_search_engines() -> None:
    for path, text in built(entry(), mode=Mode.DEMO).items():
        said = page(text).xpath("string(//body/*[contains(@class,'mode')])")
        assert ("[TEST]" if path.startswith("en/") else "【演示】") in said
        assert "noindex" in text
    assert all("noindex" not in t and "演示" not in t for t in built(entry()).values())


def test_times_are_for_machines_too_and_in_the_zone() -> None:
    found = page(built(entry())[PLACE]).xpath("//time")
    assert [(t.get("datetime"), t.text) for t in found] == [
        ("2026-11-23T20:05:00+08:00", "2026年11月23日20:05")
    ]


def _luminance(colour: str) -> float:
    digits = colour * 2 if len(colour) == 3 else colour
    full = "".join(c * 2 for c in colour) if len(colour) == 3 else digits
    parts = [int(full[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, two: str) -> float:
    low, high = sorted((_luminance(one), _luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_colours_keep_wcag_aa_contrast_by_day_and_by_night() -> None:
    style = files("templates").joinpath("public", "style.css").read_text(encoding="utf-8")
    themes = re.findall(r":root\{([^}]*)\}", style)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([a-z]+):#([0-9a-f]{3,6})", theme))
        for name in ("t", "m", "l", "red", "orange", "yellow", "blue", "ok", "end"):
            assert min(_contrast(colours[name], colours[ground]) for ground in "bs") >= 4.5, name
    assert min(_contrast("ffffff", c) for c in ("4b2a78", "5d3a8c")) >= 4.5
