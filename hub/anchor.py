"""Each minute a signed root over the journal leaves the database for a file outside it."""

import json
import os
from pathlib import Path

from hub.wiring import Hub
from store import durable, roots


def path(data_dir: Path) -> Path:
    """The anchor file; a deployment mirrors it off the host."""
    return data_dir / "anchors.jsonl"


def seal(hub: Hub) -> bool:
    """Seal what was journalled since the last root; False when there was nothing. Safe side by side."""
    root = hub.store.run(lambda unit: roots.seal(unit, hub.keys.journal_root, hub.clock()))
    if root is None:
        return False
    line = json.dumps({name: root[name] for name in ("n", "hash", "count", "at", "signature")}) + "\n"
    descriptor = os.open(path(hub.settings.data_dir), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
        durable.sync(descriptor)
    finally:
        os.close(descriptor)
    return True


def read(data_dir: Path) -> dict[int, str]:
    """n -> hash of every root that left; a torn last line is not one that left."""
    found: dict[int, str] = {}
    if path(data_dir).exists():
        for line in path(data_dir).read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            found[row["n"]] = row["hash"]
    return found
