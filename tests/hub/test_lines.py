"""A hub whose log nobody reads goes on."""

import json
import os
import subprocess
import sys

from hub.lines import WAITING

TALK = """
from hub.log import configure, log
configure()
for n in range(60_000):
    log("test.line", n=n)
print("done", flush=True)
"""


def test_a_reader_who_does_not_read_holds_nobody_up() -> None:
    process = subprocess.Popen([sys.executable, "-c", TALK], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"done\n"  # 6 MB of lines, a pipe of 64 KB, and nobody has read
    lines = [json.loads(line) for line in process.stderr.read().splitlines() if line.endswith(b"}")]
    assert process.wait(30) == 0
    assert any(line["event"] == "log.dropped" for line in lines) or len(lines) < 60_000
    assert lines[0]["n"] == 0


def test_lines_that_are_read_all_come_in_their_order() -> None:
    program = TALK.replace("60_000", str(WAITING // 2))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    found = [json.loads(line)["n"] for line in done.stderr.splitlines()]
    assert found == list(range(WAITING // 2))


def test_a_reader_who_has_gone_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", TALK], stdout=subprocess.PIPE, stderr=write, timeout=60)
    os.close(write)
    assert (done.returncode, done.stdout) == (0, b"done\n")
