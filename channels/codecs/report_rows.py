"""A table of reports as departments export it: CSV in UTF-8 or GB18030, with a row of names."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
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

GRADES = {"特别重大": "1", "重大": "2", "较大": "3", "一般": "4", "I": "1", "II": "2", "III": "3", "IV": "4"}
_LOCAL = (
    re.compile(  # as spreadsheets show a time: 2026-11-23 14:05, 2026/11/23 14:05:10, 2026年11月23日14时5分
        r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?[ T]*(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})秒?|分)?",
        re.ASCII,
    )
)


def spelled(fields: Mapping[str, str], zone: tzinfo) -> dict[str, str]:
    """Times and grades as the API has them, of a cell as people write it; what is neither stays as it is.

    A time without an offset is one of this hub's `zone`: a table comes from a department here.
    """
    found = dict(fields)
    if at := _moment(found.get("occurred_at", ""), zone):
        found["occurred_at"] = at
    grade = unicodedata.normalize("NFKC", found.get("grade", "")).strip().removesuffix("级").upper()
    if grade in GRADES or grade in GRADES.values():
        found["grade"] = GRADES.get(grade, grade)
    return found


def _moment(cell: str, zone: tzinfo) -> str:
    match = _LOCAL.fullmatch(unicodedata.normalize("NFKC", cell).strip())
    if match is None:
        return ""
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).isoformat()
    except ValueError:
        return ""


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: ``{"rows": [{"line": n, "fields": {...}} | {"line": n, "error": why}]}``, lines counted from 1.

    Cells are text whatever they look like (PROMISES H72). Raises BadInput(bad_table) for what is no table,
    naming the column or the line, and BadInput(too_large) for too many rows.
    """
    reader = csv.reader(io.StringIO(_text(raw), newline=""), strict=True)
    csv.field_size_limit(CELL * 2)
    records = _records(reader)
    _, names = next(records, (1, []))
    while len(names) > 1 and not names[-1].strip():  # columns that a spreadsheet leaves behind
        names.pop()
    fields = _fields(names)
    rows: list[dict[str, Any]] = []
    for line, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) == ROWS:
            raise BadInput(f"at most {ROWS} rows", code="too_large")
        while len(cells) > len(fields) and not cells[-1].strip():
            cells.pop()
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
