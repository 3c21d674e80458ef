"""A PostgreSQL cluster for one run of the bench, with every commit synced, where its programs are installed."""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLACES = "/usr/lib/postgresql/*/bin"  # Debian keeps the servers' own programs off the PATH
START_SECONDS = 30.0


def programs() -> tuple[str, str] | None:
    """The newest (initdb, postgres) of this machine, None without them."""
    places = [*sorted(glob.glob(PLACES), reverse=True), os.environ.get("PATH", "")]
    search = os.pathsep.join(places)
    initdb, server = shutil.which("initdb", path=search), shutil.which("postgres", path=search)
    return (initdb, server) if initdb and server else None


@contextmanager
def cluster() -> Iterator[str]:
    """A cluster of its own on a free port of 127.0.0.1; the URL of an empty database."""
    found = programs()
    if found is None:
        raise FileNotFoundError("initdb")
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    place = Path(tempfile.mkdtemp(prefix="tocsin-bench-pg-"))
    try:
        if user:
            os.chown(place, pwd.getpwnam(user).pw_uid, -1)
        data = place / "data"
        words = [found[0], "-D", str(data), "-U", "tocsin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(words, check=True, capture_output=True, user=user, cwd="/")  # noqa: S603 (our own words)
        with _running(found[1], data, user) as port:
            _make_database(port)
            yield f"postgresql://tocsin@127.0.0.1:{port}/tocsin"
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _running(server: str, data: Path, user: str | None) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    words = [server, "-D", str(data), "-p", str(port), "-k", str(data), "-c", "listen_addresses=127.0.0.1"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, user=user, cwd="/", stdout=quiet, stderr=quiet) as running:  # noqa: S603
        try:
            yield port
        finally:
            running.send_signal(signal.SIGINT)  # "fast": ends sessions, keeps what was committed
            running.wait(30)


def _make_database(port: int) -> None:
    """The port opens before the server takes queries ("the database system is starting up")."""
    psql = shutil.which("psql") or "psql"
    words = [
        psql,
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        "tocsin",
        "-d",
        "postgres",
        "-q",
        "-c",
        "CREATE DATABASE tocsin",
    ]
    end = time.monotonic() + START_SECONDS
    while subprocess.run(words, capture_output=True, check=False).returncode != 0:  # noqa: S603 (our own words)
        if time.monotonic() > end:
            raise TimeoutError("PostgreSQL does not start")
        time.sleep(0.1)
