"""`tocsin cap validate`: what it takes, what it prints, how it ends."""

import json
import os
import re
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from tocsin import cli

SOUND = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>1</identifier><sender>a@b.example</sender><sent>2026-11-23T08:00:00+08:00</sent>
  <status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
  <info><language>en</language><category>Met</category><event>Rain</event><urgency>Future</urgency>
    <severity>Minor</severity><certainty>Likely</certainty><expires>2026-11-23T09:00:00+08:00</expires>
    <area><areaDesc>Here</areaDesc><circle>30,120 5</circle></area></info>
</alert>"""
BROKEN = SOUND.replace("<sender>a@b.example", "<sender>a b")
NOTED = SOUND.replace("<circle>30,120 5</circle>", "")


def run(*arguments: str, data: bytes = b"") -> Result:
    return CliRunner().invoke(cli.app, ["cap", "validate", *arguments], input=data)


def test_a_directory_is_read_to_the_ground_and_the_exit_code_is_that_of_the_worst(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.xml").write_text("<")
    (tmp_path / "a" / "2.cap").write_text(BROKEN)
    (tmp_path / "1.xml").write_text(SOUND)
    (tmp_path / "3.xml").write_text(NOTED)
    os.mkfifo(tmp_path / "4.xml")
    ran = run("--json", str(tmp_path))
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [
        (Path(r["file"]).name, [(f["rule"], f["level"], f["line"]) for f in r["findings"]]) for r in rows
    ] == [
        ("1.xml", []),
        ("3.xml", [("CAP-R27", "note", 7)]),
        ("2.cap", [("CAP-R02", "error", 3)]),
    ]
    assert ran.exit_code == 1
    assert run("--json", str(tmp_path / "3.xml")).exit_code == 0  # a note breaks nothing
    assert run("--json", "--output", str(tmp_path / "3.xml")).exit_code == 1


def test_standard_input_is_a_file_too() -> None:
    ran = run("--json", "-", data=SOUND.encode())
    assert ran.exit_code == 0
    assert json.loads(ran.stdout) == {
        "file": "-", "wellformed": True, "version": "1.2", "xsd_valid": True, "alerts": 1, "findings": [],
    }  # fmt: skip


def test_people_get_lines_and_a_table_and_no_stranger_steers_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "[bold]雨.xml"
    file.write_text(BROKEN.replace("<scope>", "<scope\u009b31m>").replace("</scope>", "</scope\u009b31m>"))
    (tmp_path / "b.xml").write_text(BROKEN)
    ran = run(str(file), str(tmp_path / "b.xml"))
    shown = ran.stdout
    assert f"{tmp_path}/b.xml:3: error CAP-R02 sender is empty or holds a blank" in shown
    assert "well-formed" in shown and "[bold]雨.xml" in shown
    assert not {"\u009b", "\x1b"} & set(shown)
    assert ran.exit_code == 1


def test_what_cannot_be_opened_is_said_and_is_two(tmp_path: Path) -> None:
    lost = run(str(tmp_path / "none.xml"))
    assert (lost.exit_code, "none.xml" in re.sub(r"[\s│]", "", lost.stderr), "Traceback" in lost.output) == (
        2,
        True,
        False,
    )
    assert run().exit_code == 2


def test_a_directory_without_a_file_is_no_good_result(tmp_path: Path) -> None:
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    assert run(str(tmp_path / "empty")).exit_code == 2


def test_json_is_told_to_be_json() -> None:
    told = json.loads(run("--json", "-", data=b'{"identifier": "1"}').stdout)
    assert [finding["message"] for finding in told["findings"]] == ["JSON, and no XML"]
