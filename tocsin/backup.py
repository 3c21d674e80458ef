"""Copies a hub that is running into a directory: database, attachments, spool, keys, public pages, anchors."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from domain.errors import Refused
from hub import anchor, birth, keys
from hub.settings import Settings
from store import hub as hub_row
from store import migrate, snapshot
from tocsin import manifest, sealing
from tocsin.manifest import Manifest

MARKER = "backup.json"  # in the data directory: when the last backup was made, and of which sort
_ONLY_ONCE = ("demo.json",)  # what a demo invented at its first start


def backup(
    settings: Settings, target: Path, *, passphrase: str, at: datetime, step: Callable[[str], None]
) -> Manifest:
    """Copy everything; `step(name)` hears of each file. The hub may go on working.

    The order makes the copy whole: the spool first (what is drained meanwhile is in the database, what is in
    both is the same message), anchors before the roots they name, attachments after the rows that name them.
    Raises Refused when `target` is not empty or lies in the data directory.
    """
    data = settings.data_dir.resolve()
    if target.resolve().is_relative_to(data):
        raise Refused("a backup inside the data directory is lost with it", code="backup_inside")
    if target.exists() and any(target.iterdir()):
        raise Refused(f"{target} is not empty", code="not_empty")
    made = keys.load(data / "keys", may_make=False)
    os.umask(0o077)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("spool", *_ONLY_ONCE, anchor.path(data).name):
        _copy(data, target, name, step)
    place, found = snapshot.take(settings.database, target, head_key=made.journal_head)
    step(place.name)
    for name in ("blobs", "public"):
        _copy(data, target, name, step)
    _copy_keys(data / "keys", target / "keys", passphrase, step)
    store = birth.open_store(settings, made)
    try:
        mode, instance = store.read(lambda unit: (hub_row.mode(unit), hub_row.instance(unit)))
        is_postgres = store.is_postgres
    finally:
        store.close()
    written = Manifest(
        version=version("tocsin"), schema=migrate.standing(settings.database) or "", mode=mode.value,
        instance=instance, taken_at=at.isoformat(), database="postgresql" if is_postgres else "sqlite",
        keys="sealed" if passphrase else "plain", files=_listed(target), census=found.to_json(),
    )  # fmt: skip
    _write(target / manifest.NAME, written.to_bytes())
    marker = {"at": at.isoformat(), "target": str(target.resolve()), "keys": written.keys}
    _write(data / MARKER, json.dumps(marker).encode())
    return written


def last(data_dir: Path) -> tuple[datetime, str] | None:
    """When the last backup was finished, and whether its keys are sealed or plain."""
    try:
        found = json.loads((data_dir / MARKER).read_bytes())
        return datetime.fromisoformat(found["at"]), str(found["keys"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _copy(data: Path, target: Path, name: str, step: Callable[[str], None]) -> None:
    """A file or a tree, without what is being written; a file that goes away meanwhile is somewhere else now."""
    for path in _files(data / name):
        place = target / path.relative_to(data)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, place)
        except FileNotFoundError:
            continue
        _sync(place)
        step(str(path.relative_to(data)))


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(
            p for p in path.rglob("*") if p.is_file() and p.name[0] != "." and p.suffix != ".part"
        )


def _copy_keys(source: Path, target: Path, passphrase: str, step: Callable[[str], None]) -> None:
    target.mkdir(mode=0o700)
    for path in sorted(source.glob("*.key")):
        secret = path.read_bytes()
        sealed = sealing.seal(secret, passphrase, path.name) if passphrase else secret
        _write(target / (f"{path.name}.sealed" if passphrase else path.name), sealed)
        step(path.name)


def _listed(target: Path) -> dict[str, dict[str, object]]:
    return {
        str(path.relative_to(target)): {"sha256": manifest.sha256(path), "size": path.stat().st_size}
        for path in _files(target)
    }


def _write(path: Path, body: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
