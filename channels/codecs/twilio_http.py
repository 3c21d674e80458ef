"""The HTTP that Twilio's library speaks through: one try, a deadline, and what a lost answer proves."""

from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import aiohttp
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response

from channels.codecs.twilio_answer import judge
from domain.errors import NotNow, Unsure

HOST = "https://api.twilio.com"  # what the library writes; replaced by `base_url`
ANSWER_BYTES = 1 << 20  # a Message resource is under 4 KB, and a page holds 100


class Http(AsyncTwilioHttpClient):
    """The library's transport towards `base_url`: one try, a deadline, no redirects, nothing logged."""

    def __init__(self, *, base_url: str, timeout: timedelta) -> None:
        super().__init__(pool_connections=False)
        self._base_url = base_url.rstrip("/")
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_is_connected)
        trace.on_connection_reuseconn.append(_is_connected)
        self.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout.total_seconds()),
            # Idle connections are dropped before servers drop them (5 s and up): a create written into a
            # connection that the other side is closing would be Unsure for nothing.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2),
            trace_configs=[trace],
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Any:
        """The answer of a 2xx or 4xx; everything else is raised as what it proves."""
        seen = SimpleNamespace(is_connected=False)
        login = {"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {}
        # aiohttp's own forms make a multipart writer first, with a random boundary: a fifth of a call
        body = urlencode(data, doseq=True).encode() if data is not None else None
        form = {"Content-Type": "application/x-www-form-urlencoded"} if data is not None else {}
        target = self._base_url + url.removeprefix(HOST)
        try:
            async with self.session.request(
                method,
                target,
                params=params,
                data=body,
                headers={**(headers or {}), **form, **login},
                allow_redirects=False,
                trace_request_ctx=seen,
            ) as answer:
                raw = await _read(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = type(error).__name__
            if seen.is_connected:
                raise Unsure("no answer after the request was sent", code=what) from None
            raise NotNow("no connection", code=what, is_down=True) from None
        judge(answer.status, raw, answer.headers)
        return Response(answer.status, raw.decode("utf-8", "replace"), answer.headers)


async def _is_connected(_session: Any, context: Any, _params: Any) -> None:
    """From here on bytes of the request may be on their way."""
    context.trace_request_ctx.is_connected = True


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body up to ANSWER_BYTES; what is longer is no Message resource and ends as garbage."""
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > ANSWER_BYTES:
            break
    return bytes(raw)
