"""The first day of a hub: directories, keys, schema, mode."""

import os
from datetime import datetime

from domain.clock import examples
from domain.errors import Refused
from domain.handling import Mode
from domain.ids import mint
from hub import keys, refusals
from hub.room import Room
from hub.settings import Settings
from store import clocks, migrate
from store import hub as hub_row
from store.database import Store
from store.vault import Vault

DIRECTORIES = ("blobs", "spool", "keys", "public")


def prepare(settings: Settings, mode: Mode, at: datetime) -> tuple[int, int]:
    """Make what is missing, migrate, and set the mode; (steps that stand, steps there are).

    Safe to repeat. Raises Refused when the database already has another mode: it never changes.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in DIRECTORIES:
        (settings.data_dir / name).mkdir(exist_ok=True, mode=0o755 if name == "public" else 0o700)
    made = keys.load(settings.data_dir / "keys", may_make=True)
    refusals.must_be_sound(settings)
    os.umask(0o077)  # the database file is made by the first step
    steps = migrate.upgrade(settings.database, lock_path=settings.write_lock)
    store = open_store(settings, made)
    try:
        store.run(lambda unit: hub_row.init(unit, mode, f"{mint('hub', at)}", at))
        store.run(lambda unit: clocks.add_rules(unit, examples(), None, at))
        stands, instance = store.read(hub_row.mode), store.read(hub_row.instance)
        keys.belong(settings.data_dir / "keys", made, instance)
        keys.must_belong(settings.data_dir / "keys", made, instance)
    finally:
        store.close()
    if stands is not mode:
        raise Refused(f"this database is {stands.value} and stays so", code="mode_is_set")
    return steps


def open_store(settings: Settings, made: keys.Keys) -> Store:
    """The store of these settings."""
    os.umask(0o077)
    return Store(
        settings.database,
        vault=Vault(made.field),
        head_key=made.journal_head,
        lock_path=settings.write_lock,
        on_full=Room(settings.data_dir).give,
    )
