"""CAP files are checked in children of the sandbox, many at once; an answer for each, in their order."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from channels.codecs.cap_check import check
from channels.codecs.markup import FEED_BYTES
from domain.errors import BadInput
from sandbox.pool import Pool

STDIN = "-"
_CHILDREN = min(
    os.cpu_count() or 1, 4
)  # one warm child checks 300 files a second: more would wait for the disk
_UNREAD: Mapping[str, Any] = {"wellformed": False, "version": "", "xsd_valid": False, "alerts": 0}
_DEATHS = {
    "parser_timeout": "took longer to read than any alert may",
    "parser_memory": "needs more memory than any alert may",
    "parser_crashed": "ended the process that read it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file to be checked; `path` is None for the standard input."""

    name: str
    path: Path | None


def sources(paths: Sequence[str]) -> list[Source]:
    """Files as given, of directories every file below that is not hidden, by name. Raises BadInput for none."""
    found: list[Source] = []
    for given in paths:
        if given == STDIN:
            found.append(Source(name=STDIN, path=None))
        elif Path(given).is_dir():
            below = [_source(path) for path in sorted(_below(given))]
            if not below:  # a wrong path must not look like a good result
                raise BadInput(f"no file below: {_shown(given)}", code="no_such_file")
            found += below
        elif Path(given).exists():
            found.append(_source(Path(given)))
        else:
            raise BadInput(f"no such file: {_shown(given)}", code="no_such_file")
    return found


def verdicts(files: Iterable[Source], *, as_output: bool) -> Iterator[dict[str, Any]]:
    """For each file what check() says of it under its name; ``"unreadable"`` where it cannot be opened."""
    pool = Pool(size=_CHILDREN)
    with closing(pool), ThreadPoolExecutor(_CHILDREN) as threads:
        yield from threads.map(partial(_verdict, pool, as_output), files)


def _verdict(pool: Pool, as_output: bool, source: Source) -> dict[str, Any]:
    try:
        data = _read(source)
    except OSError as error:
        return {"file": source.name, **_UNREAD, "findings": [], "unreadable": error.strerror or "unreadable"}
    options = {"as_output": as_output, "largest": FEED_BYTES}
    try:
        return {"file": source.name, **pool.run(check, data, options).value}
    except BadInput as error:
        if error.code not in _DEATHS:
            raise
        told = {"rule": "XML", "level": "error", "line": 0, "message": _DEATHS[error.code], "path": ""}
        return {"file": source.name, **_UNREAD, "findings": [told]}


def _read(source: Source) -> bytes:
    """One byte more than the largest that is read tells that it is larger."""
    if source.path is None:
        return sys.stdin.buffer.read(FEED_BYTES + 1)
    with source.path.open("rb") as file:
        return file.read(FEED_BYTES + 1)


def _below(folder: str) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (p for name in names if not name.startswith(".") and (p := Path(place, name)).is_file())


def _source(path: Path) -> Source:
    return Source(name=_shown(str(path)), path=path)


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")
