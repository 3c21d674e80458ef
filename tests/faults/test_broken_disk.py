"""F18: a disk that answers EIO to fsync ends the process at once; nothing is asked for twice, nothing answered is lost."""

import contextlib
import signal
import smtplib
import struct
import subprocess
from pathlib import Path

import pytest

from tests.faults.lines import events
from tests.servers import need
from tests.walks.houses import House, get, house, until

_SOURCE = Path(__file__).with_name("eio.c")
FOR_EVER = 1 << 40


class BrokenDisk:
    """The shim of eio.c, built and turned."""

    def __init__(self, directory: Path, match: str) -> None:
        (compiler,) = need("gcc")
        shim, self._book = directory / "eio.so", directory / "eio.book"
        subprocess.run(
            [compiler, "-Wall", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(shim), str(_SOURCE), "-ldl"],
            check=True,
        )
        self.fail(0)
        self.environment = {"LD_PRELOAD": str(shim), "EIO_FILE": str(self._book), "EIO_MATCH": match}

    def fail(self, times: int) -> None:
        """Answer EIO so often from now."""
        self._book.touch()
        with self._book.open("r+b") as file:
            file.write(struct.pack("qq", times, 0))

    @property
    def failed(self) -> int:
        """How often it did."""
        return int(struct.unpack("qq", self._book.read_bytes())[1])


def _kept(made: House) -> None:
    made.start("kept", "keep", "up")
    until(lambda: bool(events(made, "kept", "keeper.ready")), "the first process")


def _texts(made: House) -> list[str]:
    return [row["text"].strip() for row in made.api("GET", "/v1/reports?limit=100")["data"]]


def _mail(made: House, size: int) -> None:
    """As a mail server: the same one again."""
    text = "From: a@example.org\r\nSubject: s\r\nMessage-ID: <1@x>\r\n\r\nafter\r\n" + ("x" * 70 + "\r\n") * (
        size // 72
    )
    with smtplib.SMTP(made.settings.smtp_host, made.settings.smtp_port, timeout=60) as line:
        line.sendmail("a@example.org", ["report@tocsin.example"], text)


@pytest.mark.parametrize("part", ["tocsin.db-wal", "/blobs/"])
def test_f18_eio_at_an_fsync_ends_the_process_at_once_and_another_goes_on(tmp_path, part) -> None:
    disk = BrokenDisk(tmp_path, part)
    with house(tmp_path / "data") as made:
        made.environment |= disk.environment
        _kept(made)
        made.api("POST", "/v1/reports", {"text": "before"}, key="department", **{"Idempotency-Key": "a"})
        disk.fail(1)
        with contextlib.suppress(smtplib.SMTPException, OSError):
            _mail(made, 400_000 if part == "/blobs/" else 10)
        until(lambda: bool(events(made, "kept", "keeper.ended")), "the process ends", 30)
        assert events(made, "kept", "keeper.ended")[0]["code"] == 74
        assert disk.failed == 1  # and no second fsync was asked for
        until(lambda: get(f"{made.url}/healthz") is not None, "another answers", 60)
        _mail(made, 400_000 if part == "/blobs/" else 10)
        until(lambda: {text[:5] for text in _texts(made)} >= {"befor", "after"}, "both are filed", 60)
        texts = _texts(made)
        assert texts.count("before") == 1
        assert sum(text.startswith("after") for text in texts) == 1


@pytest.mark.faults
def test_f18_a_database_whose_disk_stays_broken_is_left_alone_and_the_spool_takes_what_comes(
    tmp_path,
) -> None:
    disk = BrokenDisk(tmp_path, "tocsin.db-wal")
    with house(tmp_path / "data") as made:
        made.environment |= disk.environment
        _kept(made)
        disk.fail(FOR_EVER)
        until(lambda: len(events(made, "kept", "keeper.ready")) >= 2, "a process that has met it", 60)

        def is_spooled() -> bool:
            taken = made.provider.text("+8613800138000", "after")["status"] == 200
            return taken and len(list((made.settings.data_dir / "spool").glob("*.frame"))) > 0

        until(is_spooled, "the spool takes it", 60)
        ends = [event["code"] for event in events(made, "kept", "keeper.ended")]
        assert ends == [74]  # the second process lives on
        failed = disk.failed
        made.provider.text("+8613800138000", "more")
        assert disk.failed == failed  # and asks the disk for nothing
        disk.fail(0)
        made.processes["kept"].send_signal(signal.SIGHUP)
        until(lambda: {"after", "more"} <= set(_texts(made)), "the spool is drained", 90)
