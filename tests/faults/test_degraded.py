"""The table of what still works: each part is taken away for real, each column is tried, and it is said (R22)."""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.health import COLUMNS, TABLE, Trouble
from templates import pages
from tests.conftest import _psql
from tests.faults.clockshift import Clockshift
from tests.faults.columns import Desk
from tests.faults.lines import events
from tests.faults.mounts import disk
from tests.faults.wire import Kind, Wire
from tests.servers import free_port, need, redis
from tests.walks.houses import ROOT, House, get, house, ready, until


def _said(desk: Desk, trouble: Trouble) -> None:
    """The banner in both languages, and the metric."""
    until(lambda: trouble.value in desk.banners("zh-CN"), f"a banner of {trouble}", 30)
    for language in pages.LANGUAGES:
        assert desk.banners(language)[trouble.value] == pages.word("trouble", trouble, language)
    assert trouble.value in desk.troubles()


def _over(desk: Desk, trouble: Trouble) -> None:
    """It has ended, and the journal holds both ends."""
    until(lambda: trouble.value not in desk.troubles(), f"the end of {trouble}", 30)
    until(lambda: desk.journal(trouble.value)[-1:] == ["end"], f"the end of {trouble} in the journal", 30)
    acts = desk.journal(trouble.value)
    assert acts == ["begin", "end"] * (len(acts) // 2)


def _everything_is_taken(desk: Desk) -> None:
    assert desk.sms() == 200
    assert desk.mail() == 250
    assert desk.form()[0] == 303
    assert desk.api()[0] == 201


def _public_is_up(desk: Desk) -> None:
    status, body = desk.public()
    assert (status, b"<html" in body) == (200, True)


def _reaches_all(desk: Desk, release: str, seconds: float = 60) -> None:
    def is_done() -> bool:
        taken, all_of_them = desk.sent(release)
        return taken == all_of_them > 0

    until(is_done, "the warning reached everybody", seconds)


@contextlib.contextmanager
def _database(postgres_url: str) -> Iterator[str]:
    name = f"g{secrets.token_hex(4)}"
    _psql(postgres_url, f"CREATE DATABASE {name} TEMPLATE model")
    try:
        yield name
    finally:
        _psql(postgres_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.contextmanager
def _embedded(directory: Path, **settings: str) -> Iterator[Desk]:
    with house(directory, **settings) as made:
        made.start("all", "up")
        ready(made)
        yield _at(made)


def _at(made: House) -> Desk:
    desk = Desk(made)
    assert desk.officer is not None  # logs in while everything works
    return desk


def test_r22_without_the_broker_everything_works_a_little_later(tmp_path) -> None:
    (tmp_path / "redis").mkdir()
    with contextlib.ExitStack() as stack:
        broker = redis(tmp_path / "redis", port=free_port())
        url = broker.__enter__()
        desk = stack.enter_context(_embedded(tmp_path / "data", redis_url=url))
        broker.__exit__(None, None, None)
        _said(desk, Trouble.BROKER_DOWN)
        _everything_is_taken(desk)
        release = desk.release()
        _reaches_all(desk, release)
        assert desk.recall(release) == 200
        _public_is_up(desk)
        stack.enter_context(redis(tmp_path / "redis", port=int(url.rpartition(":")[2].partition("/")[0])))
        _over(desk, Trouble.BROKER_DOWN)


def test_r22_without_the_database_doors_spool_and_the_journal_is_written_when_it_is_back(
    tmp_path, postgres_url
) -> None:
    host, port = postgres_url.rpartition("@")[2].split(":")
    with _database(postgres_url) as name, Wire(host, int(port)) as line:
        url = f"postgresql+psycopg://tocsin@127.0.0.1:{line.port}/{name}"
        with _embedded(tmp_path / "data", database_url=url) as desk:
            running, waiting = desk.draft(), desk.draft()
            digest = desk.submit(waiting)
            desk.made.provider.script({"delay_ms": 300})
            assert desk.approve(running, desk.submit(running)) == 200
            until(lambda: len(desk.made.provider.ledger()) > 0, "the first calls")
            line.turn(Kind.REFUSE)
            line.reset()
            until(lambda: "database_down" in desk.troubles(), "it is seen", 30)
            for language in pages.LANGUAGES:
                assert desk.banners(language)["database_down"] == pages.word(
                    "trouble", "database_down", language
                )
            assert (desk.sms(), desk.mail(), desk.form()[0]) == (200, 250, 303)  # the spool gives the number
            assert desk.approve(waiting, digest) == 503
            calls = len(desk.made.provider.ledger())
            (desk.made.settings.data_dir / "STOP").touch()
            _public_is_up(desk)
            notes = desk.made.settings.data_dir / "troubles"
            until(lambda: len(list(notes.glob("*.json"))) == 1, "it is noted for the journal", 15)
            assert len(desk.made.provider.ledger()) == calls  # nothing leaves while nobody can recall it
            line.turn(Kind.PASS)
            _over(desk, Trouble.DATABASE_DOWN)
            until(lambda: "spool_waiting" not in desk.troubles(), "the spool is drained", 30)
            assert not list((desk.made.settings.data_dir / "troubles").glob("*.json"))
            until(lambda: {"sms", "email", "web"} <= _channels(desk), "what was drained is filed", 30)


def _channels(desk) -> set[str]:
    return {r["channel"] for r in desk.made.api("GET", "/v1/reports?limit=50")["data"]}


def test_r22_the_kill_switch_holds_every_call_and_is_a_row_of_its_own(tmp_path) -> None:
    with _embedded(tmp_path / "data") as desk:
        stop = desk.made.settings.data_dir / "STOP"
        assert desk.made.tocsin("hold", "--reason", "误发").returncode == 0
        _said(desk, Trouble.HELD)
        calls = len(desk.made.provider.ledger())  # what the example's reporters were told before
        _everything_is_taken(desk)
        release = desk.release()
        _public_is_up(desk)
        until(lambda: desk.made.api("GET", f"/v1/releases/{release}")["state"] != "approved", "it is relayed")
        assert len(desk.made.provider.ledger()) == calls
        assert desk.recall(release, "stop") == 200
        stop.unlink()
        _over(desk, Trouble.HELD)
        assert [
            m for m in desk.made.provider.ledger() if "暴雨" in m["body"]
        ] == []  # recalled while it was held


def test_r22_one_provider_down_leaves_the_other_channels_and_sends_nothing_twice(tmp_path) -> None:
    with _embedded(tmp_path / "data") as desk:
        desk.made.provider.script({"act": "error"})
        release = desk.release()
        _said(desk, Trouble.PROVIDER_FAILING)
        _everything_is_taken(desk)
        until(lambda: "暴雨" in desk.public()[1].decode(), "the page is published all the same", 30)
        assert desk.recall(release) == 200
        until(
            lambda: "误发" in desk.public()[1].decode() or "更正" in desk.public()[1].decode(),
            "and corrected",
            30,
        )


def test_r22_f17_at_1_percent_the_doors_close_and_recall_goes_on(tmp_path) -> None:
    with house(tmp_path / "data") as made, disk(made.settings.data_dir, megabytes=192) as full:
        made.start("all", "up")
        ready(made)
        desk = _at(made)
        ballast = made.settings.data_dir / "ballast"
        until(lambda: ballast.exists() and ballast.stat().st_size == 12 << 20, "the ballast is made")
        release, waiting = desk.release(), desk.draft()
        digest = desk.submit(waiting)
        _reaches_all(desk, release)
        full.leave(18 << 20)  # above the closed doors, below twice their bound
        _said(desk, Trouble.DISK_LOW)
        _everything_is_taken(desk)
        full.leave(2 << 20)
        _said(desk, Trouble.DISK_FULL)
        until(lambda: not ballast.exists(), "the ballast is let go")
        assert full.free > 8 << 20
        assert desk.mail() == 452
        assert desk.sms() == 503
        assert desk.form() == (503, "5")
        assert desk.api() == (503, "5")
        assert desk.approve(waiting, digest) == 503
        assert desk.ready() == (503, "down")  # no message would be kept
        assert desk.recall(release) == 200
        until(lambda: "更正" in desk.public()[1].decode(), "the correction is published", 30)
        _reaches_all(desk, release)
        full.leave(150 << 20)
        _over(desk, Trouble.DISK_FULL)
        until(ballast.exists, "the ballast is made again")
        _everything_is_taken(desk)
        assert made.tocsin("journal", "verify").returncode == 0


def test_r22_without_the_network_the_office_goes_on_and_what_waits_leaves_later(tmp_path) -> None:
    (unshare, _) = need("unshare", "ip")
    if subprocess.run([unshare, "-rnm", "true"], capture_output=True).returncode:
        pytest.skip("no network namespace here")
    command = [unshare, "-rnm", sys.executable, "-m", "tests.faults.cut_off", str(tmp_path)]
    alone = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert alone.stdout.endswith("kept\n"), alone.stdout[-500:] + alone.stderr[-3000:]


@pytest.mark.faults
@pytest.mark.parametrize("part", ["blobs", "spool", "public"])
def test_f17_a_full_mount_of_one_part_costs_that_part_only(tmp_path, part) -> None:
    with house(tmp_path / "data") as made, disk(made.settings.data_dir / part, megabytes=16) as full:
        made.start("all", "up")
        ready(made)
        desk = _at(made)
        before = desk.public()[1]
        full.leave(0)
        _said(desk, Trouble.DISK_FULL)
        _everything_is_taken(desk)
        if part == "blobs":
            key = {"Idempotency-Key": "large"}
            assert desk.post("/v1/reports", {"text": "水" * 200_000}, key="department", **key)[0] in (
                400,
                503,
            )
        if part == "public":
            release = desk.release()
            _said(desk, Trouble.DISK_FULL)
            assert desk.public()[1] == before  # the last good file
            assert not list((made.settings.data_dir / "public").rglob(".*.html.*"))  # and no half of another
            full.leave(15 << 20)
            until(lambda: "暴雨" in desk.public()[1].decode(), "what waited is published", 60)
            assert desk.recall(release) == 200
        full.leave(15 << 20)
        _over(desk, Trouble.DISK_FULL)


@pytest.mark.faults
def test_f17_a_full_log_blocks_nobody_and_says_how_much_it_lost(tmp_path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with house(tmp_path / "data") as made, disk(logs, megabytes=4) as full:
        log = (logs / "all.log").open("ab")
        command = [sys.executable, "-m", "tocsin", "up"]
        with subprocess.Popen(command, env=made.environment, cwd=ROOT, stdout=log, stderr=log) as process:
            made.processes["all"] = process
            ready(made)
            desk = _at(made)
            full.leave(0)
            _said(desk, Trouble.DISK_FULL)
            for _ in range(20):
                _everything_is_taken(desk)
            _public_is_up(desk)
            full.leave(3 << 20)
            _over(desk, Trouble.DISK_FULL)
            get(f"{made.url}/healthz")
            until(lambda: "log.dropped" in (logs / "all.log").read_text(), "the log says what it lost")
            made.stop()


@pytest.mark.faults
@pytest.mark.parametrize("off", [3600, -3600, 315_576_000])  # an hour ahead, an hour back, ten years ahead
def test_r22_r20_f28_a_clock_that_is_off_is_said_and_the_databases_is_gone_by(
    tmp_path, postgres_url, off
) -> None:
    wrong = Clockshift(tmp_path)
    with (
        _database(postgres_url) as name,
        house(tmp_path / "data", database_url=f"{postgres_url}/{name}") as made,
    ):
        made.environment |= wrong.environment
        made.start("web", "web")
        made.start("smtp", "smtp")
        made.start("kept", "keep", "worker")
        until(lambda: bool(events(made, "kept", "keeper.ready")), "a worker")
        ready(made)
        desk = _at(made)
        wrong.step(off)
        until(
            lambda: len(events(made, "kept", "keeper.ready")) == 2,
            "the worker left its leases to another",
            60,
        )
        assert events(made, "kept", "keeper.ended")[0]["code"] == 70
        _said(desk, Trouble.CLOCK_OFF)
        _everything_is_taken(desk)
        release = desk.release()
        _reaches_all(desk, release)
        rows = made.api("GET", "/v1/reports?limit=50")["data"]
        sent = made.api("GET", f"/v1/releases/{release}")["sent"]
        world = get(f"{made.provider.url}/sim/ledger.json")
        assert world
        _is_recent([*(row["received_at"] for row in rows), sent])
        assert desk.recall(release) == 200
        _public_is_up(desk)
        wrong.step(0)
        _over(desk, Trouble.CLOCK_OFF)


def _is_recent(moments: list[str]) -> None:
    now = datetime.now(UTC)
    ages = [(now - datetime.fromisoformat(moment)).total_seconds() for moment in moments]
    assert all(-2 < age < 600 for age in ages), ages


def test_r22_every_row_of_the_promised_table_is_in_the_desks_table_and_the_manuals(tmp_path) -> None:
    text = (ROOT / "docs/operation.md").read_text().split("## When a part is down")[1].split("\n## ")[0]
    for trouble in TABLE:
        cells = " | ".join(pages.word(f"while_{trouble}", column, "en") for column in COLUMNS)
        assert f"| `{trouble}` | {cells} |" in text
    with _embedded(tmp_path / "data") as desk:
        for language in pages.LANGUAGES:
            desk.officer.cookies.set("lang", language)
            page = desk.officer.get("/console/degraded").text
            for trouble in TABLE:
                row = page.split(f'data-down="{trouble}"')[1].split("</tr>")[0]
                for column in COLUMNS:
                    assert pages.word(f"while_{trouble}", column, language) in row
            of_others = {*TABLE, Trouble.SECRET_HELD}  # that one is the security officer's alone
            assert all(f'data-trouble="{t}"' in page for t in Trouble if t not in of_others)
            assert f'data-trouble="{Trouble.SECRET_HELD}"' not in page
