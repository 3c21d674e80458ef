"""The public directory over HTTP: validators, types, and nothing outside of it; with or without a database."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.web.api_world import World, world

PAGE = "<!doctype html><title>暴雨</title>"


@pytest.fixture
def site(tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at) as made:
        root = tmp_path / "data" / "public"
        for name, text in (
            ("index.html", PAGE), ("en/index.html", "en"), ("alerts/rel_1/index.html", "notice"),
            ("en/alerts/rel_1/index.html", "notice en"), ("public/cap/rel_1.xml", "<alert/>"),
            ("public/alerts.atom", "<feed/>"), ("public/cap/index.json", "[]"),
            ("public/alerts.rss", "<rss/>"), ("public/alerts.geojson", "{}"), ("public/en/alerts.json", "{1}"),
            ("public/areas/990100000000.json", "{2}"), ("past/2026/11/index.html", "november"),
            ("past/index.html", "past"), ("en/past/index.html", "past en"), ("a/990100000000/index.html", "area"),
            ("a/index.html", "areas"), ("feeds/index.html", "feeds"),
        ):  # fmt: skip
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / ".web_notice.book").write_text("secret")
        (tmp_path / "data" / "secret.txt").write_text("secret")
        (root / "public" / "link.txt").symlink_to(tmp_path / "data" / "secret.txt")
        (root / "public" / ".hidden.xml").write_text("half written")
        yield made


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("/", "text/html; charset=utf-8", PAGE),
        ("/en/", "text/html; charset=utf-8", "en"),
        ("/alerts/rel_1", "text/html; charset=utf-8", "notice"),
        ("/alerts/rel_1/", "text/html; charset=utf-8", "notice"),
        ("/alerts/rel_1/index.html", "text/html; charset=utf-8", "notice"),
        ("/en/alerts/rel_1/", "text/html; charset=utf-8", "notice en"),
        ("/public/cap/rel_1.xml", "application/cap+xml", "<alert/>"),
        ("/public/alerts.atom", "application/atom+xml", "<feed/>"),
        ("/public/cap/index.json", "application/json", "[]"),
        ("/public/alerts.rss", "application/rss+xml", "<rss/>"),
        ("/public/alerts.geojson", "application/geo+json", "{}"),
        ("/public/en/alerts.json", "application/feed+json", "{1}"),
        ("/public/areas/990100000000.json", "application/json", "{2}"),
        ("/past/", "text/html; charset=utf-8", "past"),
        ("/past", "text/html; charset=utf-8", "past"),
        ("/past/2026/11/", "text/html; charset=utf-8", "november"),
        ("/en/past/", "text/html; charset=utf-8", "past en"),
        ("/a/", "text/html; charset=utf-8", "areas"),
        ("/a/990100000000/", "text/html; charset=utf-8", "area"),
        ("/feeds/", "text/html; charset=utf-8", "feeds"),
    ],
)
def test_files_come_with_their_type_and_with_validators(site: World, path: str, kind: str, text: str) -> None:
    answer = site.client.get(path)
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (200, kind, text)
    assert ("access-control-allow-origin" in answer.headers) is path.startswith("/public/")
    again = site.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    since = site.client.get(path, headers={"If-Modified-Since": answer.headers["last-modified"]})
    assert since.status_code == 304
    assert site.client.head(path).headers["content-length"] == str(len(text.encode()))


def test_a_changed_file_is_new_at_once(site: World, tmp_path: Path) -> None:
    old = site.client.get("/public/alerts.atom").headers["etag"]
    path = tmp_path / "data" / "public" / "public" / "alerts.atom"
    temporary = path.with_name(".new")
    temporary.write_text("<feed>2</feed>")
    os.replace(temporary, path)
    answer = site.client.get("/public/alerts.atom", headers={"If-None-Match": old})
    assert (answer.status_code, answer.text) == (200, "<feed>2</feed>")


@pytest.mark.parametrize(
    "path",
    [
        "/public/../../secret.txt", "/public/%2e%2e/%2e%2e/secret.txt", "/public/..%2f..%2fsecret.txt",
        "/public/..\\..\\secret.txt", "/public/link.txt", "/public/.hidden.xml", "/public/cap/", "/public",
        "/public/nothing.xml", "/alerts/rel_2", "/past/2026/13/", "/a/..%2f..%2fsecret.txt", "/past/%2e%2e/%2e%2e/secret.txt",
        "/feeds/../.cap_feed.book", "/.web_notice.book", "/public/.lock", "/public/%00", "/public/" + "a" * 5000,
        "//public//alerts.atom", "/PUBLIC/alerts.atom", "/public/alerts.atom;a=b", "/tocsin.db", "/keys/field.key",
    ],
)  # fmt: skip
def test_nothing_beside_the_published_files_is_served(site: World, path: str) -> None:
    answer = site.client.get(f"http://127.0.0.1:8000{path}")
    assert answer.status_code in (400, 404)
    assert "secret" not in answer.text


def test_the_pages_stay_up_without_the_database(site: World) -> None:
    site.hub.store.close()
    assert site.client.get("/alerts/rel_1/").status_code == 200
    assert site.client.get("/public/cap/rel_1.xml").status_code == 200
    assert site.client.get("/healthz").status_code == 200
    assert site.client.get("/readyz").json()["status"] == "degraded"


def test_pages_allow_no_script_and_may_not_be_framed(site: World) -> None:
    headers = site.client.get("/").headers
    assert "script-src" not in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "public, max-age=15, stale-if-error=86400"
    alert = site.client.get("/public/cap/rel_1.xml").headers["cache-control"]
    assert alert == "public, max-age=31536000, immutable"


def test_posts_to_pages_are_refused(site: World) -> None:
    assert site.client.post("/public/alerts.atom").status_code == 405
