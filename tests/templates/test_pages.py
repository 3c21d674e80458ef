"""The words of the desk's pages: every one of them in every language, every time in the reader's zone."""

import ast
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import nodes

from domain import parcel, release, report
from domain.errors import Flaw
from domain.handling import Handling, Mode
from domain.person import Role
from templates import pages, sheet

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = ROOT / "templates" / "console"


def words_in_pages() -> Iterator[str]:
    for file in sorted(CONSOLE.glob("*.html")):
        for call in pages._environment().parse(file.read_text()).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                assert isinstance(call.args[0], nodes.Const), f"{file.name}: only literals can be translated"
                yield call.args[0].value


def words_in_code() -> Iterator[str]:
    for file in [*(ROOT / "web").rglob("*.py"), ROOT / "templates" / "pages.py"]:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            is_say = isinstance(node.func, ast.Attribute) and node.func.attr == "say"
            is_translator = isinstance(node.func, ast.Call | ast.Subscript)
            if (is_say or is_translator) and isinstance(node.args[0].value, str):
                yield node.args[0].value


def words_used() -> set[str]:
    codes = {text for section in pages.codes().values() for text in section.values() if text}
    return {*words_in_pages(), *words_in_code(), *codes}


@pytest.mark.parametrize("language", [x for x in pages.LANGUAGES if x != pages.SOURCE])
def test_every_word_of_the_desk_is_translated_and_nothing_else_is(language: str) -> None:
    catalogue = pages.catalogues()[language]
    assert words_used() - set(catalogue) == set()
    assert set(catalogue) - words_used() == set()


def test_translations_keep_the_places_of_their_values() -> None:
    braces = {text: other for text, other in pages.catalogues()["en"].items() if "{" in text}
    assert braces
    for text, other in braces.items():
        assert sorted(part.partition("}")[0] for part in text.split("{")[1:]) == sorted(
            part.partition("}")[0] for part in other.split("{")[1:]
        ), text


@pytest.mark.parametrize(
    ("section", "known"),
    [
        ("report_state", [s.value for s in report.State]),
        ("release_state", [s.value for s in release.State]),
        ("kind", [k.value for k in release.Kind]),
        ("colour", [c.value for c in release.Colour]),
        ("handling", [h.value for h in Handling]),
        ("mode", [m.value for m in Mode]),
        ("role", [r.value for r in Role]),
        ("delivery", [d.value for d in parcel.DeliveryState]),
        ("dispatch", [d.value for d in parcel.DispatchState]),
        ("act", [action for _, action in report.MOVES.table]),
        ("act", [action for _, action in release.MOVES.table]),
    ],
)  # fmt: skip
def test_every_state_and_move_has_a_word(section: str, known: list[str]) -> None:
    assert set(known) - set(pages.codes()[section]) == set()


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert pages.word("report_state", "brand_new", "en") == "brand_new"


def test_flaws_of_the_rooms_below_are_said_in_chinese() -> None:
    assert (
        pages.explain(Flaw("/fields/hours", "is a whole number from 1 to 24"), "zh-CN")
        == "应为 1 到 24 之间的整数"
    )
    assert pages.explain(Flaw("/x", "something new"), "zh-CN") == "填写有误（something new）"
    assert pages.explain(Flaw("/x", "is required"), "en") == "is required"


def test_every_flaw_that_a_room_names_has_a_meaning_in_chinese() -> None:
    rooms = [*(ROOT / "approval").glob("*.py"), *(ROOT / "duty").glob("*.py")]
    said = {
        node.args[1].value
        for file in rooms
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Flaw"
        and len(node.args) == 2 and isinstance(node.args[1], ast.Constant)
    }  # fmt: skip
    assert said
    assert {text for text in said if pages.explain(Flaw("/x", text), "zh-CN").startswith("填写有误")} == set()


def test_times_are_shown_in_the_zone_and_the_age_in_words() -> None:
    at = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
    arrived = at - timedelta(minutes=12)
    template = pages._environment().from_string("{{ arrived|when }} {{ arrived|age }}")
    values = {"at": at, "zone": ZoneInfo("Asia/Shanghai"), "arrived": arrived}
    chinese = template.render(language="zh-CN", _=str, **values)
    assert "2026年11月23日 13:53</time>" in chinese
    assert ">12 分钟</time>" in chinese
    assert 'datetime="2026-11-23T13:53:00+08:00"' in chinese
    assert ">13:53, 23 Nov 2026</time>" in template.render(language="en", _=str, **values)


def test_a_strangers_line_is_escaped_and_has_its_own_direction() -> None:
    shown = pages._environment().from_string("{{ text|lines }}").render(text="<b>1\nשלום")
    assert shown == '<span dir="auto">&lt;b&gt;1</span>\n<span dir="auto">שלום</span>'


def test_the_style_sheet_is_small_enough_to_arrive_at_once() -> None:
    assert len(sheet.style("console")) <= 12 * 1024
    assert len(zlib.compress(sheet.style("console"))) <= 4_096  # by a proxy: one round trip
    assert b"url(" not in sheet.style("console")


def _tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{3,6})", block))


def _luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_pair_of_colours_can_be_read(scheme: str) -> None:
    light, dark = re.findall(r":root\{(.*?)\}", sheet.style("console").decode(), re.S)
    tokens = _tokens(light) | (_tokens(dark) if scheme == "dark" else {})
    pairs = [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("bg", "card", "tint")]
    pairs += [(level, f"{level}-bg") for level in ("red", "orange", "yellow", "blue", "ok")]
    pairs += [("ink", "gray-bg"), ("bar-ink", "bar"), ("bar-soft", "bar"), ("go-ink", "go"), ("act-ink", "act"),
              ("no-ink", "no"), ("no", "card"), ("red", "card"), ("warn", "card")]  # fmt: skip
    for ink, ground in pairs:
        high, low = sorted((_luminance(tokens[ink]), _luminance(tokens[ground])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{ink} on {ground}"  # WCAG 2.2 SC 1.4.3
