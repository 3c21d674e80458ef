"""Statutory clocks: which rules fit, when they are due to the second, and that no hour can be gained."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock import (
    LONGEST_ALARM,
    Duty,
    Rule,
    StartsFrom,
    Times,
    alarm_at,
    next_follow_up,
    set_by,
    starts,
)

CHINA, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
AT = datetime(2026, 11, 23, 2, 14, 7, 250_000, tzinfo=UTC)
GRAVE = Rule(id="grave", name="I, II", grade=2, phone=timedelta(minutes=15), written=timedelta(minutes=35))
MILD = Rule(id="mild", name="IV", grade=4, mildest=4, written=timedelta(hours=6))
ANY = Rule(id="any", name="all", phone=timedelta(minutes=20), written=timedelta(minutes=40))
WORK = Rule(id="work", name="work", category="12", written=timedelta(hours=1))


def fits(rule, **more):
    given = {
        "event_code": "11D01",
        "grade": 4,
        "hop": "county_city",
        "is_sensitive": False,
        "on": date(2026, 11, 23),
    }
    return rule.fits(**given | more)


def due(rules, times=None, **more):
    given = {"event_code": "11D01", "grade": 4, "hop": "county_city", "is_sensitive": False, "zone": CHINA}
    return set_by(rules, times or Times(received_at=AT), **given | more)


@pytest.mark.parametrize(
    ("rule", "more", "is_fit"),
    [
        (GRAVE, {"grade": 1}, True), (GRAVE, {"grade": 2}, True), (GRAVE, {"grade": 3}, False),
        (GRAVE, {"grade": None}, False), (ANY, {"grade": None}, True), (MILD, {"grade": 3}, False),
        (MILD, {"grade": 4}, True), (WORK, {"event_code": "12A01"}, True), (WORK, {"event_code": "11A01"}, False),
        (WORK, {"event_code": ""}, False), (GRAVE, {"grade": 4, "is_sensitive": True}, True),
        (GRAVE, {"grade": None, "is_sensitive": True}, True), (MILD, {"grade": 4, "is_sensitive": True}, False),
        (replace(ANY, hop="city_province"), {}, False), (replace(ANY, hop="county_city"), {}, True),
        (replace(ANY, effective=date(2026, 11, 23)), {}, True), (replace(ANY, effective=date(2026, 11, 24)), {}, False),
        (replace(ANY, superseded=date(2026, 11, 23)), {}, False), (replace(ANY, superseded=date(2026, 11, 24)), {}, True),
    ],
)  # fmt: skip
def test_a_rule_fits_by_category_grade_hop_sensitivity_and_day(rule, more, is_fit) -> None:
    assert fits(rule, **more) is is_fit


def test_the_day_of_a_rule_is_that_of_the_hub_and_not_of_utc() -> None:
    late = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)  # the first second of 2027 in China
    rule = replace(ANY, effective=date(2027, 1, 1))
    assert due([rule], Times(received_at=late))
    assert not due([rule], Times(received_at=late - timedelta(microseconds=1)))


def test_limits_are_exact_and_the_strictest_of_all_is_there() -> None:
    found = due([GRAVE, ANY], grade=2)
    phones = sorted(one.due_at for one in found if one.duty is Duty.PHONE)
    assert phones == [AT + timedelta(minutes=15), AT + timedelta(minutes=20)]
    assert min(o.due_at for o in found if o.duty is Duty.WRITTEN) == AT + timedelta(minutes=35)


@given(st.sampled_from([1, 2, 3, 4, None]), st.sampled_from([1, 2, 3, 4]))
def test_an_upgrade_moves_no_due_time_later(before, after) -> None:
    if before is not None and after > before:
        return
    rules = [GRAVE, ANY, replace(GRAVE, id="third", grade=3, phone=timedelta(minutes=30))]
    for duty in (Duty.PHONE, Duty.WRITTEN):
        was = [o.due_at for o in due(rules, grade=before) if o.duty is duty]
        now = [o.due_at for o in due(rules, grade=after) if o.duty is duty]
        assert min(now) <= min(was)


def test_a_start_that_is_not_known_or_later_than_the_receipt_is_the_receipt() -> None:
    rule = replace(ANY, starts_from=StartsFrom.OCCURRENCE)
    hour = timedelta(hours=1)
    assert starts(rule, Times(received_at=AT)) == (AT, StartsFrom.RECEIPT)
    assert starts(rule, Times(received_at=AT, occurred_at=AT + hour)) == (AT, StartsFrom.RECEIPT)
    assert starts(rule, Times(received_at=AT, occurred_at=AT - hour)) == (AT - hour, StartsFrom.OCCURRENCE)


def test_an_order_sets_its_clock_when_it_comes_and_not_before() -> None:
    rule = replace(ANY, starts_from=StartsFrom.ORDER)
    assert not due([rule])
    (phone, _) = due([rule], Times(received_at=AT, ordered_at=AT + timedelta(hours=2)))
    assert phone.due_at == AT + timedelta(hours=2, minutes=20)


@pytest.mark.parametrize(
    ("after", "zone", "wanted"),
    [
        (datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC), CHINA, datetime(2026, 11, 23, 0, 0, tzinfo=UTC)),
        (datetime(2026, 11, 23, 0, 0, tzinfo=UTC), CHINA, datetime(2026, 11, 23, 9, 0, tzinfo=UTC)),
        (datetime(2026, 11, 23, 9, 0, tzinfo=UTC), CHINA, datetime(2026, 11, 24, 0, 0, tzinfo=UTC)),
        (datetime(2028, 2, 28, 10, 0, tzinfo=UTC), CHINA, datetime(2028, 2, 29, 0, 0, tzinfo=UTC)),
        (datetime(2026, 12, 31, 10, 0, tzinfo=UTC), CHINA, datetime(2027, 1, 1, 0, 0, tzinfo=UTC)),
        (datetime(2026, 10, 24, 20, 0, tzinfo=UTC), BERLIN, datetime(2026, 10, 25, 7, 0, tzinfo=UTC)),
        (datetime(2026, 3, 28, 20, 0, tzinfo=UTC), BERLIN, datetime(2026, 3, 29, 6, 0, tzinfo=UTC)),
    ],
)
def test_r20_f28_a_follow_up_is_due_at_its_time_of_day_over_leap_days_years_and_changes_of_clocks(
    after, zone, wanted
) -> None:
    rule = replace(ANY, daily=(time(8), time(17)))
    assert next_follow_up(rule, after, zone) == wanted


def test_f28_a_time_of_day_that_is_skipped_or_comes_twice_is_due_once() -> None:
    rule = replace(ANY, daily=(time(2, 30),))
    seen = []
    for start in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        at = start
        for _ in range(3):
            at = next_follow_up(rule, at, BERLIN)
            seen.append(at)
    assert [one.isoformat() for one in seen] == [
        "2026-03-29T01:30:00+00:00", "2026-03-30T00:30:00+00:00", "2026-03-31T00:30:00+00:00",
        "2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00", "2026-10-27T01:30:00+00:00",
    ]  # fmt: skip


@given(st.integers(0, 40 * 366 * 86400), st.sampled_from([CHINA, BERLIN]))
def test_a_follow_up_is_always_ahead_and_within_a_day_and_an_hour(seconds, zone) -> None:
    after = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    found = next_follow_up(replace(ANY, daily=(time(8),)), after, zone)
    assert timedelta() < found - after <= timedelta(hours=25)


def test_the_alarm_comes_before_it_is_due() -> None:
    assert alarm_at(AT, AT + timedelta(minutes=20)) == AT + timedelta(minutes=15)
    assert alarm_at(AT, AT + timedelta(hours=6)) == AT + timedelta(hours=6) - LONGEST_ALARM
