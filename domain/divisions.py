"""The divisions of the country by name: provinces, cities, counties, townships, and the short forms people use."""

import csv
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from domain.place import canonical

_NO_PLACE = re.compile("县|市辖区|.*直辖县级行政区划")  # headings of the table, not places
_WITH_ZU = (
    "壮回满苗侗瑶藏羌白傣佤怒畲黎水京土", "土家", "蒙古", "哈尼", "傈僳", "拉祜", "纳西", "景颇", "布朗", "独龙", "普米", "阿昌",
    "德昂", "基诺", "仫佬", "毛南", "布依", "仡佬", "朝鲜", "达斡尔", "赫哲", "撒拉", "保安", "东乡", "裕固", "彝", "各",
)  # fmt: skip
_WITHOUT_ZU = ("蒙古", "哈萨克", "柯尔克孜", "锡伯", "塔吉克", "维吾尔")  # 伊犁哈萨克自治州
_PEOPLES = "|".join(
    [f"[{_WITH_ZU[0]}]族", *(f"{n}族" for n in _WITH_ZU[1:]), *(f"{n}族?" for n in _WITHOUT_ZU)]
)
_AUTONOMOUS = re.compile(f"(?P<short>.{{2,}}?)(?:{_PEOPLES})*自治(?P<kind>区|州|县|旗)")
_ENDING = re.compile("(?P<short>.{2,}?)(?:省|市|地区|盟|县|旗|林区|特区|区|特别行政区)")
_NAMED = {"150000": "内蒙古", "540000": "西藏", "650000": "新疆", "450000": "广西", "640000": "宁夏"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """A division and where its middle is, when the table says."""

    code: str  # 12 digits
    name: str
    lat: float | None = None
    lon: float | None = None


def level(code: str) -> int:
    """How many digits of a canonical code say something: 2 province, 4 city, 6 county, 9 township, 12 village."""
    for digits in (9, 6, 4, 2):
        if code[digits:].strip("0"):
            return {9: 12, 6: 9, 4: 6, 2: 4}[digits]
    return 2


def lies_in(inner: str, outer: str) -> bool:
    """Whether canonical `inner` is `outer` or lies in it; quicker than covers(), for codes that are known to be good."""
    return inner.startswith(outer[: level(outer)])


@lru_cache(maxsize=1)
def counties() -> tuple[Division, ...]:
    """Provinces, cities and counties, 2024; without the headings that the table has among them."""
    text = files("domain").joinpath("codes", "divisions.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    names = {row["adcode"]: row["name_zh"] for row in rows}
    return tuple(
        Division(code=canonical(row["adcode"]), name=row["name_zh"], lat=_degrees(row["lat"]), lon=_degrees(row["lon"]))
        for row in rows
        if not _NO_PLACE.fullmatch(row["name_zh"]) and names.get(row["parent"]) != row["name_zh"]
    )  # fmt: skip


def townships() -> Iterator[Division]:
    """Townships, towns and streets, 2023; 41,352 of them, read from the file each time."""
    packed = files("domain").joinpath("codes", "townships.txt.gz").read_bytes()
    for line in gzip.decompress(packed).decode().splitlines():
        county, *rest = line.split(" ")
        for each in rest:
            yield Division(code=f"{county}{each[:3]}000", name=each[3:])


def short_forms(name: str, code: str) -> tuple[str, ...]:
    """What else a province, city or county is called: 内蒙古, 延边州, 通道县, 奈曼. Never a single letter."""
    if code[:6] in _NAMED:
        return (_NAMED[code[:6]],)
    if found := _AUTONOMOUS.fullmatch(name):
        return found["short"], found["short"] + found["kind"]
    found = _ENDING.fullmatch(name)
    return (found["short"],) if found else ()


def _degrees(text: str) -> float | None:
    return float(text) if text else None
