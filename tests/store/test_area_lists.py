"""Lists of one area: the same whether they are found by the area or by walking, and quickly where there is little."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa

from domain.report import Report, State
from store import reports
from store import tables as t
from store.reports import Filter
from tests.reports_kit import filed

PLACES = ("330108001000", "330108000000", "330109000000", "440103000000", "", "990101000000")


@pytest.fixture
def town(store, at) -> list[str]:
    """Sixty reports: some where an officer says, some where their words say, some nowhere; every third is claimed."""
    made = []
    for n in range(60):
        moment = at + timedelta(seconds=n // 2)  # two of one moment
        state = State.CLAIMED if n % 3 == 0 else State.FILED
        made.append(filed(store, moment, f"第{n}份", area=PLACES[n % 6] if n % 2 else ""))
        values = {"found_area": PLACES[(n * 5) % 6], "state": state.value}
        store.run(
            lambda u, n=n, v=values: u.execute(
                t.report_row.update().where(t.report_row.c.id == made[n]).values(v)
            )
        )
    return made


def _listed(store, wanted: Filter) -> list[str]:
    """All of it, page by page."""
    found: list[Report] = []
    while True:
        before = (found[-1].received_at, found[-1].id) if found else None
        some = store.read(lambda u, b=before: reports.page(u, wanted, limit=7, before=b))
        found += some
        if len(some) < 7:
            return [one.id for one in found]


STATES = ((), ("claimed",), ("filed", "claimed"), ("closed",))
PREFIXES = ("33", "3301", "330108", "330108001", "330108001000", "44", "65")


@pytest.mark.parametrize("few", [0, 5_000])
def test_a_list_of_an_area_is_the_same_by_both_ways(store, town, monkeypatch, few) -> None:
    monkeypatch.setattr(reports, "FEW", few)  # five thousand reports more would prove nothing else
    seen = store.read(lambda u: reports.page(u, Filter(), limit=99))
    assert len(seen) == len(town)
    for prefix, states in product(PREFIXES, STATES):
        wanted = [
            r.id for r in seen if r.where.startswith(prefix) and (not states or r.state.value in states)
        ]
        assert _listed(store, Filter(area_prefix=prefix, states=states)) == wanted, (prefix, states)


def test_words_are_searched_in_an_area_with_few_reports(store, town) -> None:
    found = store.read(lambda u: reports.page(u, Filter(area_prefix="3301", text="第7份"), limit=9))
    assert [r.content.text for r in found] == ["第7份"]


def test_the_index_of_places_is_used_on_both_databases(store, town) -> None:
    asked: dict[str, Any] = {}

    def hear(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.setdefault(statement, values)

    sa.event.listen(store._reader, "before_cursor_execute", hear)
    _listed(store, Filter(area_prefix="65"))
    (probe,) = (s for s in asked if "count(" in s and "CASE" in s)
    with store._reader.connect() as connection:
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {probe}", asked[probe]).all()
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")  # sixty rows are not worth an index
            plan = connection.exec_driver_sql(f"EXPLAIN {probe}", asked[probe]).all()
    assert "ix_report_where" in str(plan)
