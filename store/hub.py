"""The one row that says what this database is."""

from datetime import datetime

import sqlalchemy as sa

from domain.errors import NotFound
from domain.handling import Mode
from store import tables as t
from store.unit import Unit


def init(unit: Unit, mode: Mode, instance: str, at: datetime) -> bool:
    """Set the mode for ever; False if it was set before."""
    values = {"one": 1, "mode": mode.value, "instance": instance, "created_at": at}
    return unit.add_once(t.hub, values)


def mode(unit: Unit) -> Mode:
    """The mode of this database. Raises NotFound before `tocsin init`."""
    value = unit.scalar(sa.select(t.hub.c.mode))
    if value is None:
        raise NotFound("this database has no mode yet: run `tocsin init`", code="not_initialised")
    return Mode(value)


def instance(unit: Unit) -> str:
    """The name that this database got at `tocsin init`; a restored copy keeps it."""
    return str(unit.scalar(sa.select(t.hub.c.instance)) or "")
