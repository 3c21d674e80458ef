"""Real servers for the tests, started on free ports of 127.0.0.1 and stopped with the run."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

_ROOT = Path(__file__).resolve().parent.parent
PUBLIC_NAME = "alerts.example.gov.cn"  # server_name of docs/nginx/tocsin-public.conf
_PLACES = ("/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin",
           "/usr/sbin")  # fmt: skip


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def need(*names: str) -> list[str]:
    """Paths of the programs; skips at home with the reason, fails on CI."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *_PLACES])
    found = [shutil.which(name, path=search) for name in names]
    missing = [n for n, f in zip(names, found, strict=True) if f is None]
    if missing:
        reason = f"not installed: {', '.join(missing)} (`make test` installs it where it may)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return [f for f in found if f]


class Cluster:
    """A PostgreSQL cluster in a directory of its own."""

    def __init__(self, server: str, data: Path, user: str | None, *, is_durable: bool) -> None:
        self.port = free_port()
        self.url = f"postgresql+psycopg://tocsin@127.0.0.1:{self.port}"
        self._user = user
        # Without fsync: what most tests kill are processes, and what a killed process wrote the kernel keeps.
        lax = [] if is_durable else ["-c", "fsync=off", "-c", "full_page_writes=off"]
        self._command = [server, "-D", str(data), "-p", str(self.port), "-k", str(data), "-c",
                         "listen_addresses=127.0.0.1", "-c", "max_connections=200", *lax]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it takes queries, after the recovery that a crash calls for."""
        self._process = subprocess.Popen(
            self._command, user=self._user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _await_postgres(self.port)

    def crash(self) -> None:
        """``pg_ctl stop -m immediate``: every process of it ends at once, nothing is written any more."""
        assert self._process is not None
        self._process.send_signal(3)  # SIGQUIT: immediate
        self._process.wait(20)


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL cluster of its own; yields the URL of its server without a database name."""
    with cluster() as made:
        yield made.url


@contextmanager
def cluster(*, is_durable: bool = False) -> Iterator[Cluster]:
    """A running cluster that a test may crash; `is_durable` leaves fsync on, as a hub demands it.

    Its directory is not below pytest's: every new pytest session of the user closes that one to others.
    """
    initdb, server = need("initdb", "postgres")
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    data = Path(tempfile.mkdtemp(prefix="tocsin-test-postgres-")) / "pg"
    try:
        data.mkdir()
        if user:
            for path in (data.parent, data):
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        subprocess.run(
            [initdb, "-D", str(data), "-U", "tocsin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
            check=True, capture_output=True, user=user, cwd="/",
        )  # fmt: skip
        made = Cluster(server, data, user, is_durable=is_durable)
        made.start()
        try:
            yield made
        finally:
            made.crash()
    finally:
        shutil.rmtree(data.parent, ignore_errors=True)


@contextmanager
def redis(directory: Path, *, port: int | None = None) -> Iterator[str]:
    """A Redis server with append-only file; yields its URL."""
    (server,) = need("redis-server")
    port = port or free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", "",
               "--appendonly", "yes", "--appendfsync", "always"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as p:
        try:
            wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            p.kill()
            p.wait(10)


@contextmanager
def nginx(directory: Path, root: Path, *, files: int = 0) -> Iterator[int]:
    """A web server over the public files `root`, by the configuration that is shipped; yields its port.

    It answers under PUBLIC_NAME. Only listen and root differ from the shipped file. `files`: the web port behind the
    host of downloads, which is served too then.
    """
    (server,) = need("nginx")
    port = free_port()
    shipped = (_ROOT / "docs/nginx/tocsin-public.conf").read_text()
    assert shipped.count("listen 80") == 2 and shipped.count("/var/lib/tocsin/public;") == 1
    ours = shipped.replace("listen 80", f"listen 127.0.0.1:{port}").replace(
        "/var/lib/tocsin/public", str(root)
    )
    if files:
        shipped = (_ROOT / "docs/nginx/tocsin-files.conf").read_text()
        assert shipped.count("listen 80") == 1 and shipped.count("127.0.0.1:8000") == 1
        ours += shipped.replace("listen 80", f"listen 127.0.0.1:{port}").replace(
            "127.0.0.1:8000", f"127.0.0.1:{files}"
        )
    (directory / "public.conf").write_text(ours)
    places = " ".join(f"{name}_temp_path {directory}/{name};" for name in
                      ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    user = "user root;\n" if os.geteuid() == 0 else ""  # pytest's directories are closed to others
    (directory / "nginx.conf").write_text(
        f"{user}daemon off;\nworker_processes 2;\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}\ninclude {directory}/public.conf;\n}}\n"
    )
    command = [server, "-p", str(directory), "-c", str(directory / "nginx.conf")]
    with subprocess.Popen([*command, "-e", str(directory / "error.log")], stderr=subprocess.DEVNULL) as p:
        try:
            wait_for(port)
            yield port
        finally:
            p.terminate()
            p.wait(10)


def _await_postgres(port: int, seconds: float = 60) -> None:
    """The port opens before the server takes queries ("the database system is starting up")."""
    end = time.monotonic() + seconds
    while True:
        try:
            with psycopg.connect(
                host="127.0.0.1", port=port, user="tocsin", dbname="postgres", connect_timeout=2
            ):
                return
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def wait_for(port: int, seconds: float = 20) -> None:
    """Return once something accepts connections on `port`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 0.2):
                return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port}")
