"""Brings a database up to this program's schema, and refuses a newer one."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from domain.errors import Unavailable
from store.engine import WriteLock, open_engine


def steps() -> list[str]:
    """Every revision of this program, oldest first."""
    return [s.revision for s in reversed(list(ScriptDirectory.from_config(_config()).walk_revisions()))]


def upgrade(url: str, *, lock_path: Path | None = None, to: str = "head") -> tuple[int, int]:
    """Run the missing steps in one transaction; (steps that stand now, steps there are).

    Raises Unavailable(database_is_newer) when the database holds a step this program does not know.
    """
    known = steps()
    engine = open_engine(url, is_writer=True)
    try:
        with WriteLock(lock_path), engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            connection.rollback()
            if current is not None and current not in known:
                raise Unavailable("the database is newer than this program", code="database_is_newer")
            if current != (known[-1] if to == "head" else to):
                config = _config()
                config.attributes["connection"] = connection
                with connection.begin():
                    command.upgrade(config, to)
            now = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    return (known.index(now) + 1 if now else 0), len(known)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
