"""The benchmark measures on a hub of its own and leaves nothing behind; its seconds are nobody's test."""

import json

from tests.tocsin.test_up import _tocsin


def test_every_figure_stands_beside_a_ceiling_of_the_same_run() -> None:
    done = _tocsin("bench", "--size", "500", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["name"] for row in rows] == ["kept", "mail", "expand", "deliver", "ending"]
    assert all(row["rate"] > 0 and row["ceiling"] > 0 and row["ratio"] > 0 for row in rows)


def test_an_unknown_figure_is_refused_in_a_sentence() -> None:
    done = _tocsin("bench", "--only", "speed")
    assert done.returncode == 2
    assert "kept" in done.stderr
