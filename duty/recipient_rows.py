"""A list of recipients as a spreadsheet saves it: its head, then row by row; runs in a child of the sandbox.

A row is one line. A cell that holds a line break is refused like any broken quoting: the line numbers of
all other rows stay those that an editor shows, and one stray quotation mark cannot swallow the file.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from approval.wording import hidden
from domain.errors import BadInput
from domain.place import canonical
from intake.phones import phone

CELL = 500  # characters; the longest honest cell is an address of 254 (RFC 5321 §4.5.3.1.3)
NAME, GROUP, ADDRESS = 80, 40, 200  # characters; the widths of the columns
DELIMITERS = (",", ";", "\t", "，", "；")
HEADS = {
    "channel": ("channel", "渠道", "发送渠道"),
    "address": ("address", "地址", "号码", "电话", "手机", "手机号", "手机号码", "电话号码", "邮箱", "phone", "email", "number"),
    "area": ("area", "区划", "区域", "区划代码", "行政区划", "division", "area code"),
    "language": ("language", "语言", "语种"),
    "group": ("group", "组", "组别", "分组", "人群"),
    "name": ("name", "姓名", "名称", "称呼"),
}  # fmt: skip
CHANNELS = {"sms": "sms", "短信": "sms", "手机": "sms", "email": "email", "e-mail": "email", "mail": "email",
            "邮件": "email", "邮箱": "email", "电子邮件": "email"}  # fmt: skip
LANGUAGES = {"": "zh-CN", "zh-cn": "zh-CN", "zh": "zh-CN", "中文": "zh-CN", "汉语": "zh-CN", "chinese": "zh-CN",
             "en": "en", "en-gb": "en", "en-us": "en", "英文": "en", "英语": "en", "english": "en"}  # fmt: skip
GROUPS = {"": "subscriber", "责任人": "responsible", "基层人员": "grassroots", "订阅公众": "subscriber",
          "订阅": "subscriber", "公众": "subscriber"}  # fmt: skip
# RFC 5321 §4.1.2 dot-string and letter-digit-hyphen domains: nothing that could end a header or a command.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}){0,20}")
_DOMAIN = re.compile(
    r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,20}[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the first line says: the delimiter, and which column holds what."""

    delimiter: str
    columns: Mapping[str, int]


def head_of(line: str) -> Head:
    """The head of a list. Raises BadInput (``no_header``) where it names no address or no area."""
    for delimiter in DELIMITERS:
        names = [_squeeze(cell) for cell in _cells(line, delimiter) or []]
        columns = {
            column: names.index(word) for column, words in HEADS.items() for word in words if word in names
        }
        if {"address", "area"} <= set(columns):
            return Head(delimiter=delimiter, columns=columns)
    raise BadInput("the first line names the columns, at least address and area", code="no_header")


def read(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """The rows of some lines of a list (UTF-8), whose first one is number `first`.

    `options`: head (of head_of(), as a mapping), first, region, area_code. {"rows": [[line, channel,
    address, area as written, language, group, name]], "errors": [[line, column, reason]]}.
    """
    head = Head(**options["head"])
    rows: list[list[Any]] = []
    errors: list[list[Any]] = []
    for number, line in enumerate(data.decode("utf-8").split("\n"), int(options["first"])):
        text = line.removesuffix("\r")
        if not text.strip(head.delimiter + " \t\u3000"):
            continue  # what a spreadsheet leaves below its last row
        row = _Row(head, text, region=options["region"], area_code=options["area_code"])
        if row.errors:
            errors += [[number, *error] for error in row.errors]
        else:
            rows.append([number, *row.values])
    return {"rows": rows, "errors": errors}, []


def options_of(head: Head, *, first: int, region: str, area_code: str) -> dict[str, Any]:
    """The options of read()."""
    return {"head": asdict(head), "first": first, "region": region, "area_code": area_code}


class _Row:
    """One line; `values` are in order when `errors` is empty."""

    def __init__(self, head: Head, line: str, *, region: str, area_code: str) -> None:
        self.errors: list[tuple[str, str]] = []
        self.values: list[str] = []
        cells = _cells(line, head.delimiter)
        if cells is None:
            self.errors.append(("", "bad_quotes"))
            return
        if len(cells) <= max(head.columns[c] for c in ("address", "area")):
            self.errors.append(("", "too_few_cells"))
            return
        given = {name: cells[n].strip() if n < len(cells) else "" for name, n in head.columns.items()}
        for name, cell in given.items():
            if len(cell) > CELL:
                self.errors.append((name, "too_long"))
            elif hidden(cell):
                self.errors.append((name, "hidden_character"))
        if not self.errors:
            self._read(given, region, area_code)

    def _read(self, given: Mapping[str, str], region: str, area_code: str) -> None:
        address = given["address"]
        channel = self._known("channel", CHANNELS, given.get("channel", "") or _kind(address))
        language = self._known("language", LANGUAGES, given.get("language", ""))
        group = GROUPS.get(given.get("group", ""), given.get("group", ""))
        name = given.get("name", "")
        self._fits("group", group, GROUP)
        self._fits("name", name, NAME)
        if not address:
            self.errors.append(("address", "missing"))
        elif channel:
            address, reason = _email(address) if channel == "email" else _phone(address, region, area_code)
            if reason:
                self.errors.append(("address", reason))
        if not given["area"]:
            self.errors.append(("area", "missing"))
        self.values = [channel, address, _area(given["area"]), language, group, name]

    def _known(self, column: str, words: Mapping[str, str], said: str) -> str:
        found = words.get(said.casefold(), "")
        if not found:
            self.errors.append((column, "unknown"))
        return found

    def _fits(self, column: str, text: str, longest: int) -> None:
        if len(text) > longest:
            self.errors.append((column, "too_long"))


def _cells(line: str, delimiter: str) -> Sequence[str] | None:
    """The cells of one line; None where its quotation marks do not close."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(_reader(line, delimiter), [])
    except csv.Error:
        return None


def _reader(line: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader([line], delimiter=delimiter, strict=True)


def _squeeze(cell: str) -> str:
    return cell.strip(" \t\u3000\ufeff").casefold()


def _kind(address: str) -> str:
    """Without a column for it, an @ tells the channel."""
    return "email" if "@" in address else "sms"


def _phone(text: str, region: str, area_code: str) -> tuple[str, str]:
    """(E.164, '') or ('', why no SMS reaches it)."""
    found = phone(text, region=region, area_code=area_code)
    if found is None or not found.e164 or found.extension:
        return "", "no_phone"
    return ("", "landline") if found.kind == "fixed" else (found.e164, "")


def _email(text: str) -> tuple[str, str]:
    """(address with its domain in lower case and ASCII, '') or ('', why it is none)."""
    local, at, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return "", "no_email"
    is_one = at and len(local) <= 64 and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)
    return (f"{local}@{domain}", "") if is_one and len(local) + len(domain) < ADDRESS else ("", "no_email")


def _area(text: str) -> str:
    """The canonical code where it is written as one; a name stays for whoever knows the names."""
    try:
        return canonical(text)
    except BadInput:
        return text
