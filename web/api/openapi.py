"""The description of /v1: OpenAPI 3.1 for programs, one plain page of it for people."""

from html import escape
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from web.api.described import PROBLEM

ABOUT = (
    "Keys: `Authorization: Bearer tocsin_live_…` or `tocsin_test_…`. Times are RFC 3339, texts UTF-8. "
    "An unknown field or parameter is refused with 400 and its name. Errors are RFC 9457 problems; `code` is stable."
)


def docs_routes(api: FastAPI) -> list[Route]:
    """/api/openapi.json and /api/docs; the page needs no script and nothing from another host."""
    made: dict[str, Any] = {}

    def described() -> dict[str, Any]:
        if not made:
            made.update(describe(api))
        return made

    async def as_json(_: Request) -> Response:
        return JSONResponse(described(), headers={"Cache-Control": "public, max-age=300"})

    async def as_page(_: Request) -> Response:
        return HTMLResponse(_page(described()), headers={"Cache-Control": "public, max-age=300"})

    return [
        Route("/api/openapi.json", as_json, methods=["GET"]),
        Route("/api/docs", as_page, methods=["GET"]),
    ]


def describe(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of every route below /v1."""
    made = get_openapi(
        title=api.title,
        version=version("tocsin"),
        openapi_version="3.1.0",
        description=ABOUT,
        routes=api.routes,
    )
    made["paths"] = {f"/v1{path}": item for path, item in made["paths"].items()}
    for item in made["paths"].values():
        for operation in item.values():
            operation["responses"].pop("422", None) if _is_framework(operation) else None
    parts = made.setdefault("components", {})
    parts["schemas"] = {"Problem": PROBLEM}
    parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}]
    return made


def _is_framework(operation: dict[str, Any]) -> bool:
    """Whether the 422 is the framework's own, which this API never gives."""
    content = operation["responses"].get("422", {}).get("content", {})
    return "application/json" in content


def _page(made: dict[str, Any]) -> str:
    rows = [
        _operation(method, path, operation)
        for path, item in made["paths"].items()
        for method, operation in item.items()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tocsin 警钟 API v1</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"></head><body><main>'
        f'<h1>Tocsin 警钟 API v1</h1><p>{escape(ABOUT)}</p><p><a href="/api/openapi.json">OpenAPI 3.1</a></p>'
        f"{''.join(rows)}</main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    about = escape(str(operation.get("description", "")))
    parameters = [
        f"<li><code>{escape(p['name'])}</code> ({escape(p['in'])})" for p in operation.get("parameters", [])
    ]
    fields = [f"<li><code>{escape(name)}</code>" for name in _fields(operation)]
    answers = ", ".join(escape(status) for status in operation["responses"])
    shown = escape(path).replace("/", "/<wbr>")  # a long path breaks where a phone ends
    return (
        f"<h2><code>{method.upper()} {shown}</code></h2><p>{about}</p>"
        f"{_list('Parameters', parameters)}{_list('Body', fields)}<p>Answers: {answers}</p>"
    )


def _fields(operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    return list(schema.get("properties", {}))


def _list(title: str, items: list[str]) -> str:
    return f"<h3>{title}</h3><ul>{''.join(items)}</ul>" if items else ""
