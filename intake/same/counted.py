"""What a text counts and numbers: kilometres, roads, buildings and floors, trains and plates, people and vehicles."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from intake.same.occurred import number

_NUMBER = "[0-9]{1,4}|[一二两三四五六七八九十]{1,3}"
_COUNT = re.compile(
    r"(?<![0-9第.])([0-9]{1,4}|[一二两三四五六七八九十]{1,3})(?:多|几|来)?\s*(?:个|名|位|户|家|间|栋|辆|条|头|只|顶)?"
    r"\s*(人|户|家|间|学生|老人|孩子|小孩|娃娃|儿童|工人|师生|驴友|people|students|injured|workers|hurt|children|tents)"
)  # fmt: skip
_CLASSIFIERS = {"户": "home", "家": "home", "间": "home"}
_MARK = re.compile(
    r"(?<!rain )(?<![A-Za-z])[Kk][Mm]?\s?([0-9]{2,4})(?:\s?\+\s?[0-9]{1,3})?(?!次|[0-9])|"
    r"(?<![0-9.+])([0-9]{2,4})\s?(?:公里|[Kk][Mm]\b)(?!每|时|外|长|处找)|"
    r"(?:国道|省道|高速|[Kk]ilomet(?:re|er))\s?([0-9]{2,4})(?![0-9])"
)
_SPELT = re.compile("[零〇幺一二三四五六七八九]{3,}")  # 三一八国道: digit by digit
_DIGIT = {c: str(n % 10) for n, c in enumerate("零一二三四五六七八九〇幺")} | {"〇": "0", "幺": "1"}
_EN_DIGITS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_EN_SPELT = re.compile(rf"\b(?:{'|'.join(_EN_DIGITS[2:])})\b", re.IGNORECASE)
_EXPRESSWAY = re.compile("(?:^|[^一-鿿]|[在到上走往从是])([一-鿿]{2})高速(?!路口)")
_ROAD = re.compile(
    r"([GgSsXx])\s?([0-9]{2,4})(?!次)|([国省县])道\s?([0-9]{2,4})|([0-9]{2,4})(?:号)?([国省县])道"
)
_HIGHWAY = re.compile(
    r"(?:highway|hwy|route|motorway)\s?(?:no\.? ?)?([0-9]{1,4})|(?<![0-9])([0-9]{1,2})号公路", re.IGNORECASE
)
_ROADS = {"g": "g", "s": "s", "x": "x", "国": "g", "省": "s", "县": "x"}
_TRAIN = re.compile(r"([GDCZTKgdcztk][0-9]{1,4})次|[Tt]rain ([GDCZTK][0-9]{1,4})")
_FLIGHT = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2}|[0-9][A-Z])([0-9]{3,4})(?![0-9A-Za-z])")
_PLATE = re.compile(
    "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤川青藏琼宁][A-Z][·. ]?[A-Z0-9]{5,6}"
)
_LONG = re.compile(r"(?<![0-9.+])[0-9]{4,6}(?![0-9.年+弄室多余户人名亩元吨万米方立])")

_STREET = "street|road|avenue|lane|drive|close|row|hill"
# What is numbered -> its letter. Two of one letter that differ are two places; floors are only told roughly.
_UNITS = tuple((letter, re.compile(words, re.IGNORECASE)) for letter, words in (
    ("b", rf"({_NUMBER})\s?(?:号楼|栋|幢|座(?!桥|山|水))|(?:building|block) ?(?:no\.? ?)?([0-9]{{1,4}})"),
    ("n", r"([0-9]{1,4})\s?号(?!公路|楼|线|工作面|塔|主|院|机|船|车|井|门|巷道|矿|尾)(?!自动)|"
            rf"\b(?:no|number)\.? ?([0-9]{{1,4}})\b|"
            rf"\b([0-9]{{1,4}}) (?:[A-Za-z']+ ){{1,2}}(?:{_STREET})\b|\b(?:{_STREET}),? ([0-9]{{1,4}})\b"),
    ("q", r"\b(?:pier|gate|platform|dock|berth|ward) ?([0-9]{1,3})\b"),
    ("w", r"([0-9]{1,4})\s?弄"), ("r", r"([0-9]{3,4})\s?(?:室|房(?!子|屋)|号房)"),
    ("e", rf"({_NUMBER})\s?单元"), ("g", rf"({_NUMBER})\s?(?:组|队(?!员|长|列)|社(?!区|保|会))"),
    ("p", rf"({_NUMBER})\s?期(?!间)"),
    ("l", rf"({_NUMBER})\s?号线"), ("s", rf"({_NUMBER})\s?号(?:井|矿|工作面|塔|主变|机|船|巷道|院)"),
    ("z", rf"(?<!第)({_NUMBER})\s?区(?!域|别|间|县)"),
))  # fmt: skip
_FLOOR = re.compile(rf"(?<!号)(?<![0-9])({_NUMBER})\s?(?:层(?!楼高)|楼(?!房|高))")

_VEHICLES = tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in (
    ("bus", r"公交车?|大巴|中巴|客车|校车|班车|面包车?|\b(?:mini)?bus\b"),
    ("truck", "货车|罐车|渣土车|泥头车|水泥车|大车|拉猪|半挂|搅拌车|混凝土车|卡车|面包车?|自卸|工程车|拉煤车|"
              "\\btruck|tanker|\\blorry|concrete mixer"),
    ("bike", "电动车|电瓶车|助动车|踏板车|自行车|摩托|三轮|单车|motorbike|scooter|\\bbike"),
    ("car", r"小车|轿车|出租车?|的士|网约车|两车|私家车|皮卡|越野车|面包车?|小客车|小型客车|特斯拉|\btesla|\btaxi|\bcars?\b"),
    ("tractor", "拖拉机|农用车|tractor"),
    ("ship", r"船(?!票)|轮渡(?!码头)|\bboat|ferry|\bship\b|vessel"), ("jetski", r"摩托艇|快艇|jet ?ski"),
    ("lift", "电梯|elevator"), ("escalator", "扶梯|escalator"),
    ("cable", "缆车|索道|cable car"), ("train", r"火车(?!站)|列车|高铁(?!站)|动车|\btrain\b"),
    ("crane", "吊车|塔吊|塔式起重机|起重机|汽车吊|吊机|\\bcrane"),
))  # fmt: skip
_WHO = tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in (
    ("child", r"小孩|孩子|娃|男孩|女孩|儿童|幼儿|学生|婴儿|初中生|高中生|小学生|"
              r"(?<![0-9十])[0-9一二三四五六七八九]岁|十[一二三四五六]岁|\b(?:child|children|kids?|boys?|girls?|students?)\b"),
    ("old", r"老人|老头|老太|老婆婆|老奶奶|老大爷|大爷|大妈|老汉|(?:[6-9][0-9]|[六七八九]十.?)岁|\b(?:old|elderly)\b"),
    ("worker", r"工人|民工|职工|员工|女工|矿工|施工人员|\b(?:workers?|miners?)\b"),
    ("rider", "驴友|游客|钓鱼|登山|旅客|hikers?|tourists?"),
))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Numbers of a text, in forms that compare."""

    marks: frozenset[int] = frozenset()  # kilometres of a road
    roads: frozenset[str] = frozenset()  # g318
    units: frozenset[str] = frozenset()  # b7 building, n128 house, g3 group of a village
    floors: frozenset[int] = frozenset()
    things: frozenset[str] = frozenset()  # trains, flights, plates, vessels, long numbers
    vehicles: frozenset[str] = frozenset()
    who: frozenset[str] = frozenset()  # child, old, worker
    counts: frozenset[str] = field(default_factory=frozenset)  # 3 people, 2 homes


def counted(text: str) -> Counted:
    """What `text` counts and numbers."""
    text = _SPELT.sub(lambda run: "".join(_DIGIT.get(c, c) for c in run[0]), text)
    text = _EN_SPELT.sub(lambda word: str(_EN_DIGITS.index(word[0].lower())), text)
    marks = frozenset(int(m[1] or m[2] or m[3]) for m in _MARK.finditer(text))
    roads = {road for m in _ROAD.finditer(text) if int((road := _road(m))[1:]) not in marks} | set(
        _EXPRESSWAY.findall(text)
    )
    roads |= {f"h{m[1] or m[2]}" for m in _HIGHWAY.finditer(text)}
    return Counted(marks=marks, roads=frozenset(roads), units=frozenset(_units(text)),
                   floors=frozenset(number(m[1]) for m in _FLOOR.finditer(text)),
                   things=frozenset(_things(text, marks, roads)),
                   vehicles=_kinds(_VEHICLES, text), who=_kinds(_WHO, text), counts=frozenset(_counts(text)))  # fmt: skip


def _kinds(table: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> frozenset[str]:
    return frozenset(kind for kind, words in table if words.search(text))


def _units(text: str) -> Iterator[str]:
    for letter, pattern in _UNITS:
        for match in pattern.finditer(text):
            yield f"{letter}{number(next(g for g in match.groups() if g))}"


def _things(text: str, marks: frozenset[int], roads: set[str]) -> Iterator[str]:
    yield from ((m[1] or m[2]).lower() for m in _TRAIN.finditer(text))
    yield from (m[0].lower() for m in _FLIGHT.finditer(text))
    yield from (re.sub("[·. ]", "", m[0]).lower() for m in _PLATE.finditer(text))
    known = {r[1:] for r in roads}
    yield from (n for n in _LONG.findall(text) if int(n) not in marks and n not in known)


def _road(match: re.Match[str]) -> str:
    letter = match[1] or match[3] or match[6]
    return f"{_ROADS[letter.lower()]}{match[2] or match[4] or match[5]}"


def _counts(text: str) -> Iterator[str]:
    for match in _COUNT.finditer(text):
        count = number(match[1])
        if count > 1:
            yield f"{count} {_CLASSIFIERS.get(match[2], 'people')}"
