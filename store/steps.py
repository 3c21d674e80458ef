"""What Alembic does for store/migrate.py: run the steps, or write them down as SQL."""

import io
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


def upgrade(connection: sa.Connection, to: str) -> None:
    """Run the missing steps in the caller's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def sql(dialect: str, current: str | None) -> str:
    """The SQL from `current` to the newest step."""
    config = _config(written := io.StringIO())
    config.attributes["dialect"] = dialect
    command.upgrade(config, f"{current}:head" if current else "head", sql=True)
    return written.getvalue()


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
