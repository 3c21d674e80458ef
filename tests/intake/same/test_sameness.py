"""What is found to tell of the same: the labelled sets through the store, and what is said of it."""

import re
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from domain.handling import Handling
from domain.person import Person, Role
from domain.report import Attachment, Content
from intake.same import grounds, places
from intake.same.score import THRESHOLD, Likeness, likely, likeness
from intake.same.sketch import from_json, sketch
from intake.same.step import Sameness
from intake.study import Student
from store import blobs, incidents, reports, scans, sketches
from store import tables as t
from tests.intake.same import fit
from tests.outbox.outbox_kit import Standing
from tests.reports_kit import filed
from tocsin.benches import dedupe, labelled
from tocsin.benches.labelled import ZONE

OFFICER = Person(id="per_1", name="li", organisation="", roles=frozenset({Role.OFFICER}))


def student(store, at):
    return Student(
        store=store,
        clock=Standing(at),
        steps=(Sameness(zone=ZONE),),
        on_bug=lambda _, e: pytest.fail(repr(e)),
    )


def told(store, at, text, **more):
    name = filed(store, at, text, **more)
    student(store, at).study(name)
    return name


def seen(store, name):
    return store.read(lambda u: incidents.candidates(u, name))


def run_part(store, part):
    """The score of a part, each report filed and studied in its turn."""
    ids: dict[str, str] = {}

    def propose(one, _):
        report = one.report
        facts = {name: facts[0].value for name, facts in report.content.facts.items()}
        ids[told(store, report.received_at, report.content.text, channel=report.channel, area=report.area,
                 sender=report.id, facts=facts)] = one.incident  # fmt: skip
        name = list(ids)[-1]
        return [labelled.Labelled(ids[c.other], report) for c in seen(store, name)]

    return labelled.score(labelled.read(part), propose)


def test_of_the_labelled_reports_the_same_incident_is_among_the_first_three() -> None:
    assert sum(len(labelled.read(part)) for part in labelled.PARTS) >= 400
    scores = {part: dedupe.scored([part]) for part in labelled.PARTS}
    low = {
        part: (s.recall, s.precision) for part, s in scores.items() if s.recall < 0.86 or s.precision < 0.88
    }
    assert low == {}
    found = sum(scores.values(), labelled.Score(0, 0, 0, 0))
    assert (found.recall >= 0.94, found.precision >= 0.95) == (True, True)
    first = sum((scores[f"part{n}"] for n in range(1, 8)), labelled.Score(0, 0, 0, 0))
    assert (first.recall >= 0.96, first.precision >= 0.96) == (True, True)


def test_of_sets_that_no_weight_has_seen_nine_in_ten_are_found_and_few_proposals_are_wrong() -> None:
    assert not set(labelled.HELD) & set(labelled.PARTS)
    found = dedupe.scored(labelled.HELD)
    assert found.questions >= 200
    assert (found.recall >= 0.92, found.precision >= 0.95) == (True, True)
    last = dedupe.scored(["part15"])  # after which no word was mended
    assert (last.recall >= 0.86, last.precision >= 0.88) == (True, True)


def test_weights_that_never_saw_a_set_find_in_it_nearly_as_well() -> None:
    found = fit.scored("part1", fit.fit(["part6", "part7"]))
    assert (found.recall >= 0.9, found.precision >= 0.9) == (True, True)


def test_every_ground_has_a_weight_and_none_has_the_wrong_sign() -> None:
    weights = tomllib.loads(fit.WEIGHTS.read_text("utf-8"))
    source = "".join(Path(m.__file__).read_text("utf-8") for m in (grounds, places))
    named = set(re.findall(r'Ground\("([a-z_0-9]+)"', source)) - {"minutes"}
    assert len(named) > 20
    assert named <= set(weights)
    wrong = {n for n, w in weights.items() if n not in fit.EITHER and w * (-1 if n in fit.AGAINST else 1) < 0}
    assert wrong == set()


@pytest.mark.parametrize(
    ("one", "other", "is_likely"),
    [
        ("上营村滑坡，堵了两家的门", "下营村滑坡，压了猪圈", False),
        ("老渡口翻船了，人在水里", "新渡口有条船翻了", False),
        ("金源小区5栋八楼着火了", "金源小区五号楼8层起火", True),
        ("金源小区5栋八楼着火了", "金源小区12栋起火，烟很大", False),
        ("G318国道K1234+500处三车追尾", "318国道1234公里撞车了，三辆", True),
        ("G318国道K1234+500处三车追尾", "318国道K1251两车追尾，没伤人", False),
        ("老鹰嘴那边山上冒烟，起山火了", "老鹰嘴山火，风大", True),
        ("豫H2B765货车在高速上着火", "我是豫H2B765的车主，车烧了", True),
        ("阳光花园停电了", "岩脚村二组山体滑坡", False),
        ("strong smell of gas at 14 Palm Street", "gas leak, 41 Palm Street", False),
        ("big fire behind Lotus Hotel", "the store behind the Lotus Hotel is burning", True),
        ("Fire at the Golden Lotus guesthouse", "金莲客栈起火，二楼往外冒火", True),
        (
            "rockfall at Miller's Bend, a scooter is under it",
            "Millers bend: landslip, somebody is under it",
            True,
        ),
        ("沪陕高速K612大雾连环撞", "沪蓉高速K612爆胎", False),
        ("三一八国道一七零二那里落石", "G318 K1702 塌方", True),
        ("落塔村滑坡，埋了一个人", "落塔村滑坡演练，模拟埋了一个人", False),
        ("文县路工地塔吊倒了，砸到人", "文县路有家店吵架拿刀", False),
    ],
)
def test_what_agrees_and_what_differs_decides(at, one, other, is_likely) -> None:
    a, b = (sketch(_told(at, text), ZONE) for text in (one, other))
    assert (likeness(a, b).score >= THRESHOLD) == is_likely
    assert likeness(a, b).score == likeness(b, a).score


def test_a_time_that_is_still_to_come_is_not_when_it_happened(at) -> None:
    told = _told(at, "柳园小区变压器起火，预计22时恢复供电")
    assert not sketch(told, ZONE).is_timed


def test_an_account_that_says_when_counts_from_then_and_not_from_its_arrival(at) -> None:
    clock = at.astimezone(ZONE)
    early = sketch(_told(at, "洞河镇石头砸了面包车"), ZONE)
    late = replace(
        _told(at, f"交警：{clock.hour}时{clock.minute:02d}分洞河镇落石砸中一辆面包车"),
        received_at=at + timedelta(hours=1),
    )
    names = {ground.name for ground in grounds.grounds(early, sketch(late, ZONE))}
    assert "clock" in names and "apart" not in names


def test_what_is_far_behind_the_likeliest_is_not_proposed_beside_it() -> None:
    def like(score):
        return Likeness(score=score, reasons=())

    assert [n for n, _ in likely([("c", like(THRESHOLD)), ("a", like(0.99)), ("b", like(0.97))])] == [
        "a",
        "b",
    ]
    assert [n for n, _ in likely([("c", like(THRESHOLD)), ("d", like(THRESHOLD - 0.01))])] == ["c"]
    assert likely([]) == []


def test_a_sketch_is_the_same_after_the_store() -> None:
    one = sketch(labelled.read("part4")[3].report, ZONE)
    assert from_json(one.to_json()) == one


def _told(at, text):
    return replace(
        labelled.read("part1")[0].report,
        content=Content(text=text, language="zh", facts={}),
        area="",
        received_at=at,
    )


@pytest.mark.parametrize("part", ["part2", "part10"])
def test_through_the_store_the_search_by_keys_loses_next_to_nothing(store, part) -> None:
    found, whole = run_part(store, part), dedupe.scored([part])
    assert found.recall >= whole.recall - 0.02
    assert found.precision >= whole.precision - 0.02


def test_the_index_holds_no_word_of_a_report(store, areas, at) -> None:
    told(store, at, "大坪村三组滑坡，埋了两家")
    rows = store.read(lambda u: u.rows(sa.select(t.sketch_key.c.key)))
    sealed = store.read(lambda u: u.scalar(sa.select(t.sketch.c.sealed)))
    assert rows and all(isinstance(row.key, int) for row in rows)
    assert "大坪".encode() not in bytes(sealed) and b"|da|pin|" not in bytes(sealed)


def test_a_report_whose_key_was_destroyed_is_proposed_to_nobody(store, areas, at) -> None:
    first = told(store, at, "大坪村三组滑坡，埋了两家")
    store.run(lambda u: u.vault.destroy(u.connection, first, at))
    second = told(store, at + timedelta(minutes=5), "大平村滑坡，埋了2家", sender="+8613900000009")
    assert seen(store, second) == []
    store.run(lambda u: sketches.forget(u, first))
    assert store.read(lambda u: u.rows(sa.select(t.sketch.c.report))) == [(second,)]


def test_what_a_mail_says_in_its_attachment_is_compared_too(store, areas, at) -> None:
    first = told(store, at, "大平村山塌了埋了2家")
    plain = told(store, at, "详见附件", channel="email", sender="a@example.org")
    assert seen(store, plain) == []
    attached = filed(store, at, "详见附件", channel="email", sender="b@example.org")

    def scanned(unit):
        file = Attachment(
            name="a.docx", media_type="application/zip", declared_type="", size=1, sha256="0" * 64
        )
        blobs.note(unit, file.sha256, file.size, Handling.INTERNAL, at)
        scans.expect(unit, attached, [file], at)
        mine = scans.claim(unit, scans.due(unit, at)[0], at, timedelta(minutes=1))
        said = "大坪村三组发生山体滑坡，两户被埋"
        scans.move(unit, mine, "scan", at=at, found={"documents": [{"text": said}]})

    store.run(scanned)
    student(store, at).study(attached)
    assert [c.other for c in seen(store, attached)] == [first]


def test_two_that_are_looked_at_side_by_side_find_each_other(store, areas, at) -> None:
    step = Sameness(zone=ZONE)
    names = [
        filed(store, at, text, sender=f"+861390000000{n}")
        for n, text in enumerate(("大坪村滑坡", "大坪村滑坡了"))
    ]
    pairs = [(one, store.read(lambda u, n=one: reports.get(u, n))) for one in names]
    looked = [(report, step.look(store, report)) for _, report in pairs]
    for report, found in looked:
        store.run(lambda u, r=report, f=found: step.write(u, r, f, at))
    assert [c.other for c in seen(store, names[1])] == [names[0]]
    assert [c.other for c in seen(store, names[0])] == [names[1]]
