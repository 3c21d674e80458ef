"""What a backup says of itself: every file with its SHA-256, every table with its rows, the journal's ends."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from domain.errors import BadInput

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Written last: a directory without one is no backup."""

    version: str  # of the program
    schema: str  # newest step of the database
    mode: str
    instance: str
    taken_at: str
    database: str  # sqlite | postgresql
    keys: str  # plain | sealed
    files: Mapping[str, Mapping[str, Any]]  # path -> {sha256, size}
    census: Mapping[str, Any]
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """As the file holds it."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True).encode()


def read(directory: Path) -> Manifest:
    """The manifest of a backup. Raises BadInput when there is none or it is not ours."""
    try:
        found = json.loads((directory / NAME).read_bytes())
        if found.get("format") != FORMAT:
            raise BadInput("the backup has another format", code="backup_format")
        made = Manifest(**found)
    except FileNotFoundError:
        raise BadInput(f"no {NAME} in {directory}: the backup did not finish", code="no_backup") from None
    except (ValueError, TypeError, AttributeError):
        raise BadInput(f"{NAME} is not readable", code="no_backup") from None
    for name in made.files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not name:
            raise BadInput("the manifest names a file outside the backup", code="bad_manifest")
    return made


def check(directory: Path, manifest: Manifest, step: Callable[[str], None]) -> None:
    """Hash every file. Raises BadInput with the name of the first that is missing or was changed."""
    for name, said in manifest.files.items():
        path = directory / name
        if path.is_symlink() or not path.is_file():
            raise BadInput(f"{name} is missing from the backup", code="backup_incomplete")
        if sha256(path) != said["sha256"]:
            raise BadInput(f"{name} was changed after the backup", code="backup_changed")
        step(name)


def sha256(path: Path) -> str:
    """Of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
