"""The public pages: what a reader sees, without a server and without scripts."""

import posixpath
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from lxml import etree
from lxml import html as lxml_html

from channels.cap_feed import CapFeed
from channels.contract import Division, Entry
from channels.web_notice import WebNotice
from domain.errors import Tampered
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
    return replace(made, **changes)


def built(*entries: Entry, mode: Mode = Mode.LIVE) -> dict[str, str]:
    made = WebNotice(mode=mode).build(entries, public_url="https://x.example")
    return {f.path: f.read().decode() for f in made}


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
    names = {"index.html", "a/index.html", "past/index.html", "feeds/index.html"}
    assert set(pages) == names | {f"en/{name}" for name in names}
    assert "目前没有生效的预警" in pages["index.html"]
    assert "There is no warning in force" in pages["en/index.html"]


def test_every_link_of_every_page_leads_to_a_file_that_exists() -> None:
    pages = built(
        *(divided(n) for n in range(40, 2, -1)),
        entry(2, state="cancelled"),
        entry(1, payloads={"en": EN.encode()}),
    )
    feeds = CapFeed(mode=Mode.LIVE).build(
        [divided(n, payloads={"mul": b"<alert/>"}) for n in range(1, 41)], public_url="https://x.example"
    )
    published = {*pages, *(f.path for f in feeds)}
    for path, text in pages.items():
        for href in page(text).xpath("//@href"):
            assert not re.match(r"[a-z]+:|/", href)
            if not href.startswith("#"):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), href))
                assert target in published, (path, href)
    assert any(path.startswith("en/a/330102000000/page-2") for path in pages)


def test_pages_run_nothing_load_nothing_and_fit_one_round_trip() -> None:
    long = {"zh-CN": "暴" * 160, "en": "R" * 160}
    many = [divided(n, headlines=long, issuer="示例市应急管理局" * 3) for n in range(60, 0, -1)]
    for path, text in built(
        *many, *(entry(n, state="cancelled", headlines=long) for n in range(70, 61, -1))
    ).items():
        root = page(text)
        assert root.xpath("//script | //img | //iframe | //link[@rel='stylesheet'] | //@onclick") == []
        assert "url(" not in text
        assert "default-src 'none'" in text
        assert len(text.encode()) <= (70_000 if "past/2" in path else LARGEST), path


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


def test_what_is_over_stands_struck_out_below_its_ending() -> None:
    ending = "<h1>已解除：第1号</h1>"
    over = built(entry(state="cancelled", payloads={"zh-CN": ZH.encode(), "zh-CN+lift": ending.encode()}))[
        PLACE
    ]
    assert over.index(ending) < over.index("原发布内容（已不再有效）") < over.index("<del>") < over.index(ZH)
    assert over.index(ZH) < over.index("</del>")
    assert "<del>" in built(entry(state="superseded"))[PLACE]
    for state in ("published", "unlifted", "stopped"):
        assert "<del>" not in built(entry(state=state))[PLACE]


def chain(**last: object) -> tuple[Entry, Entry, Entry]:
    hour = timedelta(hours=1)
    first = entry(1, number=12, state="superseded", colour="orange", areas=("330102000000", "330103000000"))
    second = entry(2, number=13, state="superseded", supersedes=first.release_id, sent=SENT + hour)
    third = entry(
        3, number=14, supersedes=second.release_id, sent=SENT + 2 * hour, expires=SENT + 9 * hour, **last
    )
    return third, second, first


def test_every_version_links_all_others_and_says_what_changed() -> None:
    lifted = {"zh-CN": ZH.encode(), "zh-CN+lift": "<h1>已解除</h1>".encode(), "en": EN.encode()}
    made = chain(state="cancelled", changed_at=SENT + timedelta(hours=5), payloads=lifted)
    pages = built(*made)
    for shown in made:
        steps = page(pages[f"alerts/{shown.release_id}/index.html"]).xpath("//ol[@class='steps']/li")
        words = [" ".join(step.text_content().split()) for step in steps]
        assert [w.split()[0] for w in words] == ["首次发布", "更新1", "更新2", "解除"]
        assert "橙色预警 → 红色预警" in words[1] and "不再包括：330103000000" in words[1]
        assert "有效至 2026年11月23日23:05" in words[2] and "→" not in words[2]
        linked = {h.split("/")[-2] for step in steps for h in step.xpath(".//a/@href")}
        assert linked == {e.release_id for e in made if e is not shown}
        assert [step.get("aria-current") for step in steps].count("true") == 1
    first = page(pages[PLACE])
    assert "第12号 更新2" in first.xpath("string(//div[@role='status'])")
    assert "已解除" in first.xpath("string(//div[@role='status'])")
    english = page(pages[f"en/alerts/rel_{2:026d}/index.html"])
    assert "No. 12, update 1" in english.xpath("string(//h2[@id='versions'])")


def test_a_message_with_one_version_has_no_list_of_versions() -> None:
    assert page(built(entry())[PLACE]).xpath("//*[@class='steps']") == []


def test_releases_that_claim_to_replace_each_other_do_not_go_round_for_ever() -> None:
    one = entry(1, supersedes=f"rel_{2:026d}")
    two = entry(2, supersedes=f"rel_{1:026d}")
    own = entry(3, supersedes=f"rel_{3:026d}")
    assert PLACE in built(one, two, own)


def test_a_page_near_its_limit_sheds_what_can_be_shed_and_never_the_notice_in_force() -> None:
    long = ("<p>" + "暴雨" * 1_300 + "</p>").encode()
    ending = ("<h1>已解除</h1><p>" + "安全" * 900 + "</p>").encode()
    headlines = {"zh-CN": "暴" * 100, "en": "R" * 300}
    bodies = {"zh-CN": long, "en": long}
    current, *_ = made = chain(headlines=headlines, payloads=bodies, digest="a" * 64)
    pages = built(*made, divided(9))
    assert long.decode() in pages[f"alerts/{current.release_id}/index.html"]
    over = built(*chain(headlines=headlines, payloads=bodies | {"zh-CN+lift": ending}, state="cancelled"))
    assert "安全" * 900 in over[f"alerts/{current.release_id}/index.html"]
    for path, text in (pages | over).items():
        assert len(text.encode()) <= LARGEST, path


def divided(n: int, **changes: object) -> Entry:
    """An entry whose divisions are known."""
    names = (
        ("330000000000", "浙省", "Zhe"),
        ("330100000000", "杭市", "Hang"),
        ("330102000000", "上区", "Shang"),
    )
    divisions = tuple(Division(code=c, names={"zh-CN": zh, "en": en}) for c, zh, en in names)
    return entry(n, divisions=divisions, **changes)


def test_an_area_has_what_concerns_it_and_what_it_lies_in() -> None:
    province = Division(code="330000000000", names={"zh-CN": "浙省", "en": "Zhe"})
    whole = entry(7, areas=("330000000000",), divisions=(province,))
    other = Division(code="330200000000", names={"zh-CN": "甬市", "en": "Yong"})
    far = entry(6, areas=("330200000000",), divisions=(province, other))
    pages = built(whole, far, divided(5))
    shown = {
        code: sorted(int(h.split("_")[1][:26]) for h in page(pages[f"a/{code}/index.html"]).xpath("//li/a/@href")
                     if "rel_" in h)
        for code in ("330000000000", "330100000000", "330102000000", "330200000000")
    }  # fmt: skip
    assert shown == {
        "330000000000": [5, 6, 7],
        "330100000000": [5, 7],
        "330102000000": [5, 7],
        "330200000000": [6, 7],
    }
    county = page(pages["en/a/330102000000/index.html"])
    assert county.xpath("//main/nav/a/text()") == ["Zhe", "Hang"]
    assert (
        county.xpath("//ul[@class='feeds']//a/@href")[0] == "../../../public/areas/330102000000/alerts.atom"
    )
    assert county.xpath("//link[@type='application/atom+xml']/@href")[1].endswith("330102000000/alerts.atom")
    assert page(pages["a/index.html"]).xpath("//main//li/a/text()") == ["浙省", "杭市", "上区", "甬市"]


def test_an_area_nothing_is_in_force_in_says_so_and_when_it_changed() -> None:
    text = built(divided(1, state="expired"))["a/330102000000/index.html"]
    assert "目前没有生效的预警" in text and "最近更新" in text


def test_the_past_lists_every_release_of_a_month_in_its_zone() -> None:
    turn = datetime(2026, 10, 31, 16, 0, tzinfo=UTC)  # 00:00 of 1 November in China
    pages = built(
        entry(3), entry(2, sent=turn, state="cancelled"), entry(1, sent=turn - timedelta(seconds=1))
    )
    found = {
        p: len(page(t).xpath("//ul[@class='list']/li")) for p, t in pages.items() if p.startswith("past/2")
    }
    assert found == {"past/2026/11/index.html": 2, "past/2026/10/index.html": 1}
    assert page(pages["past/index.html"]).xpath("//main//li/a/text()") == ["2026年11月", "2026年10月"]


def test_a_month_that_is_no_longer_told_in_full_is_not_written_again() -> None:
    pages = built(entry(2), entry(1, sent=SENT - timedelta(days=900), state="unlifted", is_recent=False))
    assert [p for p in pages if p.startswith("past/2")] == ["past/2026/11/index.html"]
    assert len(page(pages["index.html"]).xpath("//ul[@class='list']/li")) == 2


def test_the_page_of_subscriptions_names_every_feed_that_is_not_of_an_area() -> None:
    feeds = {f.path for f in CapFeed(mode=Mode.LIVE).build([], public_url="https://x.example")}
    for path in ("feeds/index.html", "en/feeds/index.html"):
        named = {
            posixpath.normpath(posixpath.join(posixpath.dirname(path), h))
            for h in page(built()[path]).xpath("//main//a/@href")
        }
        assert feeds - named == set()


def test_a_reader_can_check_a_page_against_what_was_approved() -> None:
    hashes = {"zh-CN": "b" * 64, "en": "c" * 64}
    text = page(built(entry(digest="a" * 64, hashes=hashes))[PLACE]).xpath("string(//details)")
    for part in ("rel_" + f"{1:026d}", "a" * 64, "b" * 64, "rel-1", "https://x.example/alerts/"):
        assert part in text


def test_no_page_names_a_cap_file_that_was_not_released() -> None:
    assert "public/cap/rel" not in built(entry(channels=("web_notice", "sms")))[PLACE]


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
    walked, name = [], "index.html"
    while name:
        walked.append(name)
        name = page(pages[name]).xpath("string(//nav/a[@rel='next']/@href)")
    assert sorted(walked) == names


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
        entry(4, payloads={}),
        entry(5, state="new"),
        entry(6, sent=datetime(2026, 1, 1)),  # noqa: DTZ001
    )
    assert {p for p in pages if "alerts/" in p} == {f"{b}alerts/rel_{2:026d}/index.html" for b in ("", "en/")}
    assert len(page(pages["index.html"]).xpath("//li")) == 1


def test_a_notice_that_is_no_text_becomes_no_page() -> None:
    (broken, *_) = WebNotice(mode=Mode.LIVE).build(
        [entry(payloads={"zh-CN": b"\xff"})], public_url="https://x"
    )
    assert broken.about == entry().release_id
    with pytest.raises(Tampered):
        broken.read()


def test_a_file_has_another_version_as_soon_as_it_has_other_bytes() -> None:
    cases = [
        [], [entry()], [entry(state="unlifted")], [entry(changed_at=SENT)], [entry(number=5)], [entry(2)],
        [entry(issuer="乙")], [entry(digest="a" * 64)], [divided(1)], list(chain()), [entry(), entry(2)],
        [entry(payloads={"zh-CN": b"<h1>x</h1>"})], [entry(channels=("web_notice",))],
    ]  # fmt: skip
    seen: dict[tuple[str, str], bytes] = {}
    for mode in Mode:
        for url in ("https://x.example", "https://y.example"):
            for case in cases:
                for file in WebNotice(mode=mode).build(case, public_url=url):
                    assert seen.setdefault((file.path, file.version), file.read()) == file.read()


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
