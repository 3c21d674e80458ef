"""Whom an audience reaches, and to whom of them nothing leaves."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from store import audience
from store.database import Store
from store.unit import Unit


def _row(n: int, group: str = "subscriber", area: str = "990101", channel: str = "sms") -> dict[str, Any]:
    return {"channel": channel, "address": f"+86138001380{n:02d}", "area": area, "group": group}


def test_those_who_opted_out_are_counted_apart_and_an_office_outweighs_it(store: Store, at: datetime) -> None:
    rows = [
        _row(1),
        _row(2),
        _row(3, "responsible"),
        _row(3),
        _row(4, area="990201"),
        _row(4, channel="voice"),
    ]

    def work(unit: Any) -> None:
        audience.add(unit, rows, at)
        for n in (
            1,
            3,
            4,
            9,
        ):  # the third holds an office, the fourth lives elsewhere, the ninth is no recipient
            audience.opt_out(unit, "sms", f"+86138001380{n:02d}", inbound=f"i{n}", at=at)

    store.run(work)

    def count(**more: Any) -> tuple[int, int]:
        wanted: dict[str, Any] = {"channel": "sms", "areas": ["990100"], **more}
        return store.read(
            lambda unit: (audience.count(unit, **wanted)[1], audience.count_silenced(unit, **wanted))
        )

    assert count() == (3, 1)
    assert count(areas=["990000"]) == (4, 2)
    assert count(areas=["990200"]) == (1, 1)
    # asked for as subscribers only, whoever holds an office is one like any other
    assert count(groups=["subscriber"]) == (3, 1), "his word as a responsible person was written down as such"
    assert store.read(audience.count_opted_out) == {"sms": 3}


def test_the_list_in_numbers_knows_channels_groups_and_areas(store: Store, at: datetime) -> None:
    store.run(lambda unit: audience.add(unit, [_row(1), _row(2), _row(3, "responsible")], at))
    store.run(lambda unit: audience.remove(unit, "sms", "+8613800138002"))
    found = store.read(audience.numbers)
    assert [tuple(row) for row in found] == [
        ("sms", "responsible", "990101000000", 1), ("sms", "subscriber", "990101000000", 1)
    ]  # fmt: skip
    assert store.read(audience.groups) == ["responsible", "subscriber"]


def test_a_list_that_is_being_read_in_is_not_walked_for_each_page_of_it(store: Store, at: datetime) -> None:
    """PostgreSQL knows no size of it yet: 100,000 rows took minutes, each page longer than the one before."""

    def rows(first: int) -> list[dict[str, str]]:
        numbers = range(first, first + 4_000)
        return [{"channel": "sms", "address": f"+8613{n:09}", "area": "990101", "language": "zh-CN",
                 "group": "subscriber", "name": ""} for n in numbers]  # fmt: skip

    def read(unit: Unit) -> int:
        table = "'recipient'::regclass"
        counted = f"pg_stat_get_xact_tuples_fetched({table}) + pg_stat_get_xact_tuples_returned({table})"
        return int(unit.scalar(sa.text(f"SELECT {counted}")) or 0)

    def work(unit: Unit) -> int:
        audience.add(unit, rows(4_000), at)
        audience.add(unit, rows(2_000), at)  # half of them once more
        return read(unit) if unit.is_postgres else 0

    store.run(lambda unit: audience.add(unit, rows(0), at))
    assert store.run(work) <= 8_000
    assert store.read(lambda unit: audience.count(unit, channel="sms", areas=("990101",)))[1] == 8_000
