"""What a public file is made of, as one word: the same word, the same bytes."""

import hashlib
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from channels.contract import Entry


def of_program() -> str:
    """Changes with the wires and the public templates, so that an upgrade makes its files again."""
    read = hashlib.sha256()
    for place in (*_below(files("channels")), *_below(files("templates").joinpath("public"))):
        read.update(place.read_bytes())
    return read.hexdigest()


def of_entry(entry: Entry) -> str:
    """Everything of an entry; its bytes by their hashes."""
    hashes = entry.hashes or {key: hashlib.sha256(body).hexdigest() for key, body in entry.payloads.items()}
    parts = (
        entry.release_id, entry.identifier, entry.state, entry.sent, entry.changed_at, entry.expires, entry.kind,
        entry.colour, entry.event_code, entry.issuer, tuple(entry.areas), sorted(entry.headlines.items()),
        sorted(hashes.items()), entry.digest, entry.number, entry.supersedes, tuple(entry.channels),
        [(d.code, sorted(d.names.items()), d.centre) for d in entry.divisions],
    )  # fmt: skip
    return of(parts)


def of(*parts: Any) -> str:
    """Parts are text, numbers, times and sequences of them: their repr() is the same in every process."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _below(root: Traversable) -> Iterable[Traversable]:
    for place in sorted(root.iterdir(), key=lambda p: p.name):
        if place.is_dir():
            yield from _below(place)
        elif not place.name.endswith(".pyc"):
            yield place
