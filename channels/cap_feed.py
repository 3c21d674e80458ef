"""Wire: CAP 1.2 files, the Atom feed that lists them and a JSON index, as static files.

An entry's payloads: ``mul`` is the CAP file of the release; ``mul+correction`` or ``mul+lift`` that of its
ending, once it has been published. Files hold the payload byte for byte. Feed practice: OASIS "Example
Practices: CAP Feeds 1.0" and what public readers ask of an entry (id, title, updated, a link of type
application/cap+xml).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension
from feedgen.feed import FeedGenerator
from lxml import etree

from channels.contract import Entry, File
from domain.artefact import Purpose
from domain.errors import Flaw
from domain.handling import Mode
from domain.ids import is_id
from domain.release import CURRENT, State

CAP_TYPE = "application/cap+xml"
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # `updated` of a feed without entries: any constant, never the clock
ENDED_ENTRIES = 100  # about 1 KB each: readers ask for feeds near 100 KB. Entries in force are always listed
_MARKS = {Mode.LIVE: "", Mode.EXERCISE: "【演练】[EXERCISE] ", Mode.DEMO: "【演示】[TEST] "}
_STATES = {
    State.STOPPED: "已停止发送 Stopped",
    State.CANCELLED: "已解除 Lifted",
    State.CORRECTED: "误发已更正 Corrected",
    State.SUPERSEDED: "已被替代 Superseded",
    State.UNLIFTED: "到期未解除 Expired, not lifted",
    State.EXPIRED: "已到期 Expired",
}
_ENDINGS = (Purpose.CORRECTION, Purpose.LIFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One CAP file with its line in the feed."""

    entry: Entry
    purpose: Purpose
    body: bytes

    @property
    def name(self) -> str:
        """rel_01J.... , or rel_01J....-lift for an ending."""
        return self.entry.release_id + ("" if self.purpose is Purpose.MAIN else f"-{self.purpose}")

    @property
    def title(self) -> str:
        """The headline with the state in words, so that a reader who shows titles only is not misled."""
        headline = next(iter(self.entry.headlines.values()), "")
        if self.purpose is not Purpose.MAIN:
            return f"[{_ENDING_TITLES[self.purpose]}] {headline}"
        said = _STATES.get(State(self.entry.state))
        return f"[{said}] {headline}" if said else headline


_ENDING_TITLES = {Purpose.CORRECTION: "更正 Correction", Purpose.LIFT: "解除 Lifted"}


class CapFeed:
    """The publisher of channel ``cap_feed``. Pure: the same entries give the same bytes."""

    name = "cap_feed"
    channel = "cap_feed"

    def __init__(self, *, mode: Mode) -> None:
        self._mode = mode

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        """CAP files, then ``public/cap/index.json`` and ``public/alerts.atom``.

        An entry that flaws() names is left out of the feed; the others are listed.
        """
        items = [item for entry in entries if not _unusable(entry) for item in _items(entry)]
        listed = [item for item in items if _flaw(item) is None]
        files = [File(path=f"public/cap/{i.name}.xml", body=i.body, media_type=CAP_TYPE) for i in items]
        index = (
            json.dumps([_row(i) for i in items], ensure_ascii=False, sort_keys=True, indent=1).encode()
            + b"\n"
        )
        atom = _atom(_newest(listed), public_url.rstrip("/"), _MARKS[self._mode])
        return [
            *files,
            File(path="public/cap/index.json", body=index, media_type="application/json", is_index=True),
            File(path="public/alerts.atom", body=atom, media_type="application/atom+xml", is_index=True),
        ]

    def flaws(self, entries: Sequence[Entry]) -> list[Flaw]:
        """What is left out of the feed and why; pointers are release ids."""
        found: list[Flaw] = []
        for entry in entries:
            reason = _unusable(entry) or next((r for r in map(_flaw, _items(entry)) if r), None)
            if reason:
                found.append(Flaw(entry.release_id[:40], reason))
        return found


def _unusable(entry: Entry) -> str | None:
    """Why no file can be written for the entry; its id becomes a path."""
    if not is_id("rel", entry.release_id):
        return "the release id is malformed"
    if not all(at.tzinfo for at in (entry.sent, entry.changed_at, entry.expires)):
        return "a time lacks its offset"
    return None if "mul" in entry.payloads else "there is no CAP file"


def _items(entry: Entry) -> Iterator[_Item]:
    """The endings first: newest first, as in the rest of the feed."""
    for purpose in _ENDINGS:
        if (body := entry.payloads.get(f"mul+{purpose}")) is not None:
            yield _Item(entry=entry, purpose=purpose, body=body)
    if "mul" in entry.payloads:
        yield _Item(entry=entry, purpose=Purpose.MAIN, body=entry.payloads["mul"])


def _flaw(item: _Item) -> str | None:
    """Why feedgen would refuse the entry, and the whole feed with it."""
    try:
        if not any(h.strip() for h in item.entry.headlines.values()):
            return "there is no headline"
        _feed_entry(item, "https://example.invalid").atom_entry()
    except (ValueError, TypeError, AttributeError) as error:
        return f"it cannot be written as Atom: {type(error).__name__}"
    return None


def _newest(items: Sequence[_Item]) -> list[_Item]:
    ended = [i for i in items if i.entry.state not in CURRENT]
    dropped = {id(i) for i in ended[ENDED_ENTRIES:]}
    return [i for i in items if id(i) not in dropped]


def _row(item: _Item) -> Mapping[str, Any]:
    entry = item.entry
    return {
        "id": entry.release_id,
        "purpose": item.purpose.value,
        "identifier": entry.identifier,
        "state": entry.state,
        "sent": _utc(entry.sent),
        "changed_at": _utc(entry.changed_at),
        "expires": _utc(entry.expires),
        "kind": entry.kind,
        "colour": entry.colour,
        "event_code": entry.event_code,
        "issuer": entry.issuer,
        "areas": list(entry.areas),
        "headlines": dict(entry.headlines),
        "file": f"{item.name}.xml",
        "bytes": len(item.body),
    }


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0).isoformat()


def _atom(items: Sequence[_Item], base: str, mark: str) -> bytes:
    feed = FeedGenerator()
    feed.id(f"{base}/public/alerts.atom")
    feed.title(f"{mark}公开发布的预警和公告 Public warnings and notices")
    feed.author(name=next((i.entry.issuer for i in items), "Tocsin 警钟"))
    feed.generator(generator="Tocsin")
    feed.link(href=f"{base}/", rel="alternate", type="text/html")
    feed.link(href=f"{base}/public/alerts.atom", rel="self", type="application/atom+xml")
    # feedgen takes the clock when nothing is set: then the bytes change at each build and no cache ever hits
    feed.updated(max((_whole(i.entry.changed_at) for i in items), default=NEVER))
    for item in items:
        feed.add_entry(_feed_entry(item, base), order="append")
    body: bytes = feed.atom_str(pretty=True)
    return body


def _feed_entry(item: _Item, base: str) -> FeedEntry:
    entry, made = item.entry, FeedEntry()
    made.register_extension("links", _WholeLinks, atom=True, rss=False)
    made.links.of = made
    made.id(f"urn:x-tocsin:{item.name}")
    made.title(item.title)
    made.updated(_whole(entry.changed_at))
    made.published(_whole(entry.sent))
    made.author(name=entry.issuer)
    made.summary("\n".join(entry.headlines.values()))
    made.link(href=f"{base}/public/cap/{item.name}.xml", rel="alternate", type=CAP_TYPE)
    made.link(href=f"{base}/alerts/{entry.release_id}/", rel="related", type="text/html", hreflang="zh-CN")
    if item.purpose is not Purpose.MAIN:
        made.link(href=f"{base}/public/cap/{entry.release_id}.xml", rel="related", type=CAP_TYPE)
    made.category(
        term=entry.state, scheme="urn:x-tocsin:state", label=_STATES.get(State(entry.state), "生效 In force")
    )
    for scheme, term in (("kind", entry.kind), ("colour", entry.colour), ("cn.eips", entry.event_code)):
        if term:
            made.category(term=term, scheme=f"urn:x-tocsin:{scheme}")
    return made


def _whole(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


class _WholeLinks(BaseEntryExtension):  # type: ignore[misc]
    """feedgen 1.0.0 loses rel, type and hreflang of an entry's links (its issue 135): they are put back."""

    of: FeedEntry

    def extend_atom(self, entry: etree._Element) -> etree._Element:
        """Sets the attributes again, in the order in which the links were written."""
        for element, link in zip(entry.iter("{*}link"), self.of.link(), strict=True):
            for name, value in sorted(link.items()):
                element.set(name, value)
        return entry
