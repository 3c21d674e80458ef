"""What the public is told: releases as a publisher sees them, their bytes read only when they are asked for."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from channels.contract import Division, Entry
from domain.artefact import Purpose
from domain.errors import Tampered
from domain.handling import Handling
from domain.place import canonical
from domain.release import CURRENT, State
from store import published, releases
from store.database import Store
from store.published import Row, Text
from store.unit import Unit

MONTHS = 24  # that far back lists reach; pages and CAP files older than that keep their address for ever
STATES = (State.APPROVED, State.PUBLISHING, State.PUBLISHED, State.STOPPED, State.CANCELLED, State.CORRECTED,
          State.SUPERSEDED, State.UNLIFTED, State.EXPIRED)  # fmt: skip
_ON_ITS_WAY = (State.APPROVED, State.PUBLISHING)
_ENDINGS = {State.CORRECTED: Purpose.CORRECTION, State.CANCELLED: Purpose.LIFT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An entry, and whether its channel has told it in full. What has not may lie there, or wait (STOP)."""

    entry: Entry
    is_kept: bool


class _Bodies(Mapping[str, bytes]):
    """language, or language+ending -> bytes; each read when it is asked for, and compared with its hash."""

    def __init__(self, store: Store, texts: Mapping[str, Text]) -> None:
        self._store = store
        self._texts = texts

    def __getitem__(self, key: str) -> bytes:
        """Raises Tampered when the stored bytes are not what was approved."""
        text = self._texts[key]
        found = self._store.read(lambda unit: releases.artefact(unit, text.id))
        if found is None or hashlib.sha256(found.body).hexdigest() != text.sha256:
            raise Tampered("the artefact is not what was approved", code="artefact")
        return found.body

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def first_month(at: datetime, zone: tzinfo) -> datetime:
    """The beginning of the oldest month of which lists are complete."""
    local = at.astimezone(zone)
    months = local.year * 12 + local.month - 1 - MONTHS
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=zone)


def read(store: Store, channel: str, at: datetime, zone: tzinfo) -> list[Told]:
    """What `channel` may tell the public, newest first: public releases that its lane has begun.

    A release with an artefact that is not what was promised is left out.
    """

    def work(unit: Unit) -> list[Told]:
        since = first_month(at, zone)
        # drafted a little earlier, issued in the first month: submissions lapse within the hour
        rows = published.rows(
            unit,
            channel,
            handling=Handling.PUBLIC,
            states=STATES,
            always=CURRENT,
            since=since - timedelta(days=31),
        )
        rows = [row for row in rows if row.texts and all(text.is_as_approved for text in row.texts)]
        numbers = _numbers(unit, rows, zone)
        find = _gazetteer(unit, rows)
        entries = [(_entry(store, row, numbers, find), row.is_kept) for row in rows]
        return [
            Told(entry=replace(entry, is_recent=entry.sent >= since), is_kept=is_kept)
            for entry, is_kept in entries
            if entry.sent >= since or entry.state in CURRENT
        ]

    return sorted(store.read(work), key=lambda t: (t.entry.sent, t.entry.release_id), reverse=True)


def _entry(
    store: Store, row: Row, numbers: Mapping[str, int], find: Callable[[Sequence[str]], tuple[Division, ...]]
) -> Entry:
    release, state = row.release, State(row.release.state)
    sent = release.sent or release.approved_at or release.created_at
    is_on_its_way = state in (*_ON_ITS_WAY, State.PUBLISHED)
    texts = {t.language: t for t in row.texts if t.purpose is Purpose.MAIN}
    texts |= {f"{t.language}+{t.purpose}": t for t in row.texts if t.purpose is _ENDINGS.get(state)}
    return Entry(
        release_id=release.id, identifier=release.identifier or "",
        # to a reader it is published from its first byte on; what the lanes still do is for the monitor
        state=(State.PUBLISHED if state in _ON_ITS_WAY else state).value,
        sent=sent, changed_at=(release.approved_at or sent) if is_on_its_way else release.state_at,
        expires=release.expires, kind=release.kind, colour=release.colour or "", event_code=release.event_code,
        issuer=release.issuer, areas=tuple(release.body["areas"]),
        headlines=dict(sorted(row.headlines.items(), key=_chinese_first)),
        payloads=_Bodies(store, texts), hashes={key: text.sha256 for key, text in sorted(texts.items())},
        digest=release.digest, number=numbers.get(release.id, 0), supersedes=release.supersedes or "",
        channels=tuple(release.body["channels"]), divisions=find(release.body["areas"]),
    )  # fmt: skip


def _chinese_first(item: tuple[str, str]) -> tuple[bool, str]:
    """A reader who shows one headline shows that of the language in which it was drafted."""
    return item[0] != "zh-CN", item[0]


def _numbers(unit: Unit, rows: Sequence[Row], zone: tzinfo) -> dict[str, int]:
    """id -> number within its local year, as store.numbers counts one by one."""
    if not rows:
        return {}
    oldest = min(row.release.created_at for row in rows).astimezone(zone)
    found: dict[str, int] = {}
    year, count = 0, 0
    for release_id, created_at in published.numbers(unit, datetime(oldest.year, 1, 1, tzinfo=zone)):
        local = created_at.astimezone(zone).year
        count = count + 1 if local == year else 1
        year = local
        found[release_id] = count
    return found


def _gazetteer(unit: Unit, rows: Sequence[Row]) -> Callable[[Sequence[str]], tuple[Division, ...]]:
    """Areas -> their divisions and those that these lie in, the larger first."""
    codes = sorted({code for row in rows for area in row.release.body["areas"] for code in _within(area)})
    known = {
        row.code: Division(
            code=row.code,
            names={"zh-CN": row.name_zh, "en": row.name_en or row.name_zh},
            centre=None if row.lon is None or row.lat is None else (row.lon, row.lat),
        )
        for row in published.divisions(unit, codes)
    }

    def find(areas: Sequence[str]) -> tuple[Division, ...]:
        wanted = sorted({code for area in areas for code in _within(area)})
        return tuple(known[code] for code in wanted if code in known)

    return find


def _within(area: str) -> list[str]:
    """Province, city, county ... down to the area itself."""
    code = canonical(area)
    return list(dict.fromkeys(canonical(code[:digits]) for digits in (2, 4, 6, 9, 12)))
