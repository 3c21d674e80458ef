"""The bodies that bring something in: a department's report and a call slip."""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from domain.errors import BadInput, Flaw
from domain.events import event_types
from domain.handling import Handling
from domain.place import canonical
from web.api.bodies import Body


def _moment(text: str) -> str:
    """RFC 3339 with an offset, kept as it was written: filing keeps what the sender claimed."""
    try:
        is_whole = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        is_whole = False
    if not is_whole:
        raise PydanticCustomError(
            "moment", "a time by RFC 3339 with its offset, as 2026-11-23T14:05:00+08:00"
        )
    return text


_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{1,20})?")
Moment = Annotated[str, Field(max_length=40, description="RFC 3339 with offset"), AfterValidator(_moment)]
Line = Annotated[str, Field(max_length=300)]


class ReportBody(Body):
    """A report of a department. One of text, place or a file is needed."""

    text: Annotated[str, Field(max_length=50_000)] = ""
    subject: Line = ""
    place: Annotated[str, Field(max_length=500)] = ""
    occurred_at: Moment | None = None
    contact: Line = ""
    event_code: Annotated[str, Field(max_length=10, description="cn.eips, e.g. 11B03")] = ""
    grade: Annotated[int, Field(ge=1, le=4, description="1 特别重大 .. 4 一般")] | None = None
    handling: Literal["public", "internal", "sensitive"] = "internal"
    area: Annotated[str, Field(max_length=14, description="division code")] = ""
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    datum: Annotated[
        Literal["WGS-84", "GCJ-02", "BD-09"],
        Field(description="of lat and lon; Chinese maps give GCJ-02, Baidu's BD-09"),
    ] = "WGS-84"
    accuracy: Annotated[float, Field(gt=0, lt=10_000_000, description="m")] | None = None


class CallBody(Body):
    """What a caller said. Place or text is enough; an abandoned call needs neither."""

    caller: Annotated[str, Field(max_length=64, description="the number as shown or as told")] = ""
    caller_name: Line = ""
    text: Annotated[str, Field(max_length=50_000)] = ""
    place: Annotated[str, Field(max_length=500)] = ""
    started_at: Moment | None = None
    told: list[Line] = Field(default_factory=list, max_length=20, description="who has been told already")
    is_abandoned: bool = False
    event_code: Annotated[str, Field(max_length=10)] = ""
    area: Annotated[str, Field(max_length=14)] = ""


REPORT_FIELDS = tuple(ReportBody.model_fields)


def from_form(fields: dict[str, str]) -> dict[str, Any]:
    """The values of a multipart form as JSON would have brought them; what is no number stays text."""
    found: dict[str, Any] = {name: value for name, value in fields.items() if value.strip()}
    if found.get("grade", "") in ("1", "2", "3", "4"):
        found["grade"] = int(found["grade"])
    for name in ("lat", "lon"):  # what is no plain number stays text: the model says what is wrong with it
        if _DEGREES.fullmatch(found.get(name, "")):
            found[name] = float(found[name])
    return found


def check(body: ReportBody | CallBody, *, has_files: bool = False) -> None:
    """What no type can say. Raises BadInput(bad_fields)."""
    flaws = of_position(body.lat, body.lon) if isinstance(body, ReportBody) else []
    is_abandoned = isinstance(body, CallBody) and body.is_abandoned
    if not (body.text.strip() or body.place.strip() or has_files or is_abandoned):
        flaws.append(Flaw("/text", "place or text is needed"))
    if body.event_code and body.event_code not in event_types():
        flaws.append(Flaw("/event_code", "no such event type"))
    if body.area:
        try:
            canonical(body.area)
        except BadInput as error:
            flaws.append(Flaw("/area", error.detail))
    if flaws:
        raise BadInput("the report does not fit", code="bad_fields", flaws=flaws)


def canonical_bytes(value: object) -> bytes:
    """The same object, the same bytes, however its sender spaced and ordered it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def of_position(lat: float | None, lon: float | None) -> list[Flaw]:
    """Both or neither, and not (0, 0): that lies in the Gulf of Guinea and is what a device without a fix sends."""
    if (lat is None) is not (lon is None):
        return [Flaw("/lat" if lat is None else "/lon", "lat and lon go together")]
    if lat == lon == 0:
        return [Flaw("/lat", "0, 0 is no position")]
    return []


def handling_of(body: ReportBody | CallBody) -> Handling:
    """How widely it may be shown; a call is internal."""
    return Handling(body.handling) if isinstance(body, ReportBody) else Handling.INTERNAL
