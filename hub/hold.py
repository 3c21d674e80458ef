"""The hold: while data/STOP exists nothing new leaves; a restored hub begins with it."""

import os
from pathlib import Path

from store import durable

STOP = "STOP"
RESTORED = (
    "RESTORED"  # beside STOP: the public pages stay as they are, too, since this database is older than they
)


def put(data_dir: Path, reason: str, *, is_restored: bool = False) -> None:
    """Hold everything, durably. Safe to repeat."""
    for name in (STOP, RESTORED) if is_restored else (STOP,):
        descriptor = os.open(data_dir / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(reason + "\n")
            file.flush()
            durable.sync(file.fileno())
    durable.sync_directory(data_dir)


def release(data_dir: Path) -> None:
    """Let things leave again."""
    for name in (RESTORED, STOP):
        (data_dir / name).unlink(missing_ok=True)


def reason(data_dir: Path) -> str | None:
    """Why everything is held, None when nothing is. An empty file holds as well."""
    try:
        return (data_dir / STOP).read_text(errors="replace").strip()
    except FileNotFoundError:
        return None


def is_restored(data_dir: Path) -> bool:
    """Whether this is a copy from a backup that nobody has compared with the world yet."""
    return (data_dir / RESTORED).exists()
