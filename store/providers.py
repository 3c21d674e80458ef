"""How providers stand in the eyes of the processes that call them; no row: all is well."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from store.tables_lookup import provider
from store.unit import Unit

FRESH = timedelta(seconds=30)  # rows are renewed each few seconds; older ones are of dead processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What one process makes of one provider of a channel."""

    channel: str
    spare: str = ""  # its name; '' is the provider that the channel goes by while all is well
    standing: str  # closed | open | trying
    code: str
    is_told_to_wait: bool  # the provider asked for a pause until then
    until: datetime
    since: datetime


def note(unit: Unit, process: str, found: Sequence[Provider], at: datetime) -> None:
    """Write what the process makes of its providers; those not in `found` are well."""
    p = provider.c
    rows = unit.rows(sa.select(p.channel, p.spare, p.since).where(p.process == process))
    since = {(row.channel, row.spare): row.since for row in rows}
    unit.execute(provider.delete().where(p.process == process))
    unit.execute(provider.delete().where(p.seen_at < at - FRESH * 10))
    for one in found:
        unit.execute(provider.insert(), {
            "channel": one.channel, "spare": one.spare, "process": process, "standing": one.standing,
            "code": one.code[:40], "is_told_to_wait": one.is_told_to_wait, "until": one.until,
            "since": since.get((one.channel, one.spare), one.since), "seen_at": at,
        })  # fmt: skip


def troubled(unit: Unit, at: datetime) -> list[Provider]:
    """One for each provider in trouble: as the process sees it that has to wait longest."""
    p = provider.c
    query = (
        sa.select(provider)
        .where(p.seen_at > at - FRESH)
        .order_by(p.channel, p.spare, p.standing == "closed", p.until.desc())
    )
    found: dict[tuple[str, str], Provider] = {}
    for row in unit.rows(query):
        one = Provider(channel=row.channel, spare=row.spare, standing=row.standing, code=row.code,
                       is_told_to_wait=row.is_told_to_wait, until=row.until, since=row.since)  # fmt: skip
        found.setdefault((row.channel, row.spare), one)
    return list(found.values())
