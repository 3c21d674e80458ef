"""The benchmark measures on hubs of its own and leaves nothing behind; its seconds are nobody's test."""

import json

import pytest

from tests.servers import need
from tests.tocsin.test_up import _tocsin
from tocsin.benches.figure import Figure, percentile

SMALL = (
    "--recipients",
    "200",
    "--reports",
    "1200",
    "--mails",
    "40",
    "--approvals",
    "2",
    "--pairs",
    "1",
    "--json",
)
NAMES = ["mail_2k", "mail_100k", "webhooks", "bulletins", "filing", "visible", "first_call", "first_byte", "out", "memory",
         "out_http", "queue_page", "study_place", "study_kind", "study_names", "dedupe_recall", "dedupe_precision",
         "dedupe_time"]  # fmt: skip


@pytest.mark.parametrize(
    ("store", "only", "names"),
    [
        pytest.param("sqlite", "", NAMES, marks=pytest.mark.faults),
        ("sqlite", "webhooks", ["webhooks"]),
        ("postgres", "out", ["out", "memory"]),
    ],
)
def test_every_figure_stands_beside_a_ceiling_of_the_same_run(store, only, names) -> None:
    if store == "postgres":
        need("initdb", "postgres", "psql")
    done = _tocsin("bench", "--store", store, "--only", only, *SMALL)
    assert done.returncode in (0, 1), done.stderr  # 1: so small a run misses some of them
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["name"] for row in rows] == names, done.stderr
    assert {row["store"] for row in rows} == {store}
    assert [row for row in rows if min(row["value"], row["ceiling"], row["ratio"]) <= 0] == []


def test_an_unknown_figure_is_refused_in_a_sentence() -> None:
    done = _tocsin("bench", "--only", "speed")
    assert done.returncode == 2
    assert "mail_2k" in done.stderr


def test_a_figure_says_whether_it_is_what_it_shall_be() -> None:
    figure = Figure(name="x", store="sqlite", value=90, unit="s", ceiling=100, against="y", reach=0.85,
                    is_ratio=True, runs=(0.8, 0.9, 0.86))  # fmt: skip
    assert figure.ratio == 0.86
    assert figure.is_reached
    slow = Figure(name="x", store="sqlite", value=0.4, unit="s", ceiling=0.1, against="y", reach=0.3,
                  is_ratio=False, is_at_most=True)  # fmt: skip
    assert not slow.is_reached
    assert slow.to_json()["reach"] == "value <= 0.3"


@pytest.mark.parametrize(("percent", "is_then"), [(50, 50), (95, 95), (99, 99), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(percent, is_then) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == is_then
    assert percentile([3.0], percent) == 3.0
