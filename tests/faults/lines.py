"""What the processes of a house have logged."""

import json
from datetime import datetime
from typing import Any

from tests.walks.houses import House


def events(made: House, name: str, event: str = "") -> list[dict[str, Any]]:
    """The lines of a process, of one event if that is named."""
    found = []
    for line in (made.settings.data_dir / f"{name}.log").read_text().splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            if event in ("", row.get("event")):
                found.append(row)
    return found


def seconds(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    """Between two lines."""
    begin, end = (datetime.fromisoformat(row["timestamp"]) for row in (earlier, later))
    return (end - begin).total_seconds()
