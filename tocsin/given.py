"""What every command may be given: a data directory, a wish for JSON."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from domain.errors import BadInput
from hub.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
DataDir = Annotated[Path | None, typer.Option("--data", help="Data directory.")]


def settings_of(data: Path | None = None, **changes: Any) -> Settings:
    """The settings of the environment, with what the command line says on top.

    Raises BadInput with the names of what does not fit; never the values, which may be secrets.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if data is not None:
        given["data_dir"] = data
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, flaw['loc'])) or 'settings'}: {flaw['msg']}" for flaw in error.errors())
        raise BadInput("; ".join(wrong), code="bad_setting") from None
