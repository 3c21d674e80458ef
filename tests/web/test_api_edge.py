"""The edge: hosts, lengths, encodings and paths that two programs could read differently, over real sockets."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from hub.settings import Settings
from store import tables as t
from tests.web.api_world import World, served, token
from web.api.app import ROOMS
from web.app import hosts

JSON = {"Content-Type": "application/json", "Idempotency-Key": "k"}


@pytest.fixture
def port(quick: World) -> Iterator[int]:
    with served(quick.hub) as bound:
        yield bound


def _raw(port: int, data: bytes, *, more: bytes = b"", limit: int = 1 << 24) -> bytes:
    """Send bytes as they are, then `more` over and over until refused; the head of what came back."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(data)
        try:
            for _ in range(limit // max(1, len(more)) if more else 0):
                s.sendall(more)
        except OSError:
            pass  # the server has hung up: its answer is still to be read
        said = b""
        try:
            s.settimeout(10)
            while chunk := s.recv(65536):
                said += chunk
                if b"\r\n\r\n" in said:
                    break
        except OSError:
            pass
        return said


def _head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def test_two_lengths_of_one_body_are_refused(quick: World, port: int) -> None:
    body = b"5\r\nhello\r\n0\r\n\r\n"
    said = _raw(port, _head("/hooks/sms/twilio", "Content-Length: 15", "Transfer-Encoding: chunked") + body)
    assert said.startswith(b"HTTP/1.1 400")
    said = _raw(port, _head("/hooks/sms/twilio", "Content-Length: 5", "Content-Length: 6") + b"hello")
    assert said.startswith(b"HTTP/1.1 400")


def test_a_body_that_says_it_is_100_mb_is_refused_unread(port: int) -> None:
    for path, length in (("/hooks/sms/twilio", 70_000), ("/v1/reports", 100 << 20), ("/login", 100 << 20)):
        said = _raw(port, _head(path, f"Content-Length: {length}"))
        assert said.startswith(b"HTTP/1.1 413"), path


def test_chunks_without_end_are_cut_off_at_64_kb(quick: World, port: int) -> None:
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(_head("/hooks/sms/twilio", "Transfer-Encoding: chunked") + chunk * 17)
        said = s.recv(65536)
        assert said.startswith(b"HTTP/1.1 413") and b"connection: close" in said.lower()
        with pytest.raises(OSError):
            for _ in range(10_000):
                s.sendall(chunk)
    assert quick.count(t.inbound) == 0 and quick.count(t.shelf) == 0


def test_a_length_that_lies_about_a_short_body_keeps_nothing(quick: World, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        key = f"Authorization: Bearer {token('department')}"
        lines = (key, "Content-Type: application/json", "Idempotency-Key: k", "Content-Length: 500")
        s.sendall(_head("/v1/reports", *lines) + b'{"text": "cut')
    assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    assert quick.count(t.inbound) == 0


def test_a_key_of_a_megabyte_is_refused(quick: World, port: int) -> None:
    said = _raw(
        port, _head("/v1/reports", "Idempotency-Key: " + "k" * (1 << 20), "Content-Length: 2") + b"{}"
    )
    assert said == b"" or said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    assert quick.count(t.inbound) == 0


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "", "[::2]"])
def test_a_host_that_is_not_ours_is_refused_everywhere(quick: World, host: str) -> None:
    for path in ("/", "/v1/me", "/login", "/hooks/sms/twilio", "/public/alerts.atom"):
        assert quick.client.get(path, headers={"Host": host}).status_code == 421
    assert quick.client.get("/healthz", headers={"Host": host}).status_code == 200


def test_hosts_are_those_of_the_settings() -> None:
    made = Settings(base_url="https://desk.example", public_url="https://warn.example:8443", allowed_hosts="a.example, B.example",
                    host="0.0.0.0", port=80)  # fmt: skip
    assert hosts(made) == {
        "desk.example",
        "warn.example",
        "a.example",
        "b.example",
        "127.0.0.1",
        "localhost",
        "[::1]",
    }


@pytest.mark.parametrize(
    "path",
    [
        "//v1//me", "/V1/me", "/v1/me/", "/v1/%6de%2f..", "/v1/..%2fv1/me", "/v1/me;a=b", "/v1/./me%00",
        "/v1/%252e%252e/me", "/api", "/API/openapi.json", "/v1", "/v1/",
    ],
)  # fmt: skip
def test_one_thing_has_one_address(port: int, path: str) -> None:
    with httpx.Client() as client:
        request = client.build_request("GET", f"http://127.0.0.1:{port}/")
        request.url = request.url.copy_with(raw_path=path.encode())
        request.headers["Authorization"] = f"Bearer {token('officer')}"
        assert client.send(request).status_code in (400, 404)


def test_methods_and_paths_in_headers_are_not_believed(quick: World) -> None:
    headers = quick.headers("officer", **{"X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/v1/shelf",
                                         "X-Rewrite-URL": "/v1/shelf", "X-Forwarded-For": "10.0.0.1"})  # fmt: skip
    assert quick.client.get("/v1/me", headers=headers).json()["name"] == "officer"
    assert quick.client.request("TRACE", "/v1/me", headers=headers).status_code == 405
    assert quick.client.request("DELETE", "/v1/me", headers=headers).status_code == 405


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000, b'{"text": "a", "text": "b"}', b'{"text": NaN}', b'{"grade": 1e999}', b'\xef\xbb\xbf{"text": "a"}',
        '{"text": "a"}'.encode("utf-16"), b'{"text": "a"} x', b'{"grade": ' + b"1" * 5000 + b"}",
        b'{"text": "a\\u0000"}', b"null", b"[]", b'"text"', b"",
    ],
)  # fmt: skip
def test_hostile_json_is_400_with_a_pointer_and_keeps_nothing(quick: World, raw: bytes) -> None:
    answer = quick.client.post("/v1/reports", content=raw, headers=quick.headers("department", **JSON))
    assert answer.status_code == 400 and answer.headers["content-type"] == "application/problem+json"
    assert quick.count(t.inbound) == 0


def test_compressed_bodies_are_415(quick: World) -> None:
    headers = quick.headers("department", **JSON, **{"Content-Encoding": "gzip"})
    assert quick.client.post("/v1/reports", content=b"\x1f\x8b", headers=headers).status_code == 415


def test_a_bug_says_nothing_but_its_reference(quick: World, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    # The rooms have no bug to offer on demand: one is put in.
    monkeypatch.setattr(quick.hub.store, "read", broken)
    for path in ("/v1/me", "/login"):
        answer = quick.client.get(
            path, headers=quick.headers("officer", Cookie="session=x; __Host-session=x")
        )
        if path == "/v1/me":
            assert answer.status_code == 500 and answer.json()["code"] == "internal"
            assert answer.json()["instance"] == answer.headers["x-request-id"]
        assert "hunter2" not in answer.text and "Traceback" not in answer.text
    out = capsys.readouterr()
    assert "hunter2" not in out.out + out.err


@pytest.mark.parametrize(
    ("language", "title"),
    [("", "需要有效的密钥"), ("en", "A valid key is needed"), ("en-GB,zh;q=0.5", "A valid key is needed"),
     ("de, zh;q=0.8, en;q=0.2", "需要有效的密钥"), ("x" * 5000, "需要有效的密钥")],
)  # fmt: skip
def test_titles_follow_the_language_of_the_caller(quick: World, language: str, title: str) -> None:
    answer = quick.client.get("/v1/me", headers={"Accept-Language": language})
    assert answer.json()["title"] == title
    assert answer.json()["type"] == "urn:tocsin:problem:key_missing"


def test_strangers_get_a_page_on_pages_and_a_problem_on_program_paths(quick: World) -> None:
    page = quick.client.get("/nowhere")
    assert page.status_code == 404 and page.headers["content-type"].startswith("text/html")
    problem = quick.client.get("/v1/nowhere")
    assert problem.status_code == 404 and problem.json()["code"] == "not_found"


def test_every_answer_carries_the_security_headers(quick: World) -> None:
    for path in ("/v1/me", "/nowhere", "/healthz", "/api/docs", "/hooks/sms/twilio", "/login"):
        headers = quick.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert (
            headers["x-frame-options"] == "DENY"
            and "default-src 'none'" in headers["content-security-policy"]
        )
        assert headers["x-request-id"].startswith("req_") and "server" not in headers


def test_the_description_is_openapi_3_1_and_names_every_route(quick: World) -> None:
    made = quick.client.get("/api/openapi.json").json()
    assert made["openapi"] == "3.1.0"
    routes = {f"/v1{route.path}" for room in ROOMS for route in room.router.routes}
    assert routes == set(made["paths"]) and len(routes) > 25
    for path, item in made["paths"].items():
        for method, operation in item.items():
            assert operation["description"], (method, path)
            assert "application/json" not in operation["responses"].get("422", {}).get("content", {})
    report = made["paths"]["/v1/reports"]["post"]
    assert set(report["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert json.dumps(made).count("cdn") == 0
    page = quick.client.get("/api/docs").text.replace("<wbr>", "")  # where a long path may break
    assert "POST /v1/releases/{release_id}/approve" in page and "<script" not in page
