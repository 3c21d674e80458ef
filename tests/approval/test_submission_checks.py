"""What a draft must be before it may be submitted, and what the frozen bytes must say."""

from dataclasses import replace
from datetime import timedelta

import pytest

from approval import aloud, checks, desk, gather, wording
from approval.preview import preview
from channels.codecs.cap_check import validate
from channels.text import segments
from domain.artefact import Purpose, digest
from domain.errors import BadInput
from domain.handling import Handling, Mode
from domain.release import Audience, Colour, Kind
from store import audience
from templates import library as messages
from templates.library import LANGUAGES, library
from templates.shape import spoken_marks
from tests.approval import releases_made as made

# What is checked here does not depend on the database: one of them is enough.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def trial(store, people, at, template="heavy_rain", mode=None, **changes):
    """(frozen, pointers of the flaws, inputs) of the example with some members of its draft changed."""
    good = made.draft(store, people["officer"], at, template)
    release = desk.unsaved(replace(good, **changes), by=people["officer"], at=at)
    inputs = store.read(lambda u: gather.prepare(u, release, zone=made.ZONE))
    inputs = replace(inputs, mode=mode or inputs.mode)
    frozen, flaws = checks.trial(inputs, made.PLACE, at=at)
    return frozen, {f.pointer for f in flaws}, inputs


@pytest.mark.parametrize("template", sorted(library()))
@pytest.mark.parametrize("mode", list(Mode))
def test_the_example_of_every_template_may_be_submitted_in_every_mode(
    store, people, areas, at, template, mode
) -> None:
    frozen, flaws, _ = trial(store, people, at, template, mode)
    assert flaws == set()
    # (SMS, mail, notice and script in two languages + 1 alert) x (main, correction, lift)
    assert len(frozen.artefacts) == 33
    for artefact in frozen.artefacts:
        if artefact.channel == "cap_feed":
            assert [f for f in validate(artefact.body, as_output=True) if f.is_error] == []
            assert f"<status>{mode.cap_status}</status>".encode() in artefact.body


def test_the_digest_is_of_the_lines_and_the_manifest(store, people, areas, at) -> None:
    frozen, _, _ = trial(store, people, at)
    assert frozen.digest == digest(frozen.artefacts, frozen.manifest)
    named = {"selector", "list_version", "count", "policy", "templates", "issuer", "kind", "mode", "expires"}
    assert named <= set(frozen.manifest)  # MODEL.md, Digest


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "示例省水利厅"}, {"expires": timedelta(hours=1)}, {"colour": Colour.RED},
        {"areas": ("990102000000",)}, {"audience": Audience(groups=("grassroots",))}, {"grade": 2},
        {"channels": ("sms", "cap_feed")}, {"languages": ("zh-CN",)}, {"onset": timedelta(minutes=7)},
        {"organisation": "别的厅"}, {"review_by": timedelta(hours=2)},
        {"repeat_unsure": True},
    ],
    ids=lambda c: next(iter(c)),
)  # fmt: skip
def test_h86_every_input_of_the_freeze_is_in_the_digest(store, people, areas, at, changes) -> None:
    good = made.draft(store, people["officer"], at)
    release = desk.unsaved(good, by=people["officer"], at=at)
    changes = {k: at + v if isinstance(v, timedelta) else v for k, v in changes.items()}

    def bytes_of(draft):
        inputs = store.read(lambda u: gather.prepare(u, replace(release, draft=draft), zone=made.ZONE))
        frozen = checks.render(inputs, made.PLACE, at=at)
        manifest = {**frozen.manifest, "identifier": "", "sent": ""}  # new at each freeze
        lines = [a for a in frozen.artefacts if a.channel != "cap_feed"]
        return digest(lines, manifest)

    assert bytes_of(good) == bytes_of(good)
    assert bytes_of(replace(good, **changes)) != bytes_of(good)


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("/colour", {"colour": None}),
        ("/issuer", {"issuer": " "}),
        ("/areas", {"areas": ()}),
        ("/areas", {"areas": ("990101",) * 201}),
        ("/areas/0", {"areas": ("110000000000",)}),
        ("/areas/0", {"areas": ("99x",)}),
        ("/areas/1", {"areas": ("990101", "990101000000")}),
        ("/audience/areas/0", {"audience": Audience(areas=("110000",))}),
        ("/channels", {"channels": ()}),
        ("/channels", {"channels": ("sms", "sms")}),
        ("/channels/0", {"channels": ("siren",)}),
        ("/languages", {"languages": ()}),
        ("/languages/0", {"languages": ("fr",)}),
        ("/languages/0", {"languages": ("../../etc/passwd",)}),
        ("/handling", {"handling": Handling.INTERNAL}),
        ("/event_code", {"event_code": "14F00"}),
        ("/event_code", {"event_code": "ZZZZZ"}),
        ("/grade", {"grade": 5}),
        ("/response_level", {"response_level": 2}),
        ("/response_level", {"kind": Kind.RESPONSE_START}),
        ("/repeat_unsure", {"repeat_unsure": True, "colour": Colour.YELLOW}),
        ("/fields/hours", {"fields": {"hours": 99}}),
        ("/fields/hazards", {"fields": {"hazards": "sharks"}}),
        ("/fields/unknown", {"fields": {"unknown": 1}}),
    ],
)
def test_a_flaw_is_named_by_its_pointer(store, people, areas, at, pointer: str, changes) -> None:
    if "fields" in changes:
        changes = {"fields": {**library()["heavy_rain"].example_fields, **changes["fields"]}}
    _, flaws, _ = trial(store, people, at, **changes)
    assert pointer in flaws


@pytest.mark.parametrize(
    ("occurred", "is_flaw"),
    [
        (timedelta(0), False),
        (timedelta(days=-1), False),
        (timedelta(minutes=1), False),
        (timedelta(minutes=2), True),
    ],
)
def test_what_has_happened_does_not_lie_in_the_future(
    store, people, areas, at, occurred, is_flaw: bool
) -> None:
    for template in ("earthquake", "hazmat_leak"):
        fields = library()[template].example_fields | {"occurred": (at + occurred).isoformat()}
        flaws = trial(store, people, at, template, fields=fields)[1]
        assert flaws == ({"/fields/occurred"} if is_flaw else set())


@pytest.mark.parametrize("value", ["2026-11-23T14:05:00", "soon", 5, ""])
def test_a_past_time_that_cannot_be_read_is_named_and_breaks_nothing(store, people, areas, at, value) -> None:
    fields = library()["earthquake"].example_fields | {"occurred": value}
    assert "/fields/occurred" in trial(store, people, at, "earthquake", fields=fields)[1]


def test_a_colour_on_a_notice_is_a_flaw(store, people, areas, at) -> None:
    assert "/colour" in trial(store, people, at, "utility_outage", colour=Colour.RED)[1]


@pytest.mark.parametrize(
    ("ahead", "is_flaw"),
    [
        (timedelta(0), True),
        (timedelta(days=-1), True),
        (timedelta(minutes=1), False),
        (timedelta(days=30), False),
        (timedelta(days=30, minutes=2), True),
        (timedelta(days=20_000), True),
    ],
)
def test_expiry_is_ahead_and_at_most_thirty_days(store, people, areas, at, ahead, is_flaw: bool) -> None:
    assert ("/expires" in trial(store, people, at, expires=at + ahead)[1]) is is_flaw


@pytest.mark.parametrize("name", ["effective", "onset"])
def test_it_begins_before_it_ends(store, people, areas, at, name: str) -> None:
    assert f"/{name}" in trial(store, people, at, **{name: at + timedelta(days=2)})[1]


@pytest.mark.parametrize(
    "value",
    ["西\u200b山", "\u202e山西", "西山\u2028", "西\u00ad山", "西山\ufeff", "\u3164", "西\U000e0041山", "西\u034f山",
     "西山\ue000", "a\u0000b", "西山\u2066x\u2069", "x\ufe0f"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["places_zh", "issuer"])
def test_a_character_that_cannot_be_seen_is_refused(store, people, areas, at, where, value) -> None:
    if where == "issuer":
        assert "/issuer" in trial(store, people, at, issuer=value)[1]
        return
    fields = library()["heavy_rain"].example_fields | {where: value}
    assert f"/fields/{where}" in trial(store, people, at, fields=fields)[1]


@pytest.mark.parametrize(
    "words",
    ["这不是演习", "演　练", "[演练]", "【演示】", "THIS IS NOT A DRILL", "ｎｏｔ ａ ｄｒｉｌｌ", "[ Exercise ]", "[TEST]",
     "本条为官方消息", "防汛演習",
     "以下是演示内容", "This is only a test", "That was only a test", "Exercise, exercise"],
)  # fmt: skip
def test_words_that_mark_exercises_are_not_the_authors(store, people, areas, at, words: str) -> None:
    fields = library()["heavy_rain"].example_fields | {"places_zh": words}
    for mode in Mode:
        assert "/fields/places_zh" in trial(store, people, at, mode=mode, fields=fields)[1]
    assert "/issuer" in trial(store, people, at, issuer=words)[1]


@pytest.mark.parametrize(
    "words", ["钻井平台 drilling rig", "演出取消", "Exercise caution near rivers", "考试延期"]
)
def test_ordinary_words_are_not_taken_for_marks(database_url: str, words: str) -> None:
    assert wording.reserved(words) == ""


def test_a_live_text_carries_no_mark_and_an_exercise_denies_none(database_url: str) -> None:
    assert wording.contradiction("【演练】暴雨橙色预警【演练】", Mode.LIVE)
    assert not wording.contradiction("【演练】暴雨橙色预警【演练】", Mode.EXERCISE)
    for mode in Mode:
        assert wording.contradiction("暴雨。This is not a drill.", mode)


def test_an_sms_of_eleven_segments_is_a_flaw(store, people, areas, at) -> None:
    frozen, flaws, _ = trial(store, people, at, issuer="示例省气象台" * 100)
    assert {"/artefacts/sms/zh-CN/main", "/artefacts/sms/en/main"} <= flaws
    sms = next(a for a in frozen.artefacts if a.channel == "sms")
    assert segments(sms.body.decode()).parts > 10


@pytest.mark.parametrize("mode", list(Mode))
def test_a_script_of_more_than_thirty_seconds_is_a_flaw_and_its_marks_are_not_counted(
    store, people, areas, at, mode
) -> None:
    """An exercise plays the text that would be read live: what may be read then may be read now."""
    frozen, flaws, inputs = trial(store, people, at, mode=mode)
    assert flaws == set()
    said = {a.language: a for a in frozen.artefacts if a.channel == "broadcast" and a.purpose is Purpose.MAIN}
    for language, word in (("zh-CN", "雨"), ("en", " rain")):
        text = said[language].body.decode()
        spare = 30 + aloud.seconds(spoken_marks(mode, language), language) - aloud.seconds(text, language)
        for more, is_flaw in ((spare - 2, False), (spare + 2, True)):
            words = int(
                more * (aloud.SYLLABLES_PER_SECOND if language == "zh-CN" else aloud.WORDS_PER_SECOND)
            )
            longer = replace(said[language], body=(text + word * words).encode())
            found = checks.flaws_of_bytes(inputs, replace(frozen, artefacts=(longer,)), place=made.PLACE)
            assert any("seconds to read aloud" in f.detail for f in found) is is_flaw


def test_too_many_areas_for_a_script_are_named_before_anybody_reads_it(store, people, areas, at) -> None:
    long = "示例省" + "应急管理" * 12
    _, flaws, _ = trial(store, people, at, issuer=long)
    assert flaws == {
        f"/artefacts/broadcast/{language}/{purpose}" for language in LANGUAGES for purpose in Purpose
    }
    assert (
        trial(store, people, at, issuer=long, channels=("sms", "email", "web_notice", "cap_feed"))[1] == set()
    )


@pytest.mark.parametrize(
    ("text", "language", "seconds"),
    [
        ("", "zh-CN", 0),
        ("暴雨", "zh-CN", 1),
        ("暴" * 120, "zh-CN", 30),
        ("暴" * 121, "zh-CN", 31),
        ("，。！【】" * 50, "zh-CN", 0),
        ("Ⅱ级" * 60, "zh-CN", 30),
        ("12345" * 24, "zh-CN", 30),
        ("rain " * 75, "en", 30),
        ("rain " * 76, "en", 31),
        ("12345", "en", 2),
        ("50 14 2", "en", 2),
        ("示例省气象台", "en", 2),
        ("don't", "en", 1),
    ],
)
def test_reading_time_counts_what_is_said(database_url: str, text: str, language: str, seconds: int) -> None:
    assert aloud.seconds(text, language) == seconds


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("", "has no subject"),
        ("\n\n正文", "has no subject"),
        ("标题", "has no body below its subject"),
        ("标题\n\n \n", "has no body below its subject"),
        ("标题\n正文", "has no body below its subject"),
        ("题" * 79 + "\n\n正文", "has a subject of 79 characters; at most 78"),
        ("标题\n\n" + "正" * 6_000, "is 18008 bytes long; at most 16000"),
    ],
)
def test_a_letter_without_its_form_is_a_flaw(store, people, areas, at, body: str, detail: str) -> None:
    frozen, _, inputs = trial(store, people, at)
    letter = replace(next(a for a in frozen.artefacts if a.channel == "email"), body=body.encode())
    found = checks.flaws_of_bytes(inputs, replace(frozen, artefacts=(letter,)), place=made.PLACE)
    assert ("/artefacts/email/zh-CN/main", detail) in {(f.pointer, f.detail) for f in found}


def test_elements_are_found_though_a_letter_breaks_its_lines_and_a_script_says_its_times(
    store, people, areas, at
) -> None:
    issuer, onset = "Shili Province Weather Observatory", at + timedelta(minutes=55)
    for more in range(3):  # the line breaks at another word each time
        _, flaws, _ = trial(store, people, at, issuer=issuer + " of it" * more, onset=onset)
        assert {f for f in flaws if "broadcast" not in f} == set()
    frozen, _, inputs = trial(store, people, at, onset=onset)
    for artefact in frozen.artefacts:
        if artefact.channel == "broadcast" and artefact.purpose is Purpose.MAIN:
            silent = artefact.body.decode().replace("15时", "").replace("3 pm", "")
            spoiled = replace(frozen, artefacts=(replace(artefact, body=silent.encode()),))
            details = [f.detail for f in checks.flaws_of_bytes(inputs, spoiled, place=made.PLACE)]
            assert any("起始时间" in d for d in details)


def test_a_page_too_large_for_a_bad_line_is_a_flaw(store, people, areas, at) -> None:
    _, flaws, _ = trial(store, people, at, issuer="示例省气象台" * 500)
    assert "/artefacts/web_notice/zh-CN/main" in flaws


def test_an_alert_that_breaks_a_rule_is_a_flaw(store, people, areas, at) -> None:
    _, flaws, _ = trial(store, people, at, issuer="<b>示例省</b>气象台")
    assert "/artefacts/cap_feed/mul/main" in flaws  # CAP-R17: no HTML in text


@pytest.mark.parametrize("name", ["description", "instruction"])
def test_a_template_that_forgot_an_element_of_art_64_is_found(store, people, areas, at, monkeypatch, name):
    # A template without instruction does not exist, and writing one into the package would change the package.
    parts = messages.parts

    def forgetful(*args, **more):
        return replace(parts(*args, **more), **{name: " "})

    monkeypatch.setattr(messages, "parts", forgetful)
    assert "/artefacts/cap_feed/zh-CN/main" in trial(store, people, at)[1]


def test_a_text_without_issuer_or_area_is_found(store, people, areas, at) -> None:
    frozen, _, inputs = trial(store, people, at)
    blank = replace(next(a for a in frozen.artefacts if a.channel == "sms"), body="暴雨，注意。".encode())
    spoiled = replace(frozen, artefacts=(blank,))
    details = [f.detail for f in checks.flaws_of_bytes(inputs, spoiled, place=made.PLACE)]
    for element in ("发布单位", "可能影响范围", "级别", "发布时间", "起始时间"):
        assert any(element in d for d in details), element


def test_a_flawed_draft_is_not_frozen_and_all_flaws_come_at_once(store, people, areas, at) -> None:
    good = made.draft(store, people["officer"], at)
    bad = replace(good, colour=None, areas=(), expires=at)
    release = store.run(lambda u: desk.create(u, bad, by=people["officer"], at=at))
    with pytest.raises(BadInput) as error:
        made.frozen(store, release.id, at)
    assert error.value.code == "flawed"
    assert {"/colour", "/areas", "/expires"} <= {f.pointer for f in error.value.flaws}


def test_an_empty_area_counts_nobody_and_not_the_whole_list(store, people, areas, at) -> None:
    row = {"channel": "sms", "address": "+8613800000001", "area": made.DISTRICT}
    store.run(lambda u: audience.add(u, [row], at))
    _, flaws, inputs = trial(store, people, at, areas=())
    assert (inputs.reach, "/areas" in flaws) == (0, True)


def test_reach_is_counted_by_area_group_and_language(store, people, areas, at) -> None:
    rows = [
        {"channel": "sms", "address": f"+86138000000{n:02}", "area": area, "group": group, "language": language}
        for n, (area, group, language) in enumerate(
            [("990101", "subscriber", "zh-CN"), ("990101", "responsible", "zh-CN"), ("990101", "subscriber", "en"),
             ("990200", "subscriber", "zh-CN")]
        )
    ]  # fmt: skip
    store.run(lambda u: audience.add(u, rows, at))
    for chosen, expected in (
        (Audience(), 3),
        (Audience(groups=("responsible",)), 1),
        (Audience(languages=("en",)), 1),
        (Audience(areas=("990000",)), 4),
    ):
        assert trial(store, people, at, audience=chosen)[2].reach == expected
    assert trial(store, people, at, channels=("cap_feed",))[2].reach == 0


def test_a_preview_shows_the_bytes_that_would_leave(store, people, areas, at) -> None:
    release = made.created(store, people["officer"], at)
    frozen = made.frozen(store, release.id, at)
    shown = preview(frozen)
    after = store.run(lambda u: desk.submit(u, release.id, frozen, by=people["officer"], at=at))
    assert shown["digest"] == after.digest
    for one, artefact in zip(shown["artefacts"], frozen.artefacts, strict=True):
        assert one["text"].encode() == artefact.body
        assert one["sha256"] == artefact.sha256
        if artefact.channel == "sms":
            counted = segments(one["text"])
            assert (one["segments"], one["encoding"]) == (counted.parts, counted.encoding)
            assert "".join(one["parts"]) == one["text"]
        if artefact.channel == "email":
            assert one["subject"] == one["text"].splitlines()[0]
            assert one["subject_characters"] == len(one["subject"]) <= 78
        if artefact.channel == "broadcast":
            assert 5 < one["seconds"] == aloud.seconds(one["text"], artefact.language)
        if artefact.channel == "cap_feed":
            assert [f for f in one["findings"] if f["severity"] == "error"] == []


def test_warnings_name_what_nothing_forbids(store, people, areas, at) -> None:
    frozen, flaws, inputs = trial(store, people, at, languages=("zh-CN",), expires=at + timedelta(minutes=20))
    assert flaws == set()
    found = checks.warnings(inputs, frozen, at=at)
    assert {"no_recipients:sms", "expires_soon", "not_in_all_languages"} <= set(found)
    long = trial(store, people, at, expires=at + timedelta(days=2))
    assert "longer_than_usual" in checks.warnings(long[2], long[0], at=at)


def test_numbers_run_through_the_year_and_do_not_change(store, people, areas, at) -> None:
    releases = [made.created(store, people["officer"], at + timedelta(seconds=n)) for n in range(3)]
    numbers = [
        store.read(lambda u, i=r.id: gather.prepare_stored(u, i, zone=made.ZONE)).number for r in releases
    ]
    assert numbers == [1, 2, 3]
    next_year = made.created(store, people["officer"], at + timedelta(days=60))
    inputs = store.read(lambda u: gather.prepare_stored(u, next_year.id, zone=made.ZONE))
    assert inputs.number == 1


def test_english_texts_name_the_issuer_in_english_where_its_name_is_known(store, people, areas, at):
    place = replace(made.PLACE, issuers_en={"示例省气象台": "Shili Meteorological Office"})
    release = made.created(store, people["officer"], at)
    inputs = store.read(lambda u: gather.prepare_stored(u, release.id, zone=made.ZONE))
    frozen = checks.freeze(inputs, place, at=at)
    texts = {(a.channel, a.language): a.body.decode() for a in frozen.artefacts if a.purpose is Purpose.MAIN}
    assert "Shili Meteorological Office" in texts["sms", "en"] and "示例省" not in texts["sms", "en"]
    assert "示例省气象台" in texts["sms", "zh-CN"]
    assert "<senderName>Shili Meteorological Office</senderName>" in texts["cap_feed", "mul"]
