"""Points: the published vectors of the Chinese systems, there and back, and distances."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import position
from domain.position import Datum, distance, gcj02_of_wgs84, wgs84_of_bd09, wgs84_of_gcj02

PUBLISHED = [  # eviltransform, python/test.py and go/transform_test.go
    ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
    ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
    ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
    ((39.739200, -104.990300), (39.739200, -104.990300)),
    ((-27.469800, 153.025100), (-27.469800, 153.025100)),
    ((-22.906800, -43.172900), (-22.906800, -43.172900)),
]
PUBLISHED_BD = [  # wandergis/coordtransform, README: GCJ-02 -> BD-09
    ((39.915, 116.404), (39.92133699351021, 116.41036949371029)),
]
in_china = st.tuples(st.floats(18, 53), st.floats(74, 134))


@pytest.mark.parametrize(("wgs", "gcj"), PUBLISHED)
def test_wgs84_and_gcj02_are_as_published(wgs, gcj) -> None:
    assert gcj02_of_wgs84(*wgs) == pytest.approx(gcj, abs=1e-9)
    assert wgs84_of_gcj02(*gcj) == pytest.approx(wgs, abs=1e-8)


@pytest.mark.parametrize(("gcj", "bd"), PUBLISHED_BD)
def test_bd09_is_as_published(gcj, bd) -> None:
    assert position.bd09_of_gcj02(*gcj) == pytest.approx(bd, abs=1e-12)
    assert position.gcj02_of_bd09(*bd) == pytest.approx(gcj, abs=1e-9)
    shortcut = (
        39.90865673957631,
        116.39762729119315,
    )  # of the same page, for (39.915, 116.404): one step, no rounds
    assert distance(position.gcj02_of_bd09(*gcj), shortcut) < 1


@given(in_china)
def test_there_and_back_is_the_same_point(point) -> None:
    for there, back in (
        (gcj02_of_wgs84, wgs84_of_gcj02),
        (position.bd09_of_gcj02, position.gcj02_of_bd09),
        (position.bd09_of_wgs84, wgs84_of_bd09),
    ):
        assert distance(back(*there(*point)), point) < 0.001
        assert 0 < distance(there(*point), point) < 2500


@given(st.tuples(st.floats(-90, 90), st.floats(-180, 180)).filter(lambda p: not position.is_in_china(*p)))
def test_outside_china_nothing_is_moved(point) -> None:
    for convert in (gcj02_of_wgs84, wgs84_of_gcj02, position.bd09_of_wgs84, wgs84_of_bd09):
        assert convert(*point) == point


def test_a_distance_is_along_the_earth() -> None:
    shanghai, beijing = PUBLISHED[0][1], PUBLISHED[2][1]
    assert distance(shanghai, beijing) == pytest.approx(
        1078164, rel=0.002
    )  # eviltransform, with R = 6371000 m
    assert distance((0, 0), (0, 180)) == pytest.approx(math.pi * position.EARTH)
    assert distance((30, 120), (30.00001, 120)) == pytest.approx(1.112, abs=0.001)
    assert distance(shanghai, shanghai) == 0


@pytest.mark.parametrize("datum", list(Datum))
def test_a_fact_names_its_system_and_how_good_it_is(datum) -> None:
    found = position.read("31.1774276,121.5272106", position.note(datum, 24.2))
    assert (found.given_as, found.accuracy) == (datum, 25)
    moved = distance((found.lat, found.lon), (31.1774276, 121.5272106))
    assert moved == 0 if datum is Datum.WGS84 else 200 < moved < 2000


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_words_may_stand_where_a_position_is_expected(value, note) -> None:
    position.read(value, note)


@pytest.mark.parametrize(
    "value", ["", "30", "0,0", "91,120", "30,181", "nan,nan", "1e3,4", "30,120,5", "３０,120"]
)
def test_what_is_no_position_is_none(value) -> None:
    assert position.read(value) is None
