"""How long it takes until somebody sees it: a report in the queue, a warning in public, the first call to a provider."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from tocsin.benches import load
from tocsin.benches import place as places
from tocsin.benches.figure import Figure, percentile
from tocsin.benches.place import Place
from tocsin.sockets import free_port

A_SECOND = 100  # reports
CALLERS = 16
AREA, PHONES = "990103", 5
LOOK = 0.004  # seconds between looks at a public file
PATIENCE_SECONDS = 30.0


def visible(place: Place, seconds: int, step: Callable[[], None]) -> Iterator[Figure]:
    """Reports of departments, 100 a second, from their 201 until the queue's live stream tells of them filed."""
    with place.process("tocsin", "up", port=place.settings.port):
        waits, answers = asyncio.run(_reports(place, seconds * A_SECOND))
    step()
    yield Figure(name="visible", store=place.store, value=percentile(waits, 95), unit="s (p95) from the 201 to the queue",
                 ceiling=percentile(answers, 95), against="the 201 itself (p95)", reach=0.3, is_ratio=False,
                 is_at_most=True)  # fmt: skip


async def _reports(place: Place, count: int) -> tuple[list[float], list[float]]:
    seen: dict[str, float] = {}
    accepted: dict[str, float] = {}
    took: list[float] = []
    ready = asyncio.Event()
    watching = asyncio.create_task(_watch(place, seen, ready))
    await ready.wait()
    lines: asyncio.Queue[Any] = asyncio.Queue()
    for _ in range(CALLERS):
        lines.put_nowait(await asyncio.open_connection("127.0.0.1", place.settings.port))
    begun = time.perf_counter()

    async def post(n: int) -> None:
        reader, writer = await lines.get()
        sent = time.perf_counter()
        writer.write(_request(place, n))
        status, body = await load.answer(reader)
        now = time.perf_counter()
        lines.put_nowait((reader, writer))
        if status != 201:
            raise ConnectionError(f"answered {status}: {body[:200]!r}")
        took.append(now - sent)
        accepted[json.loads(body)["id"]] = now

    tasks = []
    for n in range(count):
        await asyncio.sleep(max(begun + n / A_SECOND - time.perf_counter(), 0))
        tasks.append(asyncio.create_task(post(n)))
    await asyncio.gather(*tasks)
    end = time.perf_counter() + PATIENCE_SECONDS
    while set(accepted) - set(seen) and time.perf_counter() < end:
        await asyncio.sleep(0.01)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return [max(seen.get(name, float("inf")) - at, 0.0) for name, at in accepted.items()], took


def _request(place: Place, n: int) -> bytes:
    body = json.dumps(
        {"text": f"第 {n} 条：青石县三小时雨量 80 毫米", "place": "青石县", "area": "990103"}
    ).encode()
    head = (
        f"POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1:{place.settings.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {place.keys['department']}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _watch(place: Place, seen: dict[str, float], ready: asyncio.Event) -> None:
    """When the stream told that a report was filed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.settings.port)
    words = (
        f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{place.settings.port}\r\n"
        f"Authorization: Bearer {place.keys['officer']}\r\n\r\n"
    )
    writer.write(words.encode())
    while line := await reader.readline():
        if line.startswith(b"retry:"):
            ready.set()
        if line.startswith(b"data:"):
            with suppress(ValueError, KeyError):
                told = json.loads(line[5:])
                if told["kind"] == "report" and told["act"] == "file":
                    seen.setdefault(told["id"], time.perf_counter())


def approval(place: Place, count: int, step: Callable[[], None]) -> Iterator[Figure]:
    """From the approver's request until the first call to the SMS provider, and until page and feed are there."""
    port = free_port("127.0.0.1")
    environment = {**place.environment, "TOCSIN_TWILIO_BASE_URL": f"http://127.0.0.1:{port}"}
    with place.hub() as hub:
        places.subscribe(hub, PHONES, AREA)
    with place.process("tocsin", "up", port=place.settings.port, environment=environment):
        calls, pages, commits = asyncio.run(_approvals(place, port, count, step))
    yield Figure(name="first_call", store=place.store, value=percentile(calls, 99), unit=f"s (p99 of {count}) to the first call",
                 ceiling=percentile(commits, 99), against="the approver's own answer (p99)", reach=0.3, is_ratio=False,
                 is_at_most=True)  # fmt: skip
    yield Figure(name="first_byte", store=place.store, value=percentile(pages, 99), unit=f"s (p99 of {count}) to page and feed",
                 ceiling=percentile(commits, 99), against="the approver's own answer (p99)", reach=1.0, is_ratio=False,
                 is_at_most=True)  # fmt: skip


class _Called(asyncio.Protocol):
    """A provider that takes messages and notes when each came."""

    at: "list[float]" = []  # noqa: RUF012 (one for all connections of a run)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._heard, self._count = transport, b"", 0

    def data_received(self, data: bytes) -> None:
        if not self._heard:
            self.at.append(time.perf_counter())
        self._heard += data
        head, gap, body = self._heard.partition(b"\r\n\r\n")
        length = next(
            (int(x[15:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")), 0
        )
        if gap and len(body) >= length:
            self._heard = b""
            made = b'{"sid": "SM%032x", "status": "queued", "error_code": null}' % uuid.uuid4().int
            answer = (
                b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(made)
            )
            self._transport.write(answer + made)  # type: ignore[attr-defined]  # a stream's transport


async def _approvals(
    place: Place, port: int, count: int, step: Callable[[], None]
) -> tuple[list[float], list[float], list[float]]:
    server = await asyncio.get_running_loop().create_server(_Called, "127.0.0.1", port)
    calls: list[float] = []
    pages: list[float] = []
    commits: list[float] = []
    for n in range(count):
        name, digest = await asyncio.to_thread(_submitted, place)
        _Called.at.clear()
        begun = time.perf_counter()
        act = asyncio.create_task(
            asyncio.to_thread(
                place.api, "POST", f"/v1/releases/{name}/approve", {"digest": digest}, key="approver"
            )
        )
        page = asyncio.create_task(_published(place, name, begun))
        await act
        commits.append(time.perf_counter() - begun)
        pages.append(await page)
        while len(_Called.at) < PHONES and time.perf_counter() < begun + PATIENCE_SECONDS:
            await asyncio.sleep(0.01)
        calls.append(_Called.at[0] - begun if _Called.at else float("inf"))
        if n % 10 == 0:
            step()
    server.close()
    return calls, pages, commits


def _submitted(place: Place) -> tuple[str, str]:
    templates = place.api("GET", "/v1/templates")["data"]
    example = next(one["example"] for one in templates if one["id"] == "heavy_rain")
    body = {**example, "areas": [AREA], "channels": ["sms", "web_notice", "cap_feed"], "languages": ["zh-CN"]}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    name = place.api("POST", "/v1/releases", body, **key)["id"]
    return name, place.api("POST", f"/v1/releases/{name}/submit")["digest"]


async def _published(place: Place, name: str, begun: float) -> float:
    """Seconds until its page lies there and the feed names it; the files are what any web server serves."""
    public = place.settings.data_dir / "public"
    page, feed = public / "alerts" / name / "index.html", public / "public" / "alerts.atom"
    seen, is_named = 0, False
    while time.perf_counter() < begun + PATIENCE_SECONDS:
        with suppress(FileNotFoundError):
            stamp = feed.stat().st_ino
            if stamp != seen:
                seen, is_named = stamp, name.encode() in feed.read_bytes()
            if is_named and page.exists():
                return time.perf_counter() - begun
        await asyncio.sleep(LOOK)
    return float("inf")
