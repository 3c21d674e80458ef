"""H54 and H55: XML made to read our files, to call out, or to eat the machine, through the command that reads XML."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CAP = "urn:oasis:names:tc:emergency:cap:1.2"
HEAD = f'<alert xmlns="{CAP}"><identifier>1</identifier>'


@pytest.fixture
def outside():
    """A web server that counts who calls."""
    calls: list[str] = []

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", calls
    server.shutdown()
    server.server_close()


def test_h54_nothing_outside_the_file_is_read_or_called(tmp_path: Path, outside) -> None:
    url, calls = outside
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP SECRET")
    doctypes = [
        f'<!DOCTYPE a [<!ENTITY s SYSTEM "{secret.as_uri()}">]>{HEAD}&s;</alert>',
        f'<!DOCTYPE a [<!ENTITY s SYSTEM "{url}/entity">]>{HEAD}&s;</alert>',
        f'<!DOCTYPE a [<!ENTITY % p SYSTEM "{url}/parameter">%p;]>{HEAD}</alert>',
        f'<!DOCTYPE a SYSTEM "{url}/outer.dtd">{HEAD}</alert>',
        f'<!DOCTYPE a PUBLIC "-//A//B" "{url}/public.dtd">{HEAD}</alert>',
    ]
    others = [
        f'{HEAD}<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="{url}/x" parse="text"/></alert>',
        f'{HEAD}<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="{secret}" parse="text"/></alert>',
        f'<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="{url}/style.xsl"?>{HEAD}</alert>',
        f'<alert xmlns="{CAP}" xmlns:x="http://www.w3.org/2001/XMLSchema-instance"'
        f' x:schemaLocation="{CAP} {url}/schema.xsd"/>',
    ]
    folder = tmp_path / "in"
    folder.mkdir()
    for n, text in enumerate(doctypes + others):
        (folder / f"{n}.xml").write_text(text)
        (folder / f"{n}w.xml").write_bytes(text.encode("utf-16"))
    command = [sys.executable, "-m", "tocsin", "cap", "validate", "--json", str(folder)]
    ran = subprocess.run(
        command, capture_output=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    answers = {Path(a["file"]).stem.rstrip("w"): a for a in map(json.loads, ran.stdout.splitlines())}
    assert (ran.returncode, len(ran.stdout.splitlines())) == (1, 2 * len(doctypes + others))
    assert b"TOP SECRET" not in ran.stdout + ran.stderr
    assert calls == []
    for n in range(len(doctypes)):
        assert [f["rule"] for f in answers[str(n)]["findings"]] == ["CAP-R28"]
        assert not answers[str(n)]["xsd_valid"]
    for n in range(len(doctypes), len(doctypes + others)):
        assert answers[str(n)]["wellformed"]


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "billion laughs": f'<!DOCTYPE a [<!ENTITY a0 "ha">{LAUGHS}]><alert>&a9;</alert>'.encode(),
    "quadratic": f'<!DOCTYPE a [<!ENTITY q "{"x" * 50_000}">]><alert>{"&q;" * 50_000}</alert>'.encode(),
    "deep": b"<a>" * 3_000 + b"</a>" * 3_000,
    "attributes": b"<a " + b" ".join(b'a%x=""' % n for n in range(1_000_000)) + b"/>",
    "some attributes": f'<alert xmlns="{CAP}"><identifier '.encode()
    + b" ".join(b'a%x=""' % n for n in range(500_000))
    + b"/></alert>",
    "large": b"<a>" + b"x" * (65 << 20) + b"</a>",
    "errors": f"{HEAD}{'<info/>' * 140_000}</alert>".encode(),
    "comments": f"{HEAD}<note>{'<!---->' * 140_000}</note></alert>".encode(),
    "zigzag": (
        f"{HEAD}<info><area><polygon>"
        + " ".join(f"{30 + n % 2 * 10},{100 + n % 2 * 10 + n / 20_000:.5f}" for n in range(40_000))
        + " 30,100</polygon></area></info></alert>"
    ).encode(),
}


def test_h55_bombs_end_in_a_bounded_answer_and_each_alone(tmp_path: Path) -> None:
    for name, data in BOMBS.items():
        (tmp_path / f"{name}.xml").write_bytes(data)
    (tmp_path / "zz last.xml").write_text(f"{HEAD}</alert>")
    command = [sys.executable, "-m", "tocsin", "cap", "validate", "--json", str(tmp_path), "-"]
    ran = subprocess.run(
        command,
        input=BOMBS["large"],
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert b"Traceback" not in ran.stderr
    answers = {Path(a["file"]).stem: a for a in map(json.loads, ran.stdout.splitlines())}
    assert set(answers) == {*BOMBS, "zz last", "-"}
    for name, answer in answers.items():
        assert 1 <= len(answer["findings"]) <= 200, name
        assert any(f["level"] == "error" for f in answer["findings"]), name
        assert not any(
            "took longer" in f["message"] or "memory" in f["message"] for f in answer["findings"]
        ), name
    for name in ("billion laughs", "quadratic"):
        assert [f["rule"] for f in answers[name]["findings"]] == ["CAP-R28"]
    for name in ("deep", "attributes", "large", "-"):
        assert [f["rule"] for f in answers[name]["findings"]] == ["XML"]
    assert answers["-"]["findings"][0]["message"] == "larger than 8388608 bytes: not read"
    assert answers["zz last"]["wellformed"]
