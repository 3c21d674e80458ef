"""What every command may be given: a data directory, a wish for JSON."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
DataDir = Annotated[Path | None, typer.Option("--data", help="Data directory.")]


def settings_of(data: Path | None = None, **changes: Any) -> Settings:
    """The settings of the environment, with what the command line says on top."""
    given = {name: value for name, value in changes.items() if value is not None}
    if data is not None:
        given["data_dir"] = data
    return Settings(**given)
