"""The public directory, served from memory: what any file server would do, without the database."""

import hashlib
import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from threading import Lock

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import NotFound

CACHE_BYTES = 64 << 20  # pages of 14 KB: 4,500 of them; larger sites stand behind a file server
# PROMISES 7.7: a lifted warning must not live on in a cache, and an old page is better than none at all.
FRESH = "public, max-age=15, stale-if-error=86400"
FOR_EVER = (
    "public, max-age=31536000, immutable"  # R18: the bytes of an alert never change; its state is elsewhere
)
_ALERT = re.compile(r"/public/cap/[^/]+\.xml(\.sig)?")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".xml": "application/cap+xml",  # CAP 1.2 §3.3.1: every .xml of ours is an alert
    ".atom": "application/atom+xml",
    ".rss": "application/rss+xml",
    ".geojson": "application/geo+json",
    ".json": "application/json",
    ".css": "text/css; charset=utf-8",
    ".sig": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
_FEED = "alerts.json"  # JSON Feed 1.1; every other .json of ours is a plain list
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A file as it was read, and what its validators are."""

    body: bytes
    etag: str
    modified: float  # Unix seconds
    media_type: str
    stamp: tuple[int, int]  # mtime in ns, size


class Directory:
    """Files below `root`, each kept in memory until its time or size changes. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._pages: dict[Path, Page] = {}
        self._size = 0
        self._lock = Lock()

    def page(self, path: str) -> Page:
        """The file at URL path `path`; a directory is its index.html. Raises NotFound."""
        parts = [part for part in path.split("/") if part]
        if any(part.startswith(".") or "\0" in part or "\\" in part for part in parts):
            raise NotFound
        place = self._root.joinpath(*parts)
        try:
            if place.is_dir():
                place /= "index.html"
            if not place.resolve().is_relative_to(self._root):  # a link out of the directory
                raise NotFound
            about = place.stat()
            stamp = (about.st_mtime_ns, about.st_size)
            known = self._pages.get(place)
            return known if known and known.stamp == stamp else self._load(place, stamp, about.st_mtime)
        except (OSError, ValueError):
            raise NotFound from None

    def _load(self, place: Path, stamp: tuple[int, int], modified: float) -> Page:
        body = place.read_bytes()
        is_feed = place.name == _FEED
        media_type = (
            "application/feed+json" if is_feed else _TYPES.get(place.suffix, "application/octet-stream")
        )
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        page = Page(body=body, etag=etag, modified=modified, media_type=media_type, stamp=stamp)
        with self._lock:
            old = self._pages.pop(place, None)
            self._size += len(body) - (len(old.body) if old else 0)
            if self._size > CACHE_BYTES:
                self._pages.clear()
                self._size = len(body)
            self._pages[place] = page
        return page


def routes(root: Path) -> list[Route]:
    """GET and HEAD of the index, pages, lists, their English twins and everything below /public."""
    directory = Directory(root)

    async def serve(request: Request) -> Response:
        page = await anyio.to_thread.run_sync(directory.page, request.url.path)
        return _response(request, page)

    trees = ("/alerts", "/past", "/a", "/feeds", "/en", "/public")
    places = ["/", "/index.html", "/page-{n:int}.html", *trees, *(f"{tree}/{{rest:path}}" for tree in trees)]
    return [Route(place, serve, methods=["GET", "HEAD"], name="public") for place in places]


def _response(request: Request, page: Page) -> Response:
    headers = {
        "ETag": page.etag,
        "Last-Modified": formatdate(page.modified, usegmt=True),
        "Cache-Control": FOR_EVER if _ALERT.fullmatch(request.url.path) else FRESH,
        "Content-Security-Policy": _POLICY,
    }
    if request.url.path.startswith("/public/"):
        headers["Access-Control-Allow-Origin"] = "*"
    if _is_known(request, page):
        return Response(status_code=304, headers=headers)
    return Response(page.body, headers=headers | {"Content-Type": page.media_type})


def _is_known(request: Request, page: Page) -> bool:
    """RFC 9110 §13.2.2: If-None-Match decides; only without it does If-Modified-Since."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        found = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return page.etag in found or "*" in found
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
        return int(page.modified) <= since.timestamp()
    except (ValueError, TypeError, OverflowError):
        return False
