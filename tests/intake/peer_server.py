"""Another authority's web server, over a real socket: it answers what a test tells it to."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What is at one path."""

    body: bytes = b""
    kind: str = "application/xml"
    status: int = 200
    etag: str = ""
    is_packed: bool = False
    cut: int = 0  # bytes that never come
    unasked: int = 0  # answers of 304 to whoever sends no condition
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Site:
    """All of it; `asked` are the paths in the order in which they were asked for, with If-None-Match."""

    url: str = ""
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def put(self, path: str, body: bytes, **more: object) -> str:
        """Put something there; its address."""
        self.pages[path] = Page(body=body, **more)  # type: ignore[arg-type]
        return f"{self.url}{path}"

    def paths(self) -> list[str]:
        """What was asked for, and forget it."""
        found, self.asked = [path for path, _ in self.asked], []
        return found


@contextmanager
def peer_site(port: int = 0) -> Iterator[Site]:
    """A site that answers until the block ends."""
    site = Site()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers.get("If-None-Match", "")))
            page = site.pages.get(self.path, Page(status=404))
            is_same = page.etag and self.headers.get("If-None-Match") == page.etag
            if is_same or page.unasked:
                page.unasked = max(0, page.unasked - 1)
                self.send_response(304)
                self.end_headers()
                return
            body = gzip.compress(page.body) if page.is_packed else page.body
            self.send_response(page.status)
            self.send_header("Content-Type", page.kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in ({"ETag": page.etag} if page.etag else {}).items():
                self.send_header(name, value)
            if page.is_packed:
                self.send_header("Content-Encoding", "gzip")
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) - page.cut])

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Answers)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def atom(entries: list[tuple[str, str]], *, updated: str = "2026-11-23T06:05:00Z") -> bytes:
    """An Atom index of (address, updated)."""
    rows = "".join(
        f"<entry><id>{url}</id><title>x</title><updated>{stamp}</updated>"
        f'<link rel="alternate" type="application/cap+xml" href="{url}"/></entry>'
        for url, stamp in entries
    )
    return (
        f'<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>f</title><updated>{updated}</updated>{rows}</feed>'
    ).encode()
