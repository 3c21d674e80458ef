"""One line for each request: the template of its address, never the address, which may hold a code or a token."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.log import log

METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
)  # others are strangers' words


class AccessLog:
    """Around everything else, so that refusals are lines too."""

    def __init__(self, app: ASGIApp, known: Any, *, clock: Callable[[], datetime]) -> None:
        """`known`: the application whose routes may be named."""
        self._app, self._clock = app, clock
        self._templates = set(_templates(known.routes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = self._clock(), 0

        async def heard(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, heard)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "-"
            log(
                "web.request", method=method, route=self._template(scope), status=status,
                ms=round((self._clock() - began).total_seconds() * 1000),
                request=scope.get("state", {}).get("request_id", ""),
            )  # fmt: skip

    def _template(self, scope: Scope) -> str:
        """The route that answered; '-' for what no route of ours answers to."""
        if "endpoint" not in scope:
            return "-"
        path = Request(scope).url.path
        if path in self._templates:
            return path
        values = sorted(scope.get("path_params", {}).items(), key=lambda item: -len(str(item[1])))
        for name, value in values:
            if value == "":
                path += f"{{{name}}}"  # {rest:path} of an address that ends with a slash
            else:
                path = path.replace(f"/{value}", f"/{{{name}}}", 1)
        return path if path in self._templates else "-"


def _templates(routes: Iterable[BaseRoute], prefix: str = "") -> Iterable[str]:
    """The addresses of `routes` with names in place of values: /console/reports/{id}."""
    for route in routes:
        if isinstance(route, Mount):
            yield from _templates(route.routes, f"{prefix}{route.path}")
        elif (
            router := getattr(route, "original_router", None)
        ) is not None:  # how FastAPI 0.165 includes one
            yield from _templates(router.routes, prefix)
        else:
            yield prefix + str(getattr(route, "path_format", ""))
