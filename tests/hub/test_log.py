"""Lines hold names, ids and places, never what a stranger or a library wrote."""

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from contextlib import redirect_stderr
from pathlib import Path

from hub import log as lines
from hub.log import configure, log

ROOT = Path(__file__).resolve().parents[2]
SECRET = "13800138000-secret"


def _written(run) -> list[dict]:
    out = io.StringIO()
    with redirect_stderr(out):
        configure()
        run()
    assert SECRET not in out.getvalue()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_our_own_lines_carry_the_request_they_belong_to() -> None:
    def run() -> None:
        token = lines.request_id.set("req_1")
        log("parcel.settled", parcel="dsp_1.0")
        lines.request_id.reset(token)
        log("chore.failed", chore="spool")

    first, second = _written(run)
    assert (first["event"], first["request"], first["parcel"]) == ("parcel.settled", "req_1", "dsp_1.0")
    assert "request" not in second


def test_a_librarys_words_and_its_tracebacks_are_left_out_and_its_place_is_kept() -> None:
    def run() -> None:
        logger = logging.getLogger("some.library")
        logger.warning("could not deliver to %s", SECRET)
        try:
            int(SECRET)
        except ValueError:
            logger.exception("failed for %r", SECRET)

    found = _written(run)
    assert [line["event"] for line in found] == ["library"] * 2
    assert found[0]["logger"] == "some.library"
    assert (found[1]["error"], found[1]["where"].split(":")[0]) == ("ValueError", "test_log.py")


def test_an_advice_that_we_do_not_follow_is_no_line_at_every_start() -> None:
    program = """
import warnings
from hub.log import configure
configure()
warnings.warn("Please use 'Bot.getUpdates' instead of 'Bot.do_api_request'", UserWarning)
warnings.warn("another", UserWarning)
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60)
    (line,) = [json.loads(line) for line in ran.stderr.splitlines()]
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")


def test_a_task_or_thread_that_dies_says_where_and_not_what() -> None:
    def die() -> None:
        raise RuntimeError(SECRET)

    async def forget() -> None:
        async def fail() -> None:
            raise RuntimeError(SECRET)

        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task
        asyncio.get_running_loop().call_exception_handler(
            {"message": SECRET, "exception": RuntimeError(SECRET)}
        )

    def run() -> None:
        thread = threading.Thread(target=die)
        thread.start()
        thread.join()
        asyncio.run(forget())

    found = _written(run)
    assert {"thread.died", "library"} <= {line["event"] for line in found}
    assert all(line["error"] == "RuntimeError" for line in found)


def test_an_error_that_ends_the_process_is_one_line() -> None:
    program = f"from hub.log import configure\nconfigure()\nraise RuntimeError({SECRET!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert SECRET not in done.stderr
    assert json.loads(done.stderr)["event"] == "process.died"
