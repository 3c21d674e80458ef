"""What the public files are made of, read in four queries however many releases there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.artefact import Purpose
from domain.parcel import DispatchState
from domain.release import State
from store import tables as t
from store.unit import Unit

_COLUMNS = ("id", "kind", "issuer", "event_code", "colour", "body", "expires", "state", "state_at", "created_at",
            "sent", "identifier", "digest", "approved_at", "supersedes")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A frozen artefact of one channel without its bytes; `promised` is the hash that was approved."""

    id: str
    language: str
    purpose: Purpose
    sha256: str
    promised: str  # '' for one that nobody promised to send

    @property
    def is_as_approved(self) -> bool:
        """An ending has a promise of its own only where it is sent; a main text always has one."""
        return self.promised == self.sha256 or (self.purpose is not Purpose.MAIN and not self.promised)


@dataclass(slots=True, kw_only=True)
class Row:
    """One release with its texts in one channel. `is_kept`: a promise of that channel was kept in full."""

    release: sa.Row[Any]
    is_kept: bool = False
    texts: list[Text] = field(default_factory=list)
    headlines: dict[str, str] = field(default_factory=dict)  # language -> headline, of all channels


def rows(
    unit: Unit,
    channel: str,
    *,
    handling: str,
    states: Iterable[State],
    always: Iterable[State],
    since: datetime,
) -> list[Row]:
    """Releases in `states` whose lane for `channel` has begun: drafted after `since`, or in one of `always`."""
    r, d = t.release_row.c, t.dispatch.c
    is_wanted = sa.and_(
        r.handling == handling,
        r.state.in_([s.value for s in states]),
        sa.or_(r.created_at >= since, r.state.in_([s.value for s in always])),
    )
    begun: dict[str, bool] = {}
    promised: dict[str, str] = {}
    query = sa.select(d.release, d.artefact, d.sha256, d.state, d.tries, d.purpose)
    query = query.join(t.release_row, r.id == d.release).where(d.channel == channel, is_wanted)
    for row in unit.rows(query):
        promised[row.artefact] = row.sha256
        is_begun = row.state in (DispatchState.OPEN, DispatchState.DONE) or row.tries > 0
        if row.purpose == Purpose.MAIN and is_begun:
            begun[row.release] = begun.get(row.release, False) or row.state == DispatchState.DONE
    columns = sa.select(*(r[name] for name in _COLUMNS)).where(is_wanted)
    found = {row.id: Row(release=row, is_kept=begun[row.id]) for row in unit.rows(columns) if row.id in begun}
    _add_texts(unit, channel, found, promised, is_wanted)
    return sorted(found.values(), key=lambda row: (row.release.created_at, row.release.id))


def _add_texts(
    unit: Unit,
    channel: str,
    found: Mapping[str, Row],
    promised: Mapping[str, str],
    is_wanted: sa.ColumnElement[bool],
) -> None:
    r, a = t.release_row.c, t.artefact.c
    query = sa.select(a.id, a.release, a.channel, a.language, a.purpose, a.sha256, a.headline)
    query = query.join(t.release_row, sa.and_(r.id == a.release, r.digest == a.digest)).where(is_wanted)
    for row in unit.rows(query.order_by(a.release, a.channel, a.language, a.area_variant)):
        if row.release not in found:
            continue
        if row.headline and row.purpose == Purpose.MAIN:
            found[row.release].headlines[row.language] = row.headline
        if row.channel == channel:
            text = Text(id=row.id, language=row.language, purpose=Purpose(row.purpose), sha256=row.sha256,
                        promised=promised.get(row.id, ""))  # fmt: skip
            found[row.release].texts.append(text)


def numbers(unit: Unit, since: datetime) -> list[tuple[str, datetime]]:
    """(id, created_at) of every release drafted from `since` on, in the order in which they are numbered."""
    r = t.release_row.c
    query = sa.select(r.id, r.created_at).where(r.created_at >= since).order_by(r.created_at, r.id)
    return [(row.id, row.created_at) for row in unit.rows(query)]


def divisions(unit: Unit, codes: Sequence[str]) -> list[sa.Row[Any]]:
    """The rows of these divisions, in the order of their codes."""
    a = t.area.c
    query = sa.select(a.code, a.name_zh, a.name_en, a.lon, a.lat).where(a.code.in_(codes)).order_by(a.code)
    return unit.rows(query)
