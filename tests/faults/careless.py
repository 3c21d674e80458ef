"""Small doors that keep messages, one right and the others wrong on purpose: the power-cut tool must tell them apart.

python -m tests.faults.careless DIRECTORY KIND COUNT
"""

import os
import socket
import sqlite3
import sys


def main(directory: str, kind: str, count: int) -> None:
    """Keep `count` messages, answering each through a socket."""
    client, door = socket.socketpair()
    keep = _database(directory, kind) if kind.startswith("sqlite") else _spool(directory, kind)
    for n in range(count):
        if kind.endswith("answers_first"):
            door.send(b"250 kept %d\n" % n)
        keep(n)
        if not kind.endswith("answers_first"):
            door.send(b"250 kept %d\n" % n)
        client.recv(100)


def _database(directory, kind):
    connection = sqlite3.connect(f"{directory}/door.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'NORMAL' if 'normal' in kind else 'FULL'}")
    connection.execute("CREATE TABLE kept (n INTEGER PRIMARY KEY, text TEXT)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return lambda n: connection.execute("INSERT INTO kept VALUES (?, ?)", (n, "x" * 300))


def _spool(directory, kind):
    def keep(n: int) -> None:
        temporary = f"{directory}/.{n}"
        with open(temporary, "wb") as file:
            file.write(b"%d:" % n + b"y" * 2000 + b"END")
            file.flush()
            if "without_fsync" not in kind:
                os.fsync(file.fileno())
        os.rename(temporary, f"{directory}/{n}.frame")
        if "without_directory" not in kind:
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(handle)
            os.close(handle)

    return keep


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
