"""What lies in the public directory and in which version, so that nothing is made twice."""

import json
from pathlib import Path

from channels.contract import File
from outbox.atomic import twin_of


class Book:
    """The versions of one channel's files. Losing it costs time only: all is made and compared again.

    A file that somebody touched, or that came back from a backup, no longer matches and is made again.
    """

    def __init__(self, root: Path, channel: str) -> None:
        self._root = root
        self._place = root / f".{channel}.book"
        self._noted = self._read()
        self._before = dict(self._noted)
        self._seen: set[str] = set()

    def holds(self, file: File) -> bool:
        """Whether this version lies there, untouched."""
        self._seen.add(file.path)
        return bool(file.version) and self._noted.get(file.path) == self._line(file)

    def note(self, file: File) -> None:
        """The file has just been written, or was the same."""
        if file.version:
            self._noted[file.path] = self._line(file)

    def strike_out(self) -> list[str]:
        """Forget the passing files that were not asked for; their paths."""
        gone = [path for path, line in self._noted.items() if line[2] and path not in self._seen]
        for path in gone:
            del self._noted[path]
        return gone

    def close(self) -> None:
        """Keep what was noted. No fsync: what a power cut takes is made again."""
        if self._noted == self._before:
            return
        temporary = self._place.with_suffix(".new")
        temporary.write_text(json.dumps(self._noted, separators=(",", ":")), encoding="utf-8")
        temporary.rename(self._place)

    def _line(self, file: File) -> list[str]:
        return [file.version, self._stamp(file.path), "passing" if file.is_passing else ""]

    def _stamp(self, path: str) -> str:
        place = self._root / path
        try:
            both = place.stat(), twin_of(place).stat()
        except OSError:
            return ""
        return "-".join(f"{about.st_size}-{about.st_mtime_ns}" for about in both)

    def _read(self) -> dict[str, list[str]]:
        try:
            found = json.loads(self._place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
