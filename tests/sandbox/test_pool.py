"""The sandbox: whatever a parser does, the hub gets an answer or a named refusal, in time."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.errors import BadInput, Unavailable
from sandbox.pool import Pool
from tests.sandbox import hostile_parsers as hostile


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(wall=timedelta(seconds=5), cpu=timedelta(seconds=2), memory_bytes=256 << 20)
    yield pool
    pool.close()


def code_of(pool: Pool, function: Any, options: dict[str, Any] | None = None, data: bytes = b"") -> str:
    with pytest.raises(BadInput) as caught:
        pool.run(function, data, options or {})
    return caught.value.code


def pid_of(pool: Pool) -> int:
    return int(pool.run(hostile.echo, b"").value["pid"])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_value_and_its_bytes_come_back_as_the_parser_gave_them(pool: Pool) -> None:
    data = bytes(range(256)) * 40_000  # 10 MB: many times a pipe
    result = pool.run(hostile.echo, data, {"名": ["值", 1, None, "\udcff"]})
    assert result.value["size"] == len(data)
    assert result.value["options"] == {"名": ["值", 1, None, "\udcff"]}
    assert result.blobs == (data,)


def test_one_child_serves_many_calls_and_starts_only_when_needed(pool: Pool) -> None:
    assert pool._children == set()
    assert pid_of(pool) == pid_of(pool)


def test_a_refusal_of_the_parser_keeps_its_code_detail_and_flaws(pool: Pool) -> None:
    before = pid_of(pool)
    with pytest.raises(BadInput) as caught:
        pool.run(hostile.refuse, b"")
    assert (caught.value.code, caught.value.detail) == ("not_a_mail", "it is not a mail")
    assert caught.value.flaws[0].pointer == "/a"
    assert pid_of(pool) == before


@pytest.mark.parametrize(
    ("function", "code"),
    [
        (hostile.loop, "parser_timeout"),
        (hostile.sleep, "parser_timeout"),
        (hostile.eat_memory, "parser_memory"),
        (hostile.crash, "parser_crashed"),
        (hostile.leave, "parser_crashed"),
        (hostile.stumble, "parser_crashed"),
        (hostile.recurse, "parser_crashed"),
        (hostile.fork, "parser_crashed"),
    ],
)
def test_a_parser_gone_wild_is_named_and_replaced(pool: Pool, function: Any, code: str) -> None:
    before = pid_of(pool)
    began = time.monotonic()
    assert code_of(pool, function) == code
    assert time.monotonic() - began < 7
    after = pid_of(pool)
    assert after != before
    assert not is_running(before)


def test_the_text_of_a_parsers_exception_stays_in_the_child(pool: Pool) -> None:
    with pytest.raises(BadInput) as caught:
        pool.run(hostile.stumble, b"a stranger's words")
    assert caught.value.detail == "the parser gave up: LookupError"


def test_the_cpu_allowance_is_for_each_call_and_not_for_the_life_of_a_child(pool: Pool) -> None:
    pid = pid_of(pool)
    assert code_of(pool, hostile.loop) == "parser_timeout"
    assert pid_of(pool) != pid
    for _ in range(20):
        pid_of(pool)
    assert code_of(pool, hostile.loop) == "parser_timeout"


def test_a_parser_reaches_no_listening_port(pool: Pool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(0.2)
        assert code_of(pool, hostile.open_socket, {"port": port}) == "parser_crashed"
        can_unshare = subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0
        below = pool.run(hostile.open_socket_below_python, b"", {"port": port}).value
        if can_unshare:
            assert below["connect"] == -1
            with pytest.raises(TimeoutError):
                server.accept()


def test_a_parser_writes_no_file(pool: Pool, tmp_path: Path) -> None:
    target = tmp_path / "left_behind"
    assert code_of(pool, hostile.write_file, {"path": str(target)}) == "parser_crashed"
    assert not target.exists() or target.stat().st_size == 0


def test_a_child_knows_nothing_of_the_hub(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    # The environment of the test process itself stands for the hub's: it is what must not be handed down.
    monkeypatch.setenv("TOCSIN_SECRET", "s3cret")
    with open(os.devnull) as spare:
        os.set_inheritable(spare.fileno(), True)
        seen = pool.run(hostile.look_around, b"").value
    assert "TOCSIN_SECRET" not in seen["environment"]
    assert seen["descriptors"] == 5
    assert seen["limits"]["RLIMIT_AS"] == 256 << 20
    assert seen["limits"]["RLIMIT_NOFILE"] == 32
    assert seen["limits"]["RLIMIT_FSIZE"] == seen["limits"]["RLIMIT_CORE"] == 0
    assert "NoNewPrivs:\t1" in seen["status"]
    assert "sqlalchemy" not in seen["modules"]
    assert "sandbox.pool" not in seen["modules"]


def test_large_answers_come_through_and_floods_are_cut(pool: Pool) -> None:
    roomy = Pool(wall=timedelta(seconds=20))
    try:
        blobs = roomy.run(hostile.flood, b"", {"size": 25 << 20, "count": 4}).blobs
        assert [len(b) for b in blobs] == [25 << 20] * 4
        assert code_of(roomy, hostile.flood, {"size": 25 << 20, "count": 11}) == "parser_crashed"
        assert code_of(roomy, hostile.flood, {"size": 0, "count": 10_001}) == "parser_crashed"
        assert pid_of(roomy)
    finally:
        roomy.close()


def test_four_threads_share_two_children_without_mixing_answers() -> None:
    pool = Pool(size=2)
    try:
        with ThreadPoolExecutor(4) as threads:
            inputs = [str(n).encode() * 1000 for n in range(24)]
            results = list(threads.map(lambda data: pool.run(hostile.twice, data), inputs))
        assert [r.blobs[0] for r in results] == [data * 2 for data in inputs]
        assert len({r.value["pid"] for r in results}) == 2
    finally:
        pool.close()


def test_wild_and_sound_calls_side_by_side_do_not_disturb_each_other() -> None:
    pool = Pool(size=2, cpu=timedelta(seconds=1))
    codes: list[str] = []
    try:
        wild = threading.Thread(target=lambda: codes.append(code_of(pool, hostile.loop)))
        wild.start()
        for n in range(10):
            assert pool.run(hostile.twice, b"%d" % n).blobs == (b"%d%d" % (n, n),)
        wild.join()
    finally:
        pool.close()
    assert codes == ["parser_timeout"]


def test_a_closed_pool_has_no_child_and_refuses() -> None:
    pool = Pool()
    pid = pid_of(pool)
    pool.close()
    pool.close()
    assert not is_running(pid)
    with pytest.raises((BadInput, Unavailable)):
        pool.run(hostile.echo, b"")
    with pytest.raises(Unavailable):
        pool.run(hostile.echo, b"")


HUB = """
import sys, threading, time
from datetime import timedelta
from sandbox.pool import Pool
from tests.sandbox import hostile_parsers as hostile
pool = Pool(size=3, wall=timedelta(seconds=2), cpu=timedelta(seconds=1))
print(pool.run(hostile.echo, b"").value["pid"])
for function in (hostile.loop, hostile.sleep):
    threading.Thread(target=lambda f=function: pool.run(f, b""), daemon=True).start()
deadline = time.monotonic() + 5
while len(pool._children) < 2 and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.5)
print(*(c._process.pid for c in pool._children), flush=True)
time.sleep(600)
"""


def test_a_hub_that_dies_leaves_no_orphan() -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": str(root), "PATH": os.defpath}
    hub = subprocess.Popen([sys.executable, "-c", HUB], stdout=subprocess.PIPE, text=True, env=environment)
    assert hub.stdout is not None
    pids = {int(word) for _ in range(2) for word in hub.stdout.readline().split()}
    assert len(pids) >= 2
    hub.send_signal(signal.SIGKILL)
    hub.wait()
    hub.stdout.close()
    deadline = time.monotonic() + 6
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel ends them; nothing tells us when
    assert not [pid for pid in pids if is_running(pid)]
