"""Event types: scheme ``cn.eips``, five characters, with the warning types of NEWIS on top."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_CODE = re.compile("[0-9A-Z]{3,10}")
SCHEME = "cn.eips"  # 国家应急平台体系信息资源分类与编码规范; built from public implementations


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One kind of event, e.g. 11B03 暴雨 / Rainstorm."""

    code: str
    name_zh: str
    name_en: str = ""
    parent: str = ""


@lru_cache(maxsize=1)
def event_types() -> Mapping[str, EventType]:
    """code -> type; about 440 rows of two tables, sources in domain/codes/SOURCES.md."""
    english = {row["code"]: row["name_en"] for row in _rows("event_names_en.csv")}
    table = {
        row["code"]: EventType(code=row["code"], name_zh=row["name_zh"], parent=row["parent"],
                               name_en=english.get(row["code"], ""))
        for row in _rows("event_types.csv")
    }  # fmt: skip
    for row in _rows("warning_types.csv"):
        old = table.get(row["code"])
        table[row["code"]] = EventType(
            code=row["code"],
            name_zh=old.name_zh if old else row["name_zh"],
            name_en=row["name_en_qweather"] or english.get(row["code"], ""),
            parent=old.parent if old else row["code"][:3] + "00",
        )
    return table


def is_code(text: str) -> bool:
    """Whether it may be a code of an event type. One that the table does not have is kept: tables grow."""
    return _CODE.fullmatch(text) is not None


def class_of(code: str) -> EventType | None:
    """The class of a code that the table does not know: 11B77 lies in 11B00; None when that is not known either."""
    return event_types().get(code[:3] + "00") or event_types().get(code[:2] + "000")


def category(code: str) -> str:
    """CAP 1.2 §3.2.2 category of an event code, by its class."""
    by_class = {"11A": "Met", "11B": "Met", "11C": "Geo", "11D": "Geo", "11G": "Fire", "12G": "Fire",
                "12H": "Transport", "12Q": "Env", "12P": "Infra", "12U": "Infra", "12D": "CBRNE"}  # fmt: skip
    by_group = {"11": "Env", "12": "Safety", "13": "Health", "14": "Security"}
    return by_class.get(code[:3]) or by_group.get(code[:2], "Other")


def _rows(name: str) -> list[dict[str, str]]:
    text = files("domain").joinpath("codes", name).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(text.splitlines()))
