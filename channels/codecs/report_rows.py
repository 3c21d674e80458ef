"""A table of reports as departments export it: CSV in UTF-8 or GB18030, with a row of names."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from domain.errors import BadInput, Flaw

ROWS = 10_000  # of one file; a day of a busy province is under 2,000
CELL = 60_000  # characters: the longest text that a report may have, and its quotes
COLUMNS = {  # what stands in row one, lower case -> the field of a report
    "external_id": "external_id", "编号": "external_id", "text": "text", "内容": "text", "情况": "text", "subject": "subject",
    "标题": "subject", "place": "place", "地点": "place", "occurred_at": "occurred_at", "发生时间": "occurred_at",
    "contact": "contact", "联系方式": "contact", "event_code": "event_code", "事件类型": "event_code", "grade": "grade",
    "级别": "grade", "area": "area", "区划": "area", "lat": "lat", "纬度": "lat", "lon": "lon", "经度": "lon",
    "handling": "handling",
}  # fmt: skip


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: ``{"rows": [{"line": n, "fields": {...}} | {"line": n, "error": why}]}``, lines counted from 1.

    Cells are text whatever they look like (PROMISES H72). Raises BadInput(bad_table) for what is no table,
    naming the column or the line, and BadInput(too_large) for too many rows.
    """
    reader = csv.reader(io.StringIO(_text(raw), newline=""), strict=True)
    csv.field_size_limit(CELL * 2)
    records = _records(reader)
    _, names = next(records, (1, []))
    fields = _fields(names)
    rows: list[dict[str, Any]] = []
    for line, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) == ROWS:
            raise BadInput(f"at most {ROWS} rows", code="too_large")
        if len(cells) != len(fields):
            rows.append({"line": line, "error": f"{len(cells)} cells under {len(fields)} names"})
            continue
        rows.append({"line": line, "fields": dict(zip(fields, cells, strict=True))})
    return {"rows": rows}, []


def _records(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """(the line where a record begins, its cells): a quoted cell may hold line ends."""
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _bad(f"line {line}", str(error)) from None


def _fields(names: list[str]) -> list[str]:
    found = [COLUMNS.get(name.strip().lower(), "") for name in names]
    for name, known in zip(names, found, strict=True):
        if not known or found.count(known) > 1:
            raise _bad(name.strip()[:40] or "line 1", "comes twice" if known else "unknown column")
    if not found:
        raise _bad("line 1", "no names of columns")
    return found


def _text(raw: bytes) -> str:
    if b"\0" in raw:
        raise _bad("line 1", "is no CSV in UTF-8 or GB18030")  # a spreadsheet file, or UTF-16
    for name in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(name)
        except UnicodeDecodeError:
            continue
    raise _bad("line 1", "is no CSV in UTF-8 or GB18030")


def _bad(where: str, why: str) -> BadInput:
    return BadInput("the table cannot be read", code="bad_table", flaws=[Flaw(f"/{where}", why)])
