"""POST /v1/reports:import: many reports at once, each row kept once whatever is sent again."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from channels.codecs import report_rows
from domain.errors import BadInput, Flaw
from domain.handling import Handling
from domain.ids import mint
from domain.person import Scope
from domain.report import Inbound
from hub.wiring import Hub
from intake import desk
from store import blobs as blob_book
from store import inbox, journal
from store.inbox import Arriving
from store.unit import Unit
from web import strict_json
from web.api import slips
from web.api.bodies import checked, media_type
from web.api.caller import Caller, caller_of, hub_of, store_of
from web.api.described import CREATES, rows_body

router = APIRouter(tags=["reports"])
TOGETHER = 200  # rows of one COMMIT: a tenth of a second of the writer, other doors wait no longer
LINES = "application/x-ndjson"


class RowBody(slips.ReportBody):
    """A report, and the name that its sender knows it by."""

    external_id: Annotated[str, Field(max_length=200)] = ""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What became of one row: created, repeated (it was here already, the same), or refused with why."""

    line: int
    status: str = "refused"
    external_id: str = ""
    report: str = ""
    code: str = ""
    errors: list[Flaw] = field(default_factory=list)
    arriving: Arriving | None = None

    def shown(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "line": self.line,
            "status": self.status,
            "external_id": self.external_id or None,
        }
        if self.report:
            made |= {"id": self.report, "code": self.code, "links": {"self": f"/v1/reports/{self.report}"}}
        if self.errors:
            made["errors"] = [{"pointer": f.pointer, "detail": f.detail} for f in self.errors]
        return made


@router.post("/reports:import", responses=CREATES, openapi_extra=rows_body(LINES, "text/csv"))
async def take(request: Request) -> Response:
    """Up to 10,000 reports as CSV or JSON lines. Rows that fit are kept, the others are answered with their reasons.

    No Idempotency-Key: each row is known by its `external_id` within its organisation, without one by its content.
    What breaks off is sent again whole; rows that came before answer `repeated` with their first names. With
    `Accept: text/csv` the verdicts are a table for the same spreadsheet.
    """
    hub, caller = hub_of(request), await caller_of(request)
    caller.must_hold(Scope.REPORT)
    kind = media_type(request)
    if kind not in ("text/csv", LINES):
        raise BadInput(f"text/csv or {LINES}", code="bad_media_type")
    raw = await request.body()
    hub.room.admit(2 * len(raw))
    verdicts = await anyio.to_thread.run_sync(partial(_verdicts, hub, caller, raw, kind))
    fitting = [v for v in verdicts if v.arriving]
    for start in range(0, len(fitting), TOGETHER):
        part = fitting[start : start + TOGETHER]
        await anyio.to_thread.run_sync(hub.store.run, partial(_keep, part=part))
        for one in part:
            if one.status == "created" and one.arriving:
                hub.bell("file_report", one.arriving.minted.inbound_id)
    counts = Counter(v.status for v in verdicts)
    sha256 = await anyio.to_thread.run_sync(hub.blobs.put, raw)
    await anyio.to_thread.run_sync(store_of(request).run, partial(_note, caller=caller, sha256=sha256, size=len(raw),
                                                          counts=counts, at=hub.clock()))  # fmt: skip
    if "text/csv" in request.headers.get("accept", ""):
        return Response(_table(verdicts), media_type="text/csv; charset=utf-8")
    told = {name: counts[name] for name in ("created", "repeated", "refused")}
    return JSONResponse({**told, "data": [v.shown() for v in verdicts]})


def _verdicts(hub: Hub, caller: Caller, raw: bytes, kind: str) -> list[Verdict]:
    """Every row looked at, none kept yet. Raises BadInput for a file that is no table at all."""
    rows = _lines(raw) if kind == LINES else _cells(hub, raw)
    return [_verdict(caller, line, given, at=hub.clock()) for line, given in rows]


def _cells(hub: Hub, raw: bytes) -> Iterator[tuple[int, Any]]:
    for row in hub.pool.run(report_rows.read, raw).value["rows"]:
        if fields := row.get("fields"):
            yield row["line"], slips.from_form(report_rows.spelled(fields, hub.zone))
        else:
            yield row["line"], BadInput(flaws=[Flaw("", row["error"])])


def _lines(raw: bytes) -> Iterator[tuple[int, Any]]:
    lines = [(n, line) for n, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
    if len(lines) > report_rows.ROWS:
        raise BadInput(f"at most {report_rows.ROWS} rows", code="too_large")
    for n, line in lines:
        try:
            value = strict_json.loads(line.strip())
            yield n, value if isinstance(value, dict) else BadInput(flaws=[Flaw("", "is no object")])
        except BadInput as error:
            yield n, BadInput(flaws=list(error.flaws) or [Flaw("", error.detail)])


def _verdict(caller: Caller, line: int, given: Any, *, at: datetime) -> Verdict:
    made = Verdict(line=line)
    if isinstance(given, BadInput):
        made.errors = list(given.flaws)
        return made
    made.external_id = str(given.get("external_id", ""))[:200]
    try:
        body = checked(RowBody, given)
        slips.check(body)
    except BadInput as error:
        made.errors = list(error.flaws)
        return made
    raw = slips.canonical_bytes(given)
    owner = hashlib.sha256((caller.organisation or caller.key_id).encode()).hexdigest()[:16]
    known_by = f"id:{body.external_id}" if body.external_id else f"sha256:{hashlib.sha256(raw).hexdigest()}"
    inbound = Inbound(
        channel="api", external_id=f"row:{owner}:{known_by}", raw=raw, media_type="application/json",
        received_at=at, sender=caller.key_id, meta={"client": caller.key_id, "client_name": caller.name},
        organisation=caller.organisation, handling=Handling(body.handling),
    )  # fmt: skip
    made.arriving = Arriving(inbound=inbound, minted=desk.mint_names(at), at=at)
    return made


def _keep(unit: Unit, part: list[Verdict]) -> None:
    """One transaction; what is not the same as the row of that name before is refused, never overwritten."""
    arriving = [v.arriving for v in part if v.arriving]
    kept = desk.receive_many(unit, arriving)
    known = inbox.digests(unit, [one.inbound_id for one in kept if not one.is_fresh])
    for verdict, one, names in zip(part, arriving, kept, strict=True):
        verdict.report, verdict.code = names.report_id, names.code
        verdict.status = "created" if names.is_fresh else "repeated"
        if not names.is_fresh and known.get(names.inbound_id, one.sha256) != one.sha256:
            verdict.status = "refused"
            verdict.errors = [Flaw("/external_id", "came before with other content: send a correction")]


def _note(unit: Unit, *, caller: Caller, sha256: str, size: int, counts: Counter[str], at: datetime) -> None:
    """The file itself is kept, and the journal says what became of it."""
    blob_book.note(unit, sha256, size, Handling.SENSITIVE, at)
    journal.append(unit, "import", mint("imp", at), "import", by=caller.key_id, at=at, is_first=True,
                   detail={"sha256": sha256, **counts})  # fmt: skip


def _table(verdicts: list[Verdict]) -> bytes:
    """The verdicts for a spreadsheet; a cell that it would compute begins with ' (PROMISES H72)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(("line", "status", "external_id", "code", "errors"))
    for v in verdicts:
        errors = "; ".join(f"{f.pointer} {f.detail}".strip() for f in v.errors)
        writer.writerow([v.line, v.status, *map(_plain, (v.external_id, v.code, errors))])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
