"""Host names that are not ours, addresses at which there is nothing, and headers without measure."""

import statistics
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from outbox import atomic
from tests.corpus.hostile.raw_http import get
from tests.servers import PUBLIC_NAME, nginx
from tests.web.api_world import World, served, world

DESK, PUBLIC = "desk.example", "warn.example"
NOTHING = (
    "/.git/config", "/data/tocsin.db", "/backup.tgz", "/metrics", "/debug", "/openapi.json",
    "/..%2f..%2fetc/passwd", "/static/../templates", "/%2e%2e/%2e%2e/etc/passwd", "/..\\..\\etc\\passwd", "/.env",
    "/keys/field.key", "/.cap_feed.book", "/wp-login.php", "/server-status",
)  # fmt: skip
EVIL_HOSTS = ('"><script>alert(1)</script>', "evil.example", "desk.example.evil.example", "desk.example@evil.example",
              "evil.example:8000", "desk.example\\evil", "desk.example.", "[::2]", "127.0.0.2", "")  # fmt: skip


@pytest.fixture
def hub(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[tuple[World, int]]:
    """A hub that is reached under two names."""
    with world(
        tmp_path / "data", at, model=sqlite_model, base_url=f"https://{DESK}", public_url=f"https://{PUBLIC}"
    ) as made, served(made.hub) as port:  # fmt: skip
        yield made, port


@pytest.fixture
def public(tmp_path: Path, at: datetime) -> Iterator[int]:
    """The port of nginx over a small site."""
    root = tmp_path / "public"
    for path, text in (("index.html", "<html>一</html>" * 500), ("public/alerts.json", "{}"), ("public/alerts.atom", "<feed/>"),
                       ("public/cap/rel_1.xml", "<alert/>"), ("alerts/rel_1/index.html", "<html>1</html>"),
                       ("public/alerts.geojson", "{}"), ("a/b/index.html", "<html>2</html>")):  # fmt: skip
        atomic.write(root / path, text.encode(), at)
    (root / ".cap_feed.book").write_text("secret")
    (root / "empty").mkdir()
    with nginx(tmp_path, root) as port:
        yield port


@pytest.mark.parametrize(
    "path", ["/", "/login", "/v1/me", "/hooks/sms/twilio", "/public/alerts.atom", "/report"]
)
def test_h101_only_hosts_of_the_list_are_answered_and_the_others_see_nothing_of_a_page(
    hub, path: str
) -> None:
    _, port = hub
    for host in EVIL_HOSTS:
        said = get(port, path, host=host)
        assert said.status in (400, 421), (host, said)
        assert said.status == 421 or b"<" not in said.body  # 400: the server's own, before any of ours
        assert b"script" not in said.body and b"evil" not in said.body
        assert said.status == 400 or "frame-ancestors" in said.head["content-security-policy"]
    assert get(port, path, host=DESK).status != 421 and get(port, path, host=f"{PUBLIC}:8443").status != 421


def test_h101_what_a_forwarded_header_or_the_request_line_says_of_the_host_is_not_believed(hub) -> None:
    _, port = hub
    for line in ("X-Forwarded-Host: evil.example", 'X-Forwarded-Host: "><script>', "Forwarded: host=evil.example",
                 "X-Original-Host: evil.example", "X-Host: evil.example", "X-Forwarded-Server: evil.example"):  # fmt: skip
        for path in ("/login", "/report", "/", "/console"):
            said = get(port, path, line, host=DESK)
            assert said.status in (200, 303, 404)
            assert b"evil" not in said.body and b'"><script>' not in said.body
            assert "evil" not in said.head.get("location", "")
        assert get(port, "/login", line.replace("evil.example", DESK), host="evil.example").status == 421
    for target in ("http://evil.example/login", f"http://{DESK}/login", "evil.example:443", "*"):
        assert get(port, target, host=DESK).status in (400, 421), target
    assert get(port, "/login", "Host: evil.example", host=DESK).status == 400  # two of them


def test_h101_nginx_shows_no_page_under_another_name(public: int) -> None:
    for host in EVIL_HOSTS:
        said = get(public, "/", host=host)
        assert said.status in (400, 421), host
        assert b"evil" not in said.body and b"script>" not in said.body
    assert get(public, "/", "X-Forwarded-Host: evil.example", host=PUBLIC_NAME).status == 200
    assert get(public, "http://evil.example/", host=PUBLIC_NAME).status == 421


@pytest.mark.parametrize("host", [DESK, PUBLIC, PUBLIC_NAME])
def test_h103_what_is_not_there_has_one_answer_whoever_asks_for_it(hub, public: int, host: str) -> None:
    made, served_at = hub
    port = public if host == PUBLIC_NAME else served_at
    told = {path: get(port, path, host=host) for path in (*NOTHING, "/nothing-of-that-name")}
    normal = told.pop("/nothing-of-that-name")
    assert normal.status == 404 and len(normal.body) < 1000
    for path, said in told.items():
        # nginx resolves the path itself and refuses what leads out of the root before any location is found
        allowed = {400, 404} if port == public and (".." in path or "%2e" in path) else {404}
        assert said.status in allowed, path
        if said.status == 404:
            assert said.words == normal.words, path
            assert {n: v for n, v in said.head.items() if n not in ("date", "x-request-id")} == {
                n: v for n, v in normal.head.items() if n not in ("date", "x-request-id")}  # fmt: skip
    made.hub.store.close()  # it asks nothing of the database
    assert all(get(port, path, host=host).status == said.status for path, said in told.items())


@pytest.mark.parametrize("host", [DESK, PUBLIC_NAME])
def test_h103_no_address_takes_longer_to_be_denied_than_another(hub, public: int, host: str) -> None:
    port = public if host == PUBLIC_NAME else hub[1]
    took: dict[str, list[float]] = {path: [] for path in (*NOTHING, "/nothing")}
    for _ in range(15):
        for path, times in took.items():
            began = time.perf_counter()
            get(port, path, host=host)
            times.append(time.perf_counter() - began)
    best = [min(times) for times in took.values()]
    assert max(best) < 4 * statistics.median(best), sorted(best)


TAGS = ", ".join(f'"{n:032x}"' for n in range(10_000))
CODINGS = ", ".join(f"br;q=0.{n % 1000:03d}" for n in range(6_000))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"If-None-Match: {TAGS}", 431), (f"Accept-Encoding: {CODINGS}", 431), ("X: " + "x" * 65_536, 431),
        ("Cookie: " + "a=b; " * 4000, 431), ("Range: bytes=" + ",".join(f"{n}-{n}" for n in range(1000)), 416),
        ("Range: bytes=0-0,-1", 416), ("Range: bytes=999999-", 416), ("Range: bytes=0-9", 206),
        ("If-None-Match: " + TAGS[:4000], 200), ("Accept-Encoding: " + CODINGS[:4000], 200), ("Range: elephants=1-2", 200),
        ("If-Modified-Since: " + "9" * 500, 200),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
def test_h104_headers_without_measure_meet_the_limits_of_the_shipped_configuration(
    public: int, line: str, status: int
) -> None:
    for path in ("/", "/public/alerts.json", "/alerts/rel_1/"):
        said = get(public, path, line, host=PUBLIC_NAME)
        wanted = 200 if status == 206 and "json" in path else status  # of a file of two bytes nothing is cut
        assert said.status in (wanted, status), (path, said)
        assert len(said.body) < 12_000
    assert get(public, "/", host=PUBLIC_NAME).status == 200


def test_h104_a_thousand_headers_a_long_address_and_a_body_are_refused(public: int) -> None:
    many = [f"X-{n}: {'y' * 40}" for n in range(1000)]
    assert get(public, "/", *many, host=PUBLIC_NAME).status == 431
    assert get(public, "/" + "a" * 9000, host=PUBLIC_NAME).status == 414
    assert get(public, "/", "Content-Length: 100000", host=PUBLIC_NAME, method="POST").status == 413
    for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "TRACE"):
        assert get(public, "/", "Content-Length: 0", host=PUBLIC_NAME, method=method).status == 405
    assert (
        b"HTTP/2" not in get(public, "/", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", host=PUBLIC_NAME).body
    )


@pytest.mark.parametrize(
    ("path", "kind", "cache"),
    [
        ("/", "text/html; charset=utf-8", "public, max-age=15, stale-if-error=86400"),
        ("/alerts/rel_1/", "text/html; charset=utf-8", "public, max-age=15, stale-if-error=86400"),
        ("/alerts/rel_1", "text/html; charset=utf-8", "public, max-age=15, stale-if-error=86400"),
        ("/public/alerts.atom", "application/atom+xml", "public, max-age=15, stale-if-error=86400"),
        ("/public/alerts.json", "application/feed+json", "public, max-age=15, stale-if-error=86400"),
        ("/public/alerts.geojson", "application/geo+json", "public, max-age=15, stale-if-error=86400"),
        ("/public/cap/rel_1.xml", "application/cap+xml", "public, max-age=31536000, immutable"),
    ],
)
def test_nginx_answers_with_the_types_and_headers_of_the_hub_itself(
    public: int, sqlite_model: Path, tmp_path: Path, at: datetime, path: str, kind: str, cache: str
) -> None:
    """And R17's pages weigh what their packed twin weighs."""
    said = get(public, path, "Accept-Encoding: gzip", host=PUBLIC_NAME)
    assert (said.status, said.head["content-type"], said.head["cache-control"]) == (200, kind, cache)
    assert said.head["vary"] == "Accept-Encoding" and said.head["content-encoding"] == "gzip"
    assert "set-cookie" not in said.head and said.head["server"] == "nginx"
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "public").rename(tmp_path / "data" / "public")
    with world(tmp_path / "hub", at, model=sqlite_model) as made:
        (tmp_path / "hub" / "public").rename(tmp_path / "hub" / "unused")
        (tmp_path / "data" / "public").rename(tmp_path / "hub" / "public")
        ours = made.client.get(path)
    same = ("content-type", "cache-control", "content-security-policy", "x-content-type-options", "x-frame-options",
            "referrer-policy", "permissions-policy", "cross-origin-opener-policy", "access-control-allow-origin")  # fmt: skip
    assert {name: said.head.get(name) for name in same} == {name: ours.headers.get(name) for name in same}


def test_h45_a_query_makes_no_other_page_and_no_header_poisons_one(public: int, hub) -> None:
    plain = get(public, "/", host=PUBLIC_NAME)
    for target in ("/?lang=%22%3E%3Cscript%3E", "/?utm_source=evil", "/?next=//evil.example", "/?a=b&a=c"):
        said = get(
            public, target, "X-Forwarded-Host: evil.example", "X-Original-URL: /secret", host=PUBLIC_NAME
        )
        assert (said.status, said.body, said.head["etag"]) == (200, plain.body, plain.head["etag"])
    made, port = hub
    (made.hub.settings.data_dir / "public").mkdir(exist_ok=True)
    (made.hub.settings.data_dir / "public" / "index.html").write_text("<html>page</html>")
    plain = get(port, "/", host=PUBLIC)
    for target in ("/?lang=%22%3E%3Cscript%3E", "/?next=//evil.example"):
        said = get(port, target, "X-Forwarded-Host: evil.example", host=PUBLIC)
        assert (said.status, said.body, said.head["etag"]) == (200, plain.body, plain.head["etag"])
