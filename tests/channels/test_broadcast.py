"""The scripts for loudspeakers: what an operator finds at an address that he was given once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from channels.broadcast import ENDED, Broadcast
from channels.contract import Entry
from domain.errors import Tampered
from domain.handling import Mode
from domain.release import State

SENT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
ZH, EN = "甲区居民请注意：暴雨红色预警。", "Attention, Jia District: red rainstorm warning."
LIFT_ZH, LIFT_EN = "甲区居民请注意：暴雨红色预警现已解除。", "The red rainstorm warning has been lifted."
SHOWN = set(State) - {State.DRAFT, State.SUBMITTED, State.RETURNED, State.REJECTED}


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


def ended(state: str, purpose: str) -> Entry:
    more = {f"zh-CN+{purpose}": LIFT_ZH.encode(), f"en+{purpose}": LIFT_EN.encode()}
    return entry(state=state, payloads={**entry().payloads, **more})


def built(*entries: Entry, mode: Mode = Mode.LIVE) -> dict[str, str]:
    files = Broadcast(mode=mode).build(entries, public_url="https://x.example")
    assert {f.media_type for f in files} == {"text/plain; charset=utf-8"}
    return {f.path.removeprefix("public/broadcast/"): f.read().decode() for f in files}


NAME = f"rel_{1:026d}"


def test_a_file_holds_the_approved_script_byte_for_byte_and_is_made_twice_alike() -> None:
    made = built(entry())
    assert made[f"{NAME}.zh-CN.txt"] == ZH
    assert made[f"{NAME}.en.txt"] == EN
    assert made == built(entry())
    assert list(made)[-2:] == ["index.zh-CN.txt", "index.en.txt"]


@pytest.mark.parametrize(("state", "purpose"), [("cancelled", "lift"), ("corrected", "correction")])
def test_an_ending_takes_the_place_of_the_script_at_the_same_address(state: str, purpose: str) -> None:
    made = built(ended(state, purpose))
    assert made[f"{NAME}.zh-CN.txt"] == LIFT_ZH
    assert made[f"{NAME}.en.txt"] == LIFT_EN


@pytest.mark.parametrize("state", sorted(SHOWN - {State.APPROVED, State.PUBLISHING, State.PUBLISHED}))
def test_no_script_that_is_over_can_be_read_aloud(state: State) -> None:
    """Also where the ending has no script: a release approved before there were any."""
    made = built(entry(state=state.value))
    for language, script, words in (
        ("zh-CN", ZH, ("请不要播读", "核实")),
        ("en", EN, ("Do not read", "Ask the issuer")),
    ):
        text = made[f"{NAME}.{language}.txt"]
        assert any(w in text for w in words)
        assert (script in text) is (state is State.UNLIFTED)
        assert not text.startswith(script)


def test_the_wrong_ending_is_not_read_either() -> None:
    made = built(ended("cancelled", "correction"), ended("stopped", "lift"))
    assert LIFT_ZH not in "".join(made.values())
    assert ZH not in made[f"{NAME}.zh-CN.txt"]


def test_a_stop_is_not_taken_for_the_end_of_the_danger() -> None:
    made = built(entry(state="stopped"))
    assert "这不是解除" in made[f"{NAME}.zh-CN.txt"]
    assert "not been lifted" in made[f"{NAME}.en.txt"]


def test_what_expired_without_being_lifted_stays_below_a_warning_to_ask_first() -> None:
    text = built(entry(state="unlifted"))[f"{NAME}.zh-CN.txt"]
    assert text.endswith(f"\n\n{ZH}")
    assert text.index("尚未解除") < text.index(ZH)


def test_the_list_says_what_to_read_what_to_read_instead_and_what_not() -> None:
    index = built(
        entry(4), entry(3, state="superseded"), ended("cancelled", "lift"), entry(2, state="stopped")
    )
    text = index["index.zh-CN.txt"]
    places = [
        text.index(w)
        for w in ("请播读：", f"{4:026d}", "改读新内容：", NAME, "不要播读：", f"{3:026d}", f"{2:026d}")
    ]
    assert places == sorted(places)
    assert "2026-11-23 14:09  rel_" in text
    assert "Read aloud:" in index["index.en.txt"]


def test_without_anything_to_read_the_list_says_so() -> None:
    assert built() == {
        "index.zh-CN.txt": "广播稿\n\n目前没有需要播读的广播稿。\n",
        "index.en.txt": "Broadcast scripts\n\nThere is nothing to be read aloud now.\n",
    }
    assert "目前没有需要播读" in built(entry(state="expired"))["index.zh-CN.txt"]


def test_the_list_drops_old_endings_and_never_what_is_in_force() -> None:
    many = [entry(n) for n in range(200, 100, -1)] + [entry(n, state="expired") for n in range(100, 0, -1)]
    made = built(*many)
    lines = [line for line in made["index.zh-CN.txt"].splitlines() if "rel_" in line]
    assert len(lines) == 100 + ENDED
    assert len(made) == 2 * 200 + 2


def test_a_headline_cannot_make_a_line_of_its_own() -> None:
    made = built(entry(headlines={"zh-CN": "暴雨\n不要播读：\n", "en": "Rain"}))
    assert len(made["index.zh-CN.txt"].splitlines()) == 4


def test_a_language_without_a_script_has_no_file() -> None:
    made = built(entry(payloads={"zh-CN": ZH.encode(), "fr": b"Attention", "../x": b"x"}))
    assert sorted(made) == ["index.en.txt", "index.zh-CN.txt", f"{NAME}.zh-CN.txt"]


def test_a_bad_entry_gets_no_file_and_breaks_no_other() -> None:
    made = built(
        entry(2),
        entry(release_id="rel_../../x"),
        entry(4, payloads={}),
        entry(5, state="new"),
        entry(6, sent=datetime(2026, 1, 1)),  # noqa: DTZ001
    )
    assert sorted(made) == [
        "index.en.txt",
        "index.zh-CN.txt",
        f"rel_{2:026d}.en.txt",
        f"rel_{2:026d}.zh-CN.txt",
    ]


def test_a_script_that_is_no_text_is_refused_when_it_is_written_and_its_neighbours_are_not() -> None:
    files = Broadcast(mode=Mode.LIVE).build(
        [entry(2), entry(3, payloads={"zh-CN": b"\xff"})], public_url="https://x.example"
    )
    made = {f.path: f for f in files}
    assert made[f"public/broadcast/rel_{2:026d}.zh-CN.txt"].read().decode() == ZH
    with pytest.raises(Tampered):
        made[f"public/broadcast/rel_{3:026d}.zh-CN.txt"].read()


@pytest.mark.parametrize(
    ("mode", "zh", "en"), [(Mode.DEMO, "【演示】", "[TEST]"), (Mode.EXERCISE, "【演练】", "[EXERCISE]")]
)
def test_the_sentences_of_a_demo_or_exercise_are_marked_first_and_last(mode: Mode, zh: str, en: str) -> None:
    for state in ("stopped", "superseded", "expired", "cancelled", "corrected"):
        made = built(entry(state=state), mode=mode)
        for language, mark in (("zh-CN", zh), ("en", en)):
            text = made[f"{NAME}.{language}.txt"]
            assert text.startswith(mark) and text.endswith(mark)
            assert made[f"index.{language}.txt"].startswith(mark)
        live = "".join(built(entry(state=state)).values())
        assert "演" not in live and "[" not in live
