"""What OpenAPI says of bodies, parameters and answers that the routes read themselves."""

from typing import Any

from pydantic import BaseModel

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable; the text may change"},
        "instance": {"type": "string", "description": "the id of this request"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_WORDS = {
    400: "the request does not fit; `errors` names what",
    401: "no API key in force",
    403: "the key or its person may not do this",
    404: "nothing of that name that this key may know of",
    409: "not from the present state, or somebody was faster",
    412: "changed since the revision in If-Match",
    413: "too large",
    415: "another media type",
    422: "understood, and not acceptable as it is",
    429: "too much from this address, or too many wrong guesses: wait as Retry-After says",
    503: "nothing was kept: try again with the same key",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of RFC 9457 that a route may give."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _WORDS[status], "content": {"application/problem+json": {"schema": schema}}}
        for status in statuses
    }


READS = problems(400, 401, 403, 404, 503)
CREATES = problems(400, 401, 403, 409, 413, 415, 422, 503)
ACTS = problems(400, 401, 403, 404, 409, 412, 422, 503)
_KEY = {
    "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255},
    "description": "the same key and body again give the same answer, marked Idempotent-Replayed",
}  # fmt: skip


def body_of(
    model: type[BaseModel], *, is_form: bool = False, needs_key: bool = True, is_optional: bool = False
) -> dict[str, Any]:
    """The request body and the Idempotency-Key of a POST."""
    schema = model.model_json_schema()
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if is_form:
        files = {"type": "array", "maxItems": 5, "items": {"type": "string", "format": "binary"}}
        form = {**schema, "properties": {**schema["properties"], "files": files}}
        content["multipart/form-data"] = {"schema": form}
    return {
        "requestBody": {"required": not is_optional, "content": content},
        "parameters": [{**_KEY, "required": needs_key}],
    }


def json_body(description: str, example: Any = None, *, needs_key: bool = True) -> dict[str, Any]:
    """The body of a POST whose shape a room checks."""
    media: dict[str, Any] = {"schema": {"type": "object", "description": description}}
    if example is not None:
        media["example"] = example
    return {
        "requestBody": {"required": True, "content": {"application/json": media}},
        "parameters": [{**_KEY, "required": needs_key}],
    }


def file_body(media_type: str, field: str) -> dict[str, Any]:
    """The body of a POST that is a file, sent as it is or as the one file of a form."""
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": [field], "properties": {field: file}}
    content = {media_type: {"schema": file}, "multipart/form-data": {"schema": form}}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [{**_KEY, "required": True}],
    }


def headers_of(*names: str, needs_key: bool = False, body: str = "") -> dict[str, Any]:
    """A request whose headers say it all; `body`: the media type of the bytes that follow them."""
    told: list[dict[str, Any]] = [
        {"name": name, "in": "header", "required": name != "Upload-Metadata", "schema": {"type": "string"}}
        for name in names
    ]
    made: dict[str, Any] = {"parameters": told + ([{**_KEY, "required": True}] if needs_key else [])}
    if body:
        made["requestBody"] = {
            "required": True,
            "content": {body: {"schema": {"type": "string", "format": "binary"}}},
        }
    return made


def rows_body(*media_types: str) -> dict[str, Any]:
    """The body of a POST that is a table or one JSON object a line; it needs no key, its rows have their own."""
    content = {media_type: {"schema": {"type": "string"}} for media_type in media_types}
    return {"requestBody": {"required": True, "content": content}}
