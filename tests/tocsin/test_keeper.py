"""A port that is kept open: processes behind it change under load, and nobody is refused (R23)."""

import http.client
import os
import signal
import smtplib
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.servers import wait_for
from tests.walks.houses import House, house, until
from tocsin import sockets

ROLLS = 5


def _count(made: House, name: str, event: str) -> int:
    return Path(made.settings.data_dir / f"{name}.log").read_text().count(f'"{event}"')


def _roll(made: House, times: int = ROLLS) -> None:
    """Change the process behind the port, again and again."""
    for n in range(times):
        made.processes["kept"].send_signal(signal.SIGHUP)
        until(lambda n=n: _count(made, "kept", "keeper.ready") == n + 2, f"roll {n + 1}")


def _ask(port: int, found: Counter[str], over: threading.Event, *, is_kept: bool) -> None:
    """Ask again and again, over a new connection each time or over a kept one for as long as it is kept."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not over.is_set():
        try:
            line.request("GET", "/healthz")
            answer = line.getresponse()
            answer.read()
            found[str(answer.status)] += 1
            if not is_kept or answer.getheader("connection") == "close":
                line.close()
        except (OSError, http.client.HTTPException) as error:
            found[type(error).__name__] += 1
            line.close()


def test_a_rolling_restart_under_load_refuses_nobody_and_answers_no_5xx(tmp_path) -> None:
    found: Counter[str] = Counter()
    over = threading.Event()
    with house(tmp_path / "data") as made:
        made.start("kept", "keep", "web")
        wait_for(made.settings.port)
        until(lambda: _count(made, "kept", "keeper.ready") == 1, "the first process")
        askers = [
            threading.Thread(
                target=_ask, args=(made.settings.port, found, over), kwargs={"is_kept": n % 2 == 0}
            )
            for n in range(4)
        ]
        for one in askers:
            one.start()
        _roll(made)
        until(lambda: _count(made, "kept", "web.ready") == ROLLS + 1, "every process was another")
        over.set()
        for one in askers:
            one.join(60)
        assert set(found) == {"200"}, found
        assert found["200"] > 100


def test_a_dead_process_is_replaced_while_connections_wait(tmp_path) -> None:
    with house(tmp_path / "data") as made:
        made.start("kept", "keep", "web")
        until(lambda: _count(made, "kept", "keeper.ready") == 1, "the first process")
        with socket.create_connection(("127.0.0.1", made.settings.port)):
            pid = int(Path(made.settings.data_dir / "kept.log").read_text().split('"pid": ')[1].split(",")[0])
            os.kill(pid, signal.SIGKILL)
            line = http.client.HTTPConnection("127.0.0.1", made.settings.port, timeout=60)
            line.request("GET", "/healthz")  # waits in the queue of the port until somebody is there again
            assert line.getresponse().status == 200
        assert _count(made, "kept", "keeper.ended") == 1


def test_mail_goes_on_through_a_rolling_restart_of_its_door(tmp_path) -> None:
    taken: list[str] = []
    told: Counter[str] = Counter()
    over = threading.Event()

    def send() -> None:
        n = 0
        while not over.is_set():
            n += 1
            text = f"From: a@example.org\r\nSubject: {n}\r\nMessage-ID: <{n}@roll>\r\n\r\nmail {n}\r\n"
            try:
                with smtplib.SMTP(made.settings.smtp_host, made.settings.smtp_port, timeout=30) as line:
                    line.sendmail("a@example.org", ["report@tocsin.example"], text)
                taken.append(f"mail {n}")
            except smtplib.SMTPServerDisconnected:
                told["disconnected"] += 1  # as between two commands: nothing was promised
            except smtplib.SMTPResponseException as error:
                told[str(error.smtp_code)] += 1
            except smtplib.SMTPRecipientsRefused as error:  # the door closed between two commands
                told.update(str(code) for code, _ in error.recipients.values())
            except smtplib.SMTPException as error:
                told[type(error).__name__] += 1

    with house(tmp_path / "data") as made:
        made.start("kept", "keep", "smtp")
        made.start("web", "web")
        made.start("worker", "worker")
        until(lambda: _count(made, "kept", "keeper.ready") == 1, "the first process")
        sender = threading.Thread(target=send)
        sender.start()
        _roll(made, times=2)
        over.set()
        sender.join(60)
        assert set(told) <= {"421", "451", "disconnected"}, told
        assert len(taken) > 5

        def texts() -> Counter[str]:
            page = made.api("GET", "/v1/reports?limit=200&channel=email")
            return Counter(row["text"].strip() for row in page["data"])

        until(lambda: set(taken[-150:]) <= set(texts()), "every mail that was answered is a report")


def test_an_idle_client_of_the_mail_door_hears_421(tmp_path) -> None:
    with house(tmp_path / "data") as made:
        made.start("kept", "keep", "smtp")
        until(lambda: _count(made, "kept", "keeper.ready") == 1, "the first process")
        with socket.create_connection(("127.0.0.1", made.settings.smtp_port), timeout=60) as idle:
            assert idle.recv(1024).startswith(b"220")
            made.processes["kept"].send_signal(signal.SIGHUP)
            assert idle.recv(1024).startswith(b"421")


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGTERM, signal.SIGTERM, signal.SIGINT)])
def test_a_stop_said_once_or_thrice_ends_keeper_and_child_alike(tmp_path, numbers) -> None:
    with house(tmp_path / "data") as made:
        made.start("kept", "keep", "worker")
        until(lambda: _count(made, "kept", "keeper.ready") == 1, "the first process")
        for number in numbers:
            made.processes["kept"].send_signal(number)
        assert made.processes["kept"].wait(60) == 0


def test_a_socket_of_somebody_else_is_not_taken() -> None:
    assert sockets.inherited({}) is None
    assert sockets.inherited({"LISTEN_FDS": "1", "LISTEN_PID": "1"}) is None
    environment = {"LISTEN_FDS": "x"}
    assert sockets.inherited(environment) is None
    assert environment == {}


def test_readiness_is_told_to_whoever_asked(tmp_path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(10)
        sockets.tell("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert line.recv(100) == b"READY=1"
    sockets.tell("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    sockets.tell("READY=1", {})
