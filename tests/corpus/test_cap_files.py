"""Every CAP file and feed of the corpus, in one go through the command: each gets what its row states."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import corpora as real_files

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = ("R10", "R23", "R34", "R37")
NOTES = ("R27", "R35")

Row = dict[str, str]


def _corpus() -> Path:
    return real_files()


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    """path -> what `tocsin cap validate --json` says of it."""
    paths = [row["path"] for row in _rows()]
    command = [sys.executable, "-m", "tocsin", "cap", "validate", "--json", *paths]
    began = time.monotonic()
    ran = subprocess.run(
        command, cwd=_corpus(), env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=120
    )
    print(f"{len(paths)} files in {time.monotonic() - began:.1f} s")
    assert ran.returncode == 1, ran.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == paths
    return {answer["file"]: answer for answer in answers}


def _rows() -> list[Row]:
    with (_corpus() / "INDEX-cap.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_is_as_well_formed_as_its_row_says(told: dict[str, dict[str, Any]]) -> None:
    wrong = [r["path"] for r in _rows() if told[r["path"]]["wellformed"] != (r["wellformed"] == "True")]
    assert wrong == []


def test_every_file_is_of_the_version_its_row_says(told: dict[str, dict[str, Any]]) -> None:
    wrong = [
        (r["path"], told[r["path"]]["version"]) for r in _rows() if told[r["path"]]["version"] != r["format"]
    ]
    assert wrong == []


def test_the_schema_of_its_version_says_of_every_file_what_its_row_says(
    told: dict[str, dict[str, Any]],
) -> None:
    wrong = []
    for row in _rows():
        stated = row["valid_xsd11"] if row["format"] == "1.1" else row["valid_xsd12"]
        answer = told[row["path"]]
        if answer["xsd_valid"] != (stated == "True"):
            wrong.append(row["path"])
        if row["kind"] == "cap" and row["format"] in ("1.0", "1.1", "1.2") and "doctype" not in row["traits"]:
            assert ("XSD" in _rules(answer)) != answer["xsd_valid"], row["path"]
    assert wrong == []


def test_a_file_made_to_break_one_rule_shows_that_rule_and_no_other(told: dict[str, dict[str, Any]]) -> None:
    made = list(_made())
    assert len(made) > 25
    for path, rule in made:
        found = {f["rule"]: f for f in told[path]["findings"] if f["rule"] not in ("XSD", "XML")}
        assert set(found) == ({f"CAP-{rule}"} if rule else set()), path
        if rule:
            shown = found[f"CAP-{rule}"]
            level = "warning" if rule in WARNINGS else "note" if rule in NOTES else "error"
            assert (shown["level"], shown["line"] > 0) == (level, True), path


def test_what_was_valid_and_broke_no_rule_has_no_error(told: dict[str, dict[str, Any]]) -> None:
    fine = [path for path, rule in _made() if not rule]
    assert fine
    assert [path for path in fine if told[path]["findings"] or not told[path]["xsd_valid"]] == []


def test_every_finding_has_a_line_of_the_file_with_the_element_it_names(
    told: dict[str, dict[str, Any]],
) -> None:
    tried = 0
    for path, answer in told.items():
        lines = (_corpus() / path).read_bytes().replace(b"\0", b"").split(b"\n")
        for finding in answer["findings"]:
            assert 1 <= finding["line"] <= len(lines), (path, finding)
            if name := finding["path"].rpartition("/")[2].partition("[")[0]:
                assert name.encode() in lines[finding["line"] - 1], (path, finding)
                tried += 1
    assert tried > 500


def test_a_broken_file_says_where_it_breaks(told: dict[str, dict[str, Any]]) -> None:
    broken = [r for r in _rows() if r["wellformed"] != "True"]
    assert broken
    for row in broken:
        line = int(row["xsd_error"].split("line ")[1].split(",")[0])
        assert {f["line"] for f in told[row["path"]]["findings"]} == {line}
        assert {"XML", "CAP-R29"} == _rules(told[row["path"]])


def test_alerts_in_envelopes_and_feeds_are_judged_like_the_same_alerts_alone(
    told: dict[str, dict[str, Any]],
) -> None:
    held: dict[str, list[Row]] = {}
    for row in _rows():
        if "extracted_from_envelope" in row["traits"]:
            held.setdefault(row["source"].partition("#")[0], []).append(row)
    by_source = {r["source"]: r["path"] for r in _rows()}
    compared = 0
    for source, rows in held.items():
        whole = told[by_source[source]]
        assert whole["alerts"] >= len(rows), source
        inside = [(f["rule"], f["message"]) for f in whole["findings"]]
        for row in rows:
            alone = [(f["rule"], f["message"]) for f in told[row["path"]]["findings"]]
            if len(inside) < 200:  # the answer of one file is bounded
                assert [f for f in alone if f not in inside] == [], row["path"]
                compared += 1
    assert compared > 20


def _rules(answer: dict[str, Any]) -> set[str]:
    return {f["rule"] for f in answer["findings"]}


def _made() -> Iterator[tuple[str, str]]:
    """(path, the rule it was made to break), '' for those made to break none."""
    for row in _rows():
        if "expect=" in row["traits"]:
            stated = row["traits"].partition("expect=")[2].split(";")[0].split()[0]
            yield row["path"], "" if stated == "valid" else stated
