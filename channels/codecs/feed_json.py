"""JSON Feed 1.1, GeoJSON and the plain JSON lists over the items of a feed."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from channels.codecs import public_areas
from channels.codecs.feed_items import CAP_TYPE, LANGUAGES, Item, headline, plain, whole
from channels.codecs.pieces import Pieces
from domain.artefact import Purpose
from domain.handling import Mode

_FEED_VERSION = "https://jsonfeed.org/version/1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One feed in any format: where it lies, what it is called, what it lists."""

    folder: str  # public/ or public/areas/330102000000/
    title: str
    page: str  # the page that shows the same: en/index.html
    items: Sequence[Item]
    language: str = ""  # of its titles; '' for all languages side by side


def json_feed(feed: Feed, base: str, mode: Mode, kept: Pieces[bytes]) -> bytes:
    """JSON Feed 1.1; `_tocsin` holds what the format has no name for."""
    head = {
        "version": _FEED_VERSION,
        "title": feed.title,
        "home_page_url": f"{base}/{feed.page}",
        "feed_url": f"{base}/{feed.folder}alerts.json",
        "language": feed.language or LANGUAGES[0],
    }
    make = partial(_item, language=feed.language, base=base, mode=mode)
    return _listed(head, "items", _rows(feed.items, make, kept, ("json", feed.language, base, mode)))


def _item(item: Item, language: str, base: str, mode: Mode) -> Mapping[str, Any]:
    entry = item.entry
    tags = (entry.state, entry.kind, entry.colour, plain(entry.event_code))
    cap = cap_url(item, base)
    made: dict[str, Any] = {
        "id": item.id,
        "title": item.title(language),
        "content_text": item.summary(language),
        "date_published": _utc(item.published),
        "date_modified": _utc(item.updated),
        "authors": [{"name": plain(entry.issuer)}],
        "tags": [tag for tag in tags if tag],
        "attachments": [{"url": cap, "mime_type": CAP_TYPE, "title": "CAP 1.2"}],
        "_tocsin": {"about": f"{base}/feeds/"} | _properties(item, base, mode),
    }
    if page := page_url(item, language, base):
        made["url"] = page
    return made


def geojson(feed: Feed, base: str, mode: Mode, kept: Pieces[bytes]) -> bytes:
    """RFC 7946. The geometry is the centre of each area, not its outline: null where no centre is known."""
    make = partial(_feature, language=feed.language, base=base, mode=mode)
    rows = _rows(feed.items, make, kept, ("geojson", feed.language, base, mode))
    return _listed({"type": "FeatureCollection"}, "features", rows)


def _feature(item: Item, language: str, base: str, mode: Mode) -> Mapping[str, Any]:
    return {
        "type": "Feature",
        "id": item.id,
        "geometry": _geometry(item),
        "properties": {"headline": item.title(language)} | _properties(item, base, mode),
    }


def _geometry(item: Item) -> Mapping[str, Any] | None:
    """Longitude first, RFC 7946 §3.1.1; several points are a MultiPoint, not a GeometryCollection (§3.1.8)."""
    points = [list(d.centre) for d in public_areas.of_entry(item.entry) if d.centre]
    if len(points) == 1:
        return {"type": "Point", "coordinates": points[0]}
    return {"type": "MultiPoint", "coordinates": points} if points else None


def _properties(item: Item, base: str, mode: Mode) -> dict[str, Any]:
    """The elements of CAP 1.2 under their own names where it has one; `state` and what follows are ours."""
    entry = item.entry
    names = {d.code: d.names for d in public_areas.of_entry(entry)}
    return {
        "identifier": entry.identifier + _ENDS[item.purpose],
        "sent": _utc(item.published),
        "status": mode.cap_status,
        "msgType": item.msg_type,
        "scope": "Public",
        "references": list(item.earlier),
        "event_code": plain(entry.event_code),
        "severity": item.severity or None,
        "senderName": plain(entry.issuer),
        "expires": _utc(entry.expires),
        "areas": [
            {"code": code, "areaDesc": names[code]} if code in names else {"code": code}
            for code in public_areas.areas(entry)
        ],
        "state": entry.state,
        "is_current": item.is_current,
        "level": entry.colour or None,
        "kind": entry.kind,
        "changed_at": _utc(item.updated),
        "release_id": entry.release_id,
        "supersedes": item.before or None,
        "superseded_by": item.after or None,
        "cap": cap_url(item, base),
        "web": page_url(item, "", base) or None,
    }


_ENDS = {Purpose.MAIN: "", Purpose.CORRECTION: "-C", Purpose.LIFT: "-L"}  # as the freeze names its endings


def index(items: Sequence[Item], kept: Pieces[bytes]) -> bytes:
    """Every CAP file that the feeds list, as a list of rows."""
    return _list(_rows(items, _row, kept, ("index",))) + b"\n"


def _row(item: Item) -> Mapping[str, Any]:
    entry = item.entry
    return {
        "id": entry.release_id,
        "purpose": item.purpose.value,
        "identifier": entry.identifier + _ENDS[item.purpose],
        "msgType": item.msg_type,
        "references": list(item.earlier),
        "state": entry.state,
        "sent": _utc(entry.sent),
        "changed_at": _utc(entry.changed_at),
        "expires": _utc(entry.expires),
        "kind": entry.kind,
        "colour": entry.colour,
        "event_code": plain(entry.event_code),
        "issuer": plain(entry.issuer),
        "areas": list(entry.areas),
        "headlines": {language: headline(entry, language) for language in entry.headlines},
        "supersedes": item.before or None,
        "superseded_by": item.after or None,
        "file": f"{item.name}.xml",
        "sha256": entry.hashes.get(item.payload, ""),
    }


def area_book(feed: Feed, division: Mapping[str, Any], base: str) -> bytes:
    """One division for machines: its names and centre, its feeds, the ids of what is in force there."""
    feeds = {form: f"{base}/{feed.folder}alerts.{form}" for form in ("atom", "rss", "json", "geojson")}
    current = [item.entry.release_id for item in feed.items if item.is_current]
    return _bytes({**division, "page": f"{base}/{feed.page}", "feeds": feeds, "current": current})


def cap_url(item: Item, base: str) -> str:
    """Where its CAP file lies."""
    return f"{base}/public/cap/{item.name}.xml"


def page_url(item: Item, language: str, base: str) -> str:
    """The page of the release in that language; '' where it has none."""
    if "web_notice" not in item.entry.channels:
        return ""
    is_spoken = language in item.entry.headlines
    folder = "en/" if is_spoken and language == "en" else ""
    return f"{base}/{folder}alerts/{item.entry.release_id}/"


def _utc(at: datetime) -> str:
    return whole(at).isoformat()


def _rows(
    items: Sequence[Item], make: Callable[[Item], Any], kept: Pieces[bytes], about: tuple[object, ...]
) -> Iterator[bytes]:
    """One line of JSON for each item; `about` names what `make` knows besides the item."""
    return (kept.get((*about, item.made_of), partial(_line, make, item)) for item in items)


def _line(make: Callable[[Item], Any], item: Item) -> bytes:
    return _text(make(item))


def _listed(head: Mapping[str, Any], name: str, rows: Iterable[bytes]) -> bytes:
    """An object whose last member is a list with a row on each line."""
    members = b"".join(b"%s: %s,\n" % (_text(key), _text(value)) for key, value in head.items())
    return b"{\n%s%s: %s\n}\n" % (members, _text(name), _list(rows))


def _list(rows: Iterable[bytes]) -> bytes:
    lines = b",\n".join(rows)
    return b"[\n%s\n]" % lines if lines else b"[]"


def _bytes(value: Any) -> bytes:
    """Ends in a newline; keys in the order in which they were written, which is the same each time."""
    return _encoded(json.dumps(value, ensure_ascii=False, indent=1)) + b"\n"


def _text(value: Any) -> bytes:
    return _encoded(json.dumps(value, ensure_ascii=False))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
