"""What a text names: places and their sorts, towns, regions, sites, in the sounds they are spoken with."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

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
    "服务区|收费站|步行街|新村|家园|华庭|公馆|名都|家属院|酒楼|派出所|洗浴中心|写字楼|批发城|物流园|冷库|教堂|清真寺|地铁站|泵站|电厂|水厂|油库|加气站|充电站|游乐园|动物园|影院|"
    "剧院|球场|滑雪场|科技园|产业园|中心小学|中心医院|服务中心|网吧|礼堂|祠堂|立交|高架|农场|牧场|养殖场|屠宰场|加工厂|印刷厂|砖厂|酒厂|水泥厂|"
    "杜口|营地|鸡场|工地|化工|钢厂|大坝|古城|大道|国道|省道|高速|村委会|村|屯|寨|庄|路|街|巷|弄|桥|厂|矿|馆|店|寺|庙|苑"
)
_NATURAL = "湾|沟|坳|坪|坎|岗|岭|岩|山|河|江|湖|溪|洲|岛|坝|塬|洞|垭|冲|滩|塘|峡|岔|口|堡|营|圩|垸|渠|港|海|关|墩|集|铺|屿|礁|郊"
PLACE_WORDS = tuple(f"{_COARSE}|{_TOWN}|{_FINE}".split("|"))  # none of them is part of a name
_TELLING = "新老东西南北上下前后"  # one letter in front of a kind that is a name: 老渡口, 新渡口
_SITES = re.compile(
    "仓库|宿舍|食堂|停车场|住院部|急诊|车间|地下室|车库|楼顶|屋顶|桥头|操场|门诊|大门口|站台|井下"
)  # of no name
_SUFFIX = re.compile(
    f"(?P<coarse>{_COARSE})|(?P<town>{_TOWN})|"
    f"(?P<fine>{_FINE})(?!(?<=路)[边上口面过段])|(?P<natural>{_NATURAL})"
)
_FINE_NEXT = re.compile(f"(?:{_FINE})(?![边上口面过段])")
_NUMBERED = re.compile(
    r"[ ]?(?:[0-9]{1,3}|[一二三四五六七八九十]{1,3})\s?(?:栋|幢|座|号楼|单元)"
)  # of an estate

# What sort of place a kind is: 桃源小区 and 桃源小学 are two. The rest is of no sort, and goes with any.
_SORTS = {word: sort for sort, words in (
    ("home", "小区 社区 花园 山庄 公寓 棚户区 苑 新村 家园 华庭 公馆 名都 家属院"),
    ("road", "路 街 巷 弄 大道 步行街 小吃街 酒吧街"), ("village", "村 屯 寨 庄 村委会"), ("bridge", "桥 大桥 立交 高架"),
    ("stay", "酒店 宾馆 饭店 客栈 度假村 酒楼"),
    ("works", "工业园区 化工园区 厂 化工 钢厂 电厂 水厂 农药厂 加工厂 印刷厂 砖厂 酒厂 水泥厂 产业园 科技园"),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Everything in forms that compare: sounds for names, numbers for the rest."""

    places: frozenset[str]  # fine ones and their sort: |tao|yuan|home, |da|pin|
    towns: frozenset[str]
    regions: frozenset[str]  # counties and cities
    sites: frozenset[str]  # kinds of place, named or not: 码头
    heard: str  # all that is said, as sounds: |da|pin|cun|san|zu|


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
    for match in _RUN.finditer(text):
        for level, name in _places(match[0], text[match.end() : match.end() + 6]):
            found[level].add(name)
    found["site"] |= set(_SITES.findall(text))
    found["fine"] |= {_key(syllables(f"{m[1]}中")) + "school" for m in _SCHOOL.finditer(text)}
    return Named(places=frozenset(found["fine"] | found["natural"] | set(_english(text))), towns=frozenset(found["town"]),
                 regions=frozenset(found["coarse"]), sites=frozenset(found["site"]), heard=_heard(text))  # fmt: skip


def _english(text: str) -> Iterator[str]:
    for match in _EN_PLACE.finditer(text):
        word = match[1] or match[2]
        if len(sounds := spelt(word)) >= 2 and word.lower() not in frequent_english():
            yield _key(sounds[-3:])


def _places(run: str, behind: str) -> Iterator[tuple[str, str]]:
    """(level, key) of each name in a run of Chinese; `behind`: the letters after it."""
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
        level, name = _cut(level, kind, name)
        if len(name) < 2 or (level == "natural" and _FINE_NEXT.match(run, match.end())):
            continue  # 星河湾|酒店: the name goes on
        begin = match.end()
        sort = "~" if level == "natural" else _SORTS.get(kind, "")
        if sort in ("", "~") and _NUMBERED.match(run[match.end() :] + behind):
            sort = "home"
        yield level, _key(syllables(name)[-3:]) + sort


def _cut(level: str, kind: str, name: str) -> tuple[str, str]:
    """The name with its kind where that belongs to it, and its level then; '' for what is no name."""
    if len(name) == 1 and len(kind) > 1 and (name in _TELLING or name not in _words()["not_names"]):
        return "natural", name + kind  # 老渡口
    if name in _words()["not_names"]:
        return level, ""
    if level == "natural":
        return level, name[-2:] + kind if len(name) >= 2 else ""
    return level, name


def _key(sounds: "list[str] | tuple[str, ...]") -> str:
    return f"|{'|'.join(sounds)}|"


def _heard(text: str) -> str:
    runs = [_key(syllables(run)) for run in _RUN.findall(text)]
    runs += [_key(sounds) for word in _LATIN.findall(text) if len(sounds := spelt(word)) >= 2]
    return "·".join(runs)


@lru_cache(maxsize=1)
def frequent_english() -> frozenset[str]:
    """Words that are no names."""
    table = tomllib.loads(files("intake.same").joinpath("common.toml").read_text("utf-8"))
    return frozenset(table["english"].split()) | _words()["english"]


@lru_cache(maxsize=1)
def _words() -> Mapping[str, frozenset[str]]:
    table = tomllib.loads(files("intake.same").joinpath("names.toml").read_text("utf-8"))
    return {name: frozenset(words.split()) for name, words in table.items()}
