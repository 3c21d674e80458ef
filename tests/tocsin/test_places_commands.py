"""Divisions and landmarks from the command line: all of a file or nothing, what a hub lacks and what it has."""

import pytest

from domain.errors import BadInput
from store import landmarks
from tocsin import cli_places

GOOD = "name,aliases,area,lat,lon,source\n青石水库,青石坝;坝上,990103,30.4,113.2,水利厅\n北站,,990101,,,\n"


def test_a_part_of_the_country_is_loaded_with_what_it_lies_in() -> None:
    rows = {row["code"]: row for row in cli_places.divisions("330110000000", with_townships=False)}
    assert [(c, r["parent"]) for c, r in rows.items()] == [
        ("330000000000", ""),
        ("330100000000", "330000000000"),
        ("330110000000", "330100000000"),
    ]
    towns = list(cli_places.divisions("330110000000", with_townships=True))
    assert {"仓前街道", "瓶窑镇"} <= {row["name_zh"] for row in towns}
    assert {row["parent"] for row in towns if row["code"][6:9] != "000"} == {"330110000000"}


def test_divisions_of_a_city_that_is_a_province_have_a_parent_too() -> None:
    rows = {row["code"]: row["parent"] for row in cli_places.divisions("110000000000", with_townships=False)}
    assert rows["110105000000"] == "110000000000"


def test_landmarks_come_with_their_other_names() -> None:
    first, second = cli_places.marks(GOOD)
    assert (first["aliases"], first["area"], first["lat"]) == (["青石坝", "坝上"], "990103000000", 30.4)
    assert (second["aliases"], second["lat"], second["source"]) == ([], None, "")


@pytest.mark.parametrize(
    ("text", "where"),
    [("name,lat\n青石坝,30\n", "1"), ("name,area\n坝,990103\n", "2"), ("name,area\n青石坝,9901x\n", "2"),
     ("name,area,lat,lon\n青石坝,990103,北纬三十度,113\n", "2"), ("", "1")],
)  # fmt: skip
def test_a_file_of_landmarks_that_does_not_fit_names_its_lines(text, where) -> None:
    with pytest.raises(BadInput) as caught:
        list(cli_places.marks(text))
    assert where in [flaw.pointer for flaw in caught.value.flaws]


def test_loading_again_replaces_and_divisions_stay(store, areas, at) -> None:
    store.run(lambda u: landmarks.load(u, cli_places.marks(GOOD), at))
    store.run(lambda u: landmarks.load(u, cli_places.marks(GOOD.replace("30.4", "30.5")), at))
    rows = store.read(landmarks.everything)
    assert [(r.name, r.lat) for r in rows] == [("北站", None), ("青石水库", 30.5)]
