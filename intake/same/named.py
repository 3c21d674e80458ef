"""What a text names: places, roads with their marks, houses, numbers of people, vessels and trains."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

from intake.same.occurred import number
from intake.same.sounds import spelt, syllables

_LONGEST = 4  # characters of a name in front of its kind: 大石桥 + 村
_RUN = re.compile("[一-鿿]+")
_LATIN = re.compile("[A-Za-zÀ-ü]{4,24}")

# Kinds of place -> level. The first three are large: two events lie in one. Longer words first.
_COARSE = "省|市|县|自治州|自治县"
_TOWN = "街道|镇|乡|苏木"
_FINE = (
    "工业园区|化工园区|养老院|敬老院|卫生院|卫生室|幼儿园|加油站|变电站|火车站|汽车站|采石场|农药厂|体育馆|体育中心|奥体中心|"
    "酒吧街|小吃街|棚户区|垃圾场|羊肉馆|理发店|奶茶店|火锅店|度假村|羊肉|小区|社区|花园|山庄|广场|大厦|商场|超市|菜市场|农贸市场|市场|菜场|医院|"
    "学校|小学|中学|大学|酒店|宾馆|饭店|客栈|公寓|煤矿|煤业|码头|机场|车站|粮站|水库|电站|大桥|隧道|公园|景区|林场|渡口|"
    "服务区|收费站|派出所|洗浴中心|写字楼|批发城|物流园|冷库|教堂|清真寺|地铁站|泵站|电厂|水厂|油库|加气站|充电站|游乐园|动物园|影院|"
    "剧院|球场|滑雪场|科技园|产业园|中心小学|中心医院|服务中心|网吧|礼堂|祠堂|立交|高架|农场|牧场|养殖场|屠宰场|加工厂|印刷厂|砖厂|酒厂|水泥厂|"
    "杜口|营地|鸡场|工地|化工|钢厂|大坝|古城|大道|国道|省道|高速|村委会|村|屯|寨|庄|路|街|巷|弄|桥|厂|矿|馆|店|寺|庙"
)
_NATURAL = "湾|沟|坳|坪|坎|岗|岭|岩|山|河|江|湖|溪|洲|岛|坝|塬|洞|垭|冲|滩|塘|峡|岔|口|堡|营|圩|垸|渠|港|海|关|墩|集|铺|屿|礁"
_SITES = re.compile(
    "仓库|宿舍|食堂|停车场|住院部|急诊|车间|地下室|车库|楼顶|屋顶|桥头|操场|门诊|大门口|站台|井下"
)  # of no name
_SUFFIX = re.compile(f"(?P<coarse>{_COARSE})|(?P<town>{_TOWN})|(?P<fine>{_FINE})|(?P<natural>{_NATURAL})")

# What sort of place a kind is: 桃源小区 and 桃源小学 are two. The rest is of no sort, and goes with any.
_SORTS = {word: sort for sort, words in (
    ("home", "小区 社区 花园 山庄 公寓 棚户区"),
    ("school", "学校 小学 中学 大学 幼儿园 中"),
    ("shop", "超市 菜市场 农贸市场 市场 菜场 商场"),
    ("care", "养老院 敬老院 医院 卫生院 卫生室"), ("fuel", "加油站"), ("power", "变电站 电站"), ("church", "寺 庙"),
) for word in words.split()}  # fmt: skip

# Letters that end no name in front of its kind, or begin none: 我在|大坪村, 就是|红星厂.
_BREAK = re.compile(
    "[的了在是往到把被与有没我你他她它们这那个从于还又都很好条座里外就去来看着啊吧呀吗呢说叫住给让对面听也今昨前后时分点许号楼层"
    "位约因发许某及或向过靠离旁边段掉压多少些几半全整不要会能已正再吃喝请问快救命]|附近|方向|地区|我们|刚刚|刚才|发生|才撞|"
    "[县市镇乡区省州]|街道|村|路|国道|省道|通往|出现|上游|下游|[一二两三四五六七八九十]家|山体|水漫|河水|公里|和(?=.{2,3}(?:小区|小学|村))"
)
_EN_PLACE = re.compile(
    r"\b([A-Z][a-z]{2,23})\b|\b([a-z]{4,23})(?=\s+(?:village|vilage|town|road|bridge|river|mountain|county|city|"
    r"chemical|plaza|school|bay|factory|hospital|street|reservoir|station)\b)"
)

_SCHOOL = re.compile("(?:第|(?<![一-鿿]))([一二三四五六七八九十]{1,2})中(?:学)?")  # 第一中学, 一中
_COUNT = re.compile(
    r"(?<![0-9第.])([0-9]{1,4}|[一二两三四五六七八九十]{1,3})(?:多|几|来)?\s*(?:个|名|位|户|家|间|栋|辆|条|头|只|顶)?"
    r"\s*(人|户|家|间|学生|老人|孩子|小孩|娃娃|儿童|工人|师生|驴友|people|students|injured|workers|hurt|children|tents)"
)  # fmt: skip
_CLASSIFIERS = {"户": "home", "家": "home", "间": "home"}
_MARK = re.compile(r"(?<!rain )[Kk]\s?([0-9]{2,4})(?:\s?\+\s?[0-9]{1,3})?(?!次)|([0-9]{2,4})\s?公里(?!每|时)")
_ROAD = re.compile(r"([GgSsXx])\s?([0-9]{2,4})(?!次)|([国省县])道\s?([0-9]{2,4})|([0-9]{2,4})([国省县])道")
_TRAIN = re.compile(r"([GDCZTKgdcztk][0-9]{1,4})次|[Tt]rain ([GDCZTK][0-9]{1,4})")
_LONG = re.compile(r"(?<![0-9.+])[0-9]{4,6}(?![0-9.年+])")
_HOUSE = re.compile(r"([0-9]{1,4})\s?(号楼|栋|幢|座|号(?!线|工作面|塔|主))")
_ROADS = {"g": "g", "s": "s", "x": "x", "国": "g", "省": "s", "县": "x"}


_VEHICLES = tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in (
    ("bus", r"公交车|大巴|客车|校车|面包车|\bbus\b"),
    ("truck", "货车|罐车|渣土车|大车|拉猪|truck|tanker"), ("bike", "电动车|电瓶车|自行车|摩托"),
    ("car", "小车|轿车|出租车|两车"), ("tractor", "拖拉机|农用车"), ("ship", "船|boat|ferry"), ("lift", "电梯|elevator"),
    ("cable", "缆车|索道|cable car"), ("train", "火车|列车|train"),
))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Everything in forms that compare: sounds for names, numbers for the rest."""

    places: frozenset[str]  # fine ones and their sort: |tao|yuan|home, |da|pin|
    towns: frozenset[str]
    regions: frozenset[str]  # counties and cities
    sites: frozenset[str]  # kinds of place, named or not: 码头
    heard: str  # all that is said, as sounds: |da|pin|cun|san|zu|
    marks: frozenset[int] = frozenset()  # kilometres of a road
    roads: frozenset[str] = frozenset()
    houses: frozenset[int] = frozenset()
    things: frozenset[str] = frozenset()  # trains, vessels, long numbers
    vehicles: frozenset[str] = frozenset()
    counts: frozenset[str] = field(default_factory=frozenset)  # 3 people, 2 homes


def named(text: str) -> Named:
    """What `text` names."""
    text = text[:4000]
    found: dict[str, set[str]] = {
        "fine": set(),
        "natural": set(),
        "town": set(),
        "coarse": set(),
        "site": set(),
    }
    for run in _RUN.findall(text):
        for level, name in _places(run):
            found[level].add(name)
    found["site"] |= set(_SITES.findall(text))
    found["fine"] |= {_key(syllables(f"{m[1]}中")) + "school" for m in _SCHOOL.finditer(text)}
    marks = frozenset(int(m[1] or m[2]) for m in _MARK.finditer(text))
    roads = {_road(m) for m in _ROAD.finditer(text)}
    trains = {(m[1] or m[2]).lower() for m in _TRAIN.finditer(text)}
    numbers = {n for n in _LONG.findall(text) if int(n) not in marks and f"g{n}" not in roads}
    vehicles = frozenset(kind for kind, words in _VEHICLES if words.search(text))
    return Named(places=frozenset(found["fine"] | found["natural"] | set(_english(text))), towns=frozenset(found["town"]),
                 regions=frozenset(found["coarse"]), sites=frozenset(found["site"]), heard=_heard(text), marks=marks,
                 roads=frozenset(roads), houses=frozenset(int(m[1]) for m in _HOUSE.finditer(text)),
                 things=frozenset(trains | numbers), vehicles=vehicles, counts=frozenset(_counts(text)))  # fmt: skip


def _english(text: str) -> Iterator[str]:
    for match in _EN_PLACE.finditer(text):
        word = match[1] or match[2]
        if len(sounds := spelt(word)) >= 2 and word.lower() not in _words()["english"]:
            yield _key(sounds[-3:])


def _places(run: str) -> Iterator[tuple[str, str]]:
    """(level, key) of each name in a run of Chinese."""
    begin = 0
    for match in _SUFFIX.finditer(run):
        level, kind = match.lastgroup or "", match[0]
        before = run[max(begin, match.start() - _LONGEST) : match.start()]
        name = before[max((m.end() for m in _BREAK.finditer(before)), default=0) :]
        if level == "fine" and len(kind) > 1 and kind not in ("国道", "省道", "高速", "大道"):
            yield "site", kind
        if level == "coarse":
            begin = match.end()
            if kind != "省" and 0 < len(name) <= 3:
                yield level, _key(syllables(name + kind))
            continue
        if name in _words()["not_names"] or not name:
            continue
        if level == "natural":
            name = name[-2:] + kind if len(name) >= 2 else ""
        elif len(name) == 1 and len(kind) > 1:
            name, level = name + kind, "natural"  # 老渡口
        if len(name) < 2:
            continue
        begin = match.end()
        yield level, _key(syllables(name)[-3:]) + ("~" if level == "natural" else _SORTS.get(kind, ""))


def _key(sounds: "list[str] | tuple[str, ...]") -> str:
    return f"|{'|'.join(sounds)}|"


def _heard(text: str) -> str:
    runs = [_key(syllables(run)) for run in _RUN.findall(text)]
    runs += [_key(sounds) for word in _LATIN.findall(text) if len(sounds := spelt(word)) >= 2]
    return "·".join(runs)


def _road(match: re.Match[str]) -> str:
    letter = match[1] or match[3] or match[6]
    return f"{_ROADS[letter.lower()]}{match[2] or match[4] or match[5]}"


def _counts(text: str) -> Iterator[str]:
    for match in _COUNT.finditer(text):
        count = number(match[1])
        if count > 1:
            yield f"{count} {_CLASSIFIERS.get(match[2], 'people')}"


@lru_cache(maxsize=1)
def _words() -> Mapping[str, frozenset[str]]:
    table = tomllib.loads(files("intake.same").joinpath("names.toml").read_text("utf-8"))
    return {name: frozenset(words.split()) for name, words in table.items()}
