"""Publishers keep the rows that they made: whatever happens to releases, their files are those of a new publisher."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from channels.cap_feed import CapFeed
from channels.codecs.pieces import Pieces
from channels.contract import Division, Entry, Publisher
from channels.web_notice import WebNotice
from domain.handling import Mode

SENT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
ID = "rel_{:026d}"
PAYLOADS = {key: b"<p>x</p>" for key in ("zh-CN", "en", "mul", "mul+lift", "mul+correction")}
OUTER = Division(code="330100000000", names={"zh-CN": "外市", "en": "Outer"})

CHANGES = [
    {"state": "superseded"}, {"state": "cancelled"}, {"state": "corrected"}, {"state": "unlifted"},
    {"changed_at": SENT + timedelta(days=1)}, {"expires": SENT + timedelta(days=2)}, {"colour": "blue"}, {"colour": ""},
    {"issuer": "某局"}, {"identifier": "other"}, {"headlines": {"zh-CN": "雪", "en": "Snow"}}, {"number": 99},
    {"channels": ("cap_feed",)}, {"supersedes": ""}, {"hashes": {key: "other" for key in PAYLOADS}},
    {"divisions": (OUTER, Division(code="330102000000", names={"zh-CN": "上区"}, centre=(120.2, 30.2)))},
    {"divisions": (OUTER, Division(code="330102000000", names={"zh-CN": "下区", "en": "Xia"}))},
]  # fmt: skip


def told(n: int) -> Entry:
    """The n-th, which replaced the one before it."""
    return Entry(
        release_id=ID.format(n), identifier=f"id-{n}", state="published", sent=SENT + timedelta(minutes=n),
        changed_at=SENT + timedelta(minutes=n), expires=SENT + timedelta(hours=6), kind="warning", colour="red",
        event_code="11B03", issuer="局", areas=("330102000000",), headlines={"zh-CN": "雨"}, payloads=PAYLOADS,
        hashes={key: key for key in PAYLOADS}, number=n, supersedes=ID.format(n - 1),
    )  # fmt: skip


def files(publisher: Publisher, entries: list[Entry], url: str) -> dict[str, bytes]:
    return {f.path: f.read() for f in publisher.build(entries, public_url=url)}


@pytest.mark.parametrize("make", [CapFeed, WebNotice])
def test_one_that_lives_long_writes_what_a_new_one_writes(make: type[CapFeed]) -> None:
    """Of three that replaced each other one is changed or gone, each in turn, and then stands as before."""
    before = [told(n) for n in (3, 2, 1)]
    turns = [(before, "https://a.example"), (before, "https://b.example")]
    for place, one in enumerate(before):
        for change in CHANGES:
            turns.append(
                ([*before[:place], replace(one, **change), *before[place + 1 :]], "https://a.example")
            )
        turns.append(([*before[:place], *before[place + 1 :]], "https://a.example"))
    old = make(mode=Mode.LIVE)
    for entries, url in turns:
        assert files(old, entries, url) == files(make(mode=Mode.LIVE), entries, url)


def test_a_row_is_made_once_and_the_longest_unused_goes_first() -> None:
    kept: Pieces[str] = Pieces(2)
    made: list[str] = []

    def get(key: str) -> str:
        return kept.get(key, lambda: made.append(key) or key * 2)

    assert [get(key) for key in "abab"] == ["aa", "bb", "aa", "bb"]
    assert made == ["a", "b"]
    get("a")
    get("c")  # b goes
    get("a")
    get("b")
    assert made == ["a", "b", "c", "b"]
