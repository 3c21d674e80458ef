"""Makes a hub from a backup, which then holds everything until somebody has compared it with the world."""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from domain.errors import BadInput, Refused
from hub import anchor, birth, hold, keys
from hub.settings import Settings
from outbox import onward
from store import hub as hub_row
from store import journal, migrate, processes, roots, snapshot, streams
from store.roots import Finding
from store.unit import Unit
from tocsin import manifest, sealing
from tocsin.manifest import Manifest

PLACES = {"sqlite": snapshot.SQLITE_FILE, "postgresql": snapshot.POSTGRES_FILE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came back. Without differences and findings it is what was saved."""

    manifest: Manifest
    entries: int
    differences: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the copy is the hub that was saved."""
        return not self.differences and not self.findings


def restore(
    settings: Settings, source: Path, *, passphrase: str, at: datetime, step: Callable[[str], None]
) -> Restored:
    """Fill the empty data directory of `settings`, and the empty database where it has its own.

    Files are checked before anything is written; the hold stands before the database does. Raises BadInput for
    a backup that is not whole, Refused for a target that holds something.
    """
    data = settings.data_dir
    if data.exists() and any(data.iterdir()):
        raise Refused(f"{data} is not empty: a restore never overwrites", code="not_empty")
    found = manifest.read(source)
    if found.database != ("sqlite" if settings.database.startswith("sqlite") else "postgresql"):
        raise Refused(f"this is a backup of {found.database}: set TOCSIN_DATABASE_URL", code="other_database")
    if found.schema not in migrate.steps():
        raise Refused("the backup is newer than this program", code="database_is_newer")
    manifest.check(source, found, step)
    opened = _opened_keys(source, found, passphrase)
    os.umask(0o077)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    hold.put(data, f"restored at {at.isoformat()} from the backup of {found.taken_at}", is_restored=True)
    _files(source, data, found)
    for name, secret in opened.items():
        descriptor = os.open(data / "keys" / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
    snapshot.put_back(settings.database, source / PLACES[found.database])
    result = _compare(settings, found)
    if result.is_equal:
        migrate.upgrade(settings.database, lock_path=settings.write_lock)
        _note(settings, found, at)
    return result


def verify(
    settings: Settings, source: Path, *, passphrase: str, at: datetime, step: Callable[[str], None]
) -> Restored:
    """Restore into a place that is thrown away, and compare."""
    with tempfile.TemporaryDirectory(prefix="tocsin-verify-") as place:
        data = Path(place) / "data"
        if manifest.read(source).database == "sqlite":
            scratch = settings.model_copy(update={"data_dir": data, "database_url": ""})
            return restore(scratch, source, passphrase=passphrase, at=at, step=step)
        with snapshot.scratch(settings.database) as url:
            scratch = settings.model_copy(update={"data_dir": data, "database_url": url})
            return restore(scratch, source, passphrase=passphrase, at=at, step=step)


def _files(source: Path, data: Path, found: Manifest) -> None:
    for name in birth.DIRECTORIES:
        (data / name).mkdir(mode=0o755 if name == "public" else 0o700)
        (data / name).chmod(0o755 if name == "public" else 0o700)
    for name in found.files:
        if name.startswith("keys/") or name in PLACES.values():
            continue
        place = data / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, place)
        if name.startswith("public/"):  # a file server of another user reads these
            place.chmod(0o644)
            for directory in place.relative_to(data).parents[:-1]:
                (data / directory).chmod(0o755)


def _opened_keys(source: Path, found: Manifest, passphrase: str) -> dict[str, bytes]:
    """Name -> key; before anything is written, so that a wrong passphrase leaves nothing behind."""
    opened = {}
    for place in (source / name for name in found.files if name.startswith("keys/")):
        name, secret = place.name, place.read_bytes()
        if found.keys == "sealed":
            if not passphrase:
                raise BadInput("the keys are sealed: set TOCSIN_BACKUP_PASSPHRASE", code="bad_passphrase")
            name = name.removesuffix(".sealed")
            secret = sealing.unseal(secret, passphrase, name)
        opened[name] = secret
    return opened


def _compare(settings: Settings, found: Manifest) -> Restored:
    made = keys.load(settings.data_dir / "keys", may_make=False)
    store = birth.open_store(settings, made)
    try:
        stands = store.read(snapshot.census).to_json()
        anchors = anchor.read(settings.data_dir)
        public = made.journal_root.public_key()
        entries, findings = store.read(lambda unit: roots.verify(unit, public, anchors))
    finally:
        store.close()
    said = found.census
    differences = [
        f"{name}: {said['rows'].get(name)} rows saved, {n} restored"
        for name, n in stands["rows"].items()
        if said["rows"].get(name, n) != n
    ]
    if stands["journal"] != said["journal"]:
        differences.append("the journal ends elsewhere")
    return Restored(manifest=found, entries=entries, differences=tuple(differences), findings=tuple(findings))


def _note(settings: Settings, found: Manifest, at: datetime) -> None:
    store = birth.open_store(settings, keys.load(settings.data_dir / "keys", may_make=False))
    detail = {"taken_at": found.taken_at, "root": found.census["journal"]["root"]}

    def work(unit: Unit) -> None:
        processes.all_left(unit, at)
        journal.append(unit, "hub", hub_row.instance(unit), "restore", by="command", at=at, detail=detail)
        if settings.peer_stream or streams.given(unit):  # peers may know numbers that this database does not
            known = max(streams.given(unit), onward.highest(settings.data_dir / "public"))
            streams.raise_to(unit, known + onward.LOST, at)

    try:
        store.run(work)
    finally:
        store.close()
