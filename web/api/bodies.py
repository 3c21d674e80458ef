"""Bodies and parameters of /v1: read once, parsed strictly, checked against a closed list of names."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from domain.errors import BadInput, Flaw
from web import strict_json

JSON_BYTES = (
    2 << 20
)  # 50,000 characters, every one escaped, are 0.6 MB; 25 MB would hold up the process for seconds
STRANGE = 50  # unknown fields that are looked at: as many as one answer lists
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,9})"|([0-9]{1,9})')


class Body(BaseModel):
    """Base of the bodies: a field that is not named here is refused, and nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


B = TypeVar("B", bound=Body)


def media_type(request: Request) -> str:
    """The media type without its parameters, lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_object(request: Request, *, may_be_empty: bool = False) -> tuple[bytes, dict[str, Any]]:
    """The raw body and the object in it. Raises BadInput."""
    raw = await request.body()
    if not raw and may_be_empty:
        return raw, {}
    if len(raw) > JSON_BYTES:
        raise BadInput(f"at most {JSON_BYTES} bytes of JSON", code="too_large")
    if media_type(request) != "application/json":
        raise BadInput("the body is application/json", code="bad_media_type")
    value = strict_json.loads(raw)
    if not isinstance(value, dict):
        raise BadInput("the body is a JSON object", code="bad_json")
    return raw, value


def checked(model: type[B], value: Mapping[str, Any]) -> B:
    """`value` as `model`. Raises BadInput(bad_fields) naming every field that does not fit."""
    known = model.model_fields
    strange = [name for name in value if name not in known][
        :STRANGE
    ]  # a million of them are refused by a few
    try:
        return model.model_validate({name: value[name] for name in (*known, *strange) if name in value})
    except ValidationError as error:
        # include_input=False: what a sender wrote must not come back out of an error
        found = error.errors(include_url=False, include_context=False, include_input=False)
        flaws = [Flaw(_pointer(e["loc"]), _said(e)) for e in found]
        raise BadInput("the body does not fit", code="bad_fields", flaws=flaws) from None


def idempotency_key(request: Request, *, is_required: bool) -> str:
    """The Idempotency-Key, '' if there is none and none is needed. Raises BadInput."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        if is_required:
            raise BadInput("send an Idempotency-Key with this POST", code="idempotency_key_missing")
        return ""
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise BadInput("an Idempotency-Key has 1 to 255 visible ASCII characters", code="idempotency_key_bad")
    return given[0]


def revision_seen(request: Request) -> int | None:
    """The revision in If-Match, None when it is not sent or is ``*``. Raises BadInput."""
    given = request.headers.get("if-match", "").strip()
    if given in ("", "*"):
        return None
    found = _ETAG.fullmatch(given)
    if found is None:
        raise BadInput("If-Match holds the ETag of this thing", code="bad_if_match")
    return int(found[1] or found[2])


async def known_query(request: Request) -> None:
    """Refuse a parameter that the route does not name, or one that comes twice (PROMISES H50)."""
    route = request.scope.get("route")
    dependant = getattr(route, "dependant", None)
    names = {field.alias for field in dependant.query_params} if dependant else set()
    given = [name for name, _ in request.query_params.multi_items()]
    flaws = [Flaw(strict_json.name(n), "unknown parameter") for n in sorted(set(given) - names)]
    flaws += [Flaw(n, "comes twice") for n in sorted(names) if given.count(n) > 1]
    if flaws:
        raise BadInput("the query does not fit", code="bad_query", flaws=flaws)
    if any("\0" in value for value in request.query_params.values()):
        raise BadInput("the query holds a NUL", code="bad_query")


def _pointer(loc: tuple[int | str, ...]) -> str:
    return "".join(f"/{strict_json.name(str(part))}" for part in loc)


def _said(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown field"
    if error["type"] == "missing":
        return "is missing"
    return str(error["msg"])[:120] if error["type"] != "value_error" else "not a value of this field"
