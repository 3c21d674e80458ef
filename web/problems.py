"""What callers hear when something is refused: RFC 9457 for programs, a plain page for people."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from domain.errors import (
    BadInput,
    Conflict,
    Flaw,
    HubError,
    IllegalMove,
    NotAllowed,
    NotFound,
    Refused,
    Tampered,
    Unavailable,
)
from hub.log import log

MEDIA_TYPE = "application/problem+json"
NO_THREAD = "can't start new thread"  # the interpreter's words: it has no kind of error for it
RETRY_SECONDS = 5  # the store is tried again by then: its lock patience is 5 s
FLAWS = 50  # listed in one answer; the rest follow when these are mended
PROGRAMS = ("/v1", "/api", "/hooks", "/public", "/healthz", "/readyz")  # callers that read no pages

_BY_CODE = {
    "too_large": 413,
    "bad_host": 421,
    "bad_media_type": 415,
    "bad_content_encoding": 415,
    "too_many_tries": 429,
    "revision_changed": 412,
    "bad_tus_version": 412,
    "idempotency_key_reused": 422,
    "bad_classification": 422,
    "bad_place": 422,
    "flawed": 422,
    "body_timeout": 408,
    "key_missing": 401,
    "key_unknown": 401,
    "key_of_other_mode": 401,
    "no_such_door": 404,
    "doctype": 422,
    "empty": 422,
}
_BY_CLASS: tuple[tuple[type[HubError], int], ...] = (
    (NotAllowed, 403),
    (Conflict, 409),
    (IllegalMove, 409),
    (Tampered, 409),  # what is stored is not what was approved: a state to be told of, no bug of ours
    (Refused, 403),
    (NotFound, 404),
    (BadInput, 400),
    (Unavailable, 503),
)
_TITLES = {
    400: ("请求有误", "Bad request"),
    401: ("需要有效的密钥", "A valid key is needed"),
    403: ("不允许", "Not allowed"),
    404: ("没有找到", "Not found"),
    405: ("不支持此方法", "Method not allowed"),
    408: ("请求超时", "The request took too long"),
    409: ("与当前状态冲突", "Conflict with the present state"),
    412: ("内容已经变化", "Changed since it was read"),
    413: ("请求过大", "Request too large"),
    415: ("不支持的内容类型", "Media type not supported"),
    421: ("这里没有这个网站", "No such host here"),
    422: ("内容不符合要求", "Not acceptable as it is"),
    429: ("请求过于频繁", "Too many requests"),
    500: ("内部错误", "Internal error"),
    503: ("暂时无法服务，请稍后重试", "Try again later"),
}
_CODES = {404: "not_found", 405: "method_not_allowed", 415: "bad_media_type", 500: "internal"}


def status_of(error: HubError) -> int:
    """The HTTP status of an error of ours; what has none is our own fault."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((status for kind, status in _BY_CLASS if isinstance(error, kind)), 500)


def answer(request: Request, error: HubError) -> Response:
    """The answer to `error` in the caller's format. 5xx carry no detail: strangers get a reference."""
    status = status_of(error)
    flaws = error.flaws if isinstance(error, BadInput) else ()
    detail = error.detail if status < 500 else ""
    code = error.code if status != 500 else "internal"
    return refusal(request, status, code=code, detail=detail, flaws=flaws)


def refusal(
    request: Request,
    status: int,
    *,
    code: str = "",
    detail: str = "",
    flaws: Sequence[Flaw] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem on the paths of programs and for scripts of ours, else a page. `instance` is the request's id."""
    code = code or _CODES.get(status, "refused")
    reference = str(request.scope.get("state", {}).get("request_id", ""))
    zh, en = _TITLES.get(status, _TITLES[400])
    language = language_of(request)
    title = zh if language == "zh-CN" else en
    extra = {**_extra(status), **(headers or {}), "Content-Language": language}
    if not (_is_program(request.url.path) or is_for_a_script(request)):
        return HTMLResponse(_page(status, title, detail, reference, language), status, headers=extra)
    body: dict[str, Any] = {"type": f"urn:tocsin:problem:{code}", "title": title, "status": status,
                            "code": code, "instance": reference}  # fmt: skip
    if detail:
        body["detail"] = detail
    if flaws:
        body["errors"] = [{"pointer": f.pointer, "detail": f.detail} for f in flaws[:FLAWS]]
    return JSONResponse(body, status, headers=extra, media_type=MEDIA_TYPE)


def is_for_a_script(request: Request) -> bool:
    """Whether a script of our own pages asks: it wants JSON where a person wants a page."""
    return request.headers.get("accept", "").startswith("application/json")


def language_of(request: Request) -> str:
    """zh-CN unless the caller prefers English (RFC 9110 §12.5.4, by q and then by order)."""
    best, language = 0.0, "zh-CN"
    for item in request.headers.get("accept-language", "")[:200].split(","):
        tag, _, q = item.strip().partition(";q=")
        weight = float(q) if re.fullmatch(r"[01](\.[0-9]{1,3})?", q) else 1.0
        spoken = {"en": "en", "zh": "zh-CN"}.get(tag.lower().partition("-")[0])
        if spoken and weight > best:
            best, language = weight, spoken
    return language


async def on_hub_error(request: Request, error: Exception) -> Response:
    """The handler of every HubError that reaches the edge."""
    assert isinstance(error, HubError)  # noqa: S101 (it is registered for no other)
    return answer(request, error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """The handler of the framework's own refusals: no such route, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101 (as above)
    allow = (error.headers or {}).get("Allow")
    return refusal(request, error.status_code, headers={"Allow": allow} if allow else None)


async def on_runtime_error(request: Request, error: Exception) -> Response:
    """503 when the machine gave no thread (PROMISES F31): the caller may try again. Any other one is a bug."""
    if str(error) != NO_THREAD:
        raise error
    log("web.no_thread", request=str(request.scope.get("state", {}).get("request_id", "")))
    return answer(request, Unavailable("no thread to be had", code="no_thread"))


async def on_bug(request: Request, _error: Exception) -> Response:
    """The handler of everything else: a reference and nothing of what happened."""
    return refusal(request, 500)


def _is_program(path: str) -> bool:
    return any(path == p or path.startswith(f"{p}/") for p in PROGRAMS)


def _extra(status: int) -> dict[str, str]:
    """What RFC 9110 asks for beside the status."""
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="tocsin"'}
    if status == 503:
        return {"Retry-After": str(RETRY_SECONDS)}
    if status == 429:
        return {"Retry-After": "60"}
    return {}


def _page(status: int, title: str, detail: str, reference: str, language: str) -> str:
    back = "返回" if language == "zh-CN" else "Back"
    shown = f"<p>{html.escape(detail)}</p>" if detail else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{status} {title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"></head>'
        f"<body><main><h1>{status} {title}</h1>{shown}<p><code>{html.escape(reference)}</code></p>"
        f'<p><a href="/">{back}</a></p></main></body></html>'
    )
