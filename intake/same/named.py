"""What a text names: places and their sorts, towns, regions, sites, in the sounds they are spoken with."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from intake.same.english import english_places, is_called, plain, sort_behind
from intake.same.sounds import spelt, syllables

_LONGEST = 4  # characters of a name in front of its kind: 大石桥 + 村
_RUN = re.compile("[一-鿿]+")
_LATIN = re.compile("[A-Za-zÀ-ü]{4,24}")
_ENGLISH = re.compile(r"[A-Za-z][A-Za-z'’]{2,23}(?:[ -]+[A-Za-z][A-Za-z'’]{2,23})*")

# Kinds of place -> level. The first three are large: two events lie in one. Longer words first.
_COARSE = "省(?!道)|市(?![场民委政里区内中])|自治州|自治县|县(?!道)"
_TOWN = "街道|镇|乡|苏木"
_FINE = (
    "工业园区|化工园区|养老院|敬老院|卫生院|卫生室|幼儿园|加油站|变电站|火车站|汽车站|采石场|农药厂|体育馆|体育中心|奥体中心|"
    "收容所|福利院|尾矿库|民宿|实验室|饭馆|面馆|餐厅|步道|酒吧街|小吃街|棚户区|垃圾场|羊肉馆|理发店|奶茶店|火锅店|度假村|羊肉|小区|社区|花园|山庄|广场|大厦|商场|超市|菜市场|农贸市场|市场|菜场|医院|"
    "学校|小学|中学|大学|酒店|宾馆|饭店|客栈|公寓|煤矿|煤业|码头|机场|车站|粮站|水库|电站|大桥|隧道|公园|景区|林场|渡口|"
    "服务区|收费站|步行街|新村|家园|华庭|公馆|名都|家属院|酒楼|派出所|洗浴中心|写字楼|批发城|物流园|冷库|教堂|清真寺|地铁站|泵站|电厂|水厂|油库|加气站|充电站|游乐园|动物园|影院|"
    "剧院|球场|滑雪场|科技园|产业园|中心小学|中心医院|服务中心|网吧|礼堂|祠堂|立交|高架|农场|牧场|养殖场|屠宰场|加工厂|印刷厂|砖厂|酒厂|水泥厂|"
    "杜口|营地|鸡场|工地|化工|钢厂|大坝|古城|大道|国道|省道|高速|村委会|村|屯|寨|庄|路|街|巷|弄|桥|厂|矿|馆|店|寺|庙|苑|闸|窑|(?<![一二三四五六七八九十几两上下高大跳坠])楼(?![上下梯道顶层房])"
)
_NATURAL = (
    "湾|沟|坳|坪|(?<![山边斜护上下滑土岸陡后])坡(?![上下度道体脚面])|岗|岭|岩|山|河|江|湖|溪|洲|岛|坝|塬|洞|垭|冲(?=[村组里])|滩|塘|峡|谷|岔|(?<![门路出入井窗洞巷])口|堡|营|圩|垸|港|"
    "海(?![事洋上警水里鲜拔])|关(?![了在着门停系])|(?<![聚密召采征收筹募])集(?![中体团合装])|铺|屿|礁|郊|(?<![高洪])峰|井(?=[村镇组])"
)
PLACE_WORDS = (
    "省",
    "市",
    "县",
    *(word for word in f"{_TOWN}|{_FINE}".split("|") if word.isalpha()),
)  # none of them is part of a name
_TELLING = "新老东西南北上下前后"  # one letter in front of a kind that is a name: 老渡口, 新渡口
_SITES = re.compile(
    "仓库|宿舍|食堂|停车场|住院部|急诊|车间|地下室|车库|楼顶|屋顶|桥头|操场|门诊|站台|井下|厂房|家属院|实验室|厨房|阳台|卫生间|厕所|走廊|"
    "天台|中庭|游泳池|泳池|看台|收银台|配电房|配电室|锅炉房|机房|观景台|栈道|护坡|挡墙|堡坎|河堤|溢洪道|引水渠|公交站|路口|校门口|校车|收费站|"
    "隧道口|洞口|渡口|码头|趸船|闸门|电梯|扶梯|塔吊|脚手架|吊篮|井盖|水管|变压器|充电桩|摊位|棚顶|围墙|铁路桥|匝道|互通|加油机|票房|缆车|索道|"
    "(?:豆腐|水泥|印刷|化肥|农药|电镀|印染|油漆|食品|面粉|玻璃|造纸|家具|服装|鞭炮|烟花|饲料|制药|塑料|轮胎|电池|[糖纸酒药布皮钢铝盐油砖瓦鞋茶])[厂坊]|"
    "渔港|港口|[东西南北]门|城[东西南北关]|[老新古县]城|[上下前后新老东西南北](?:寨|屯|街|院|渡|营)(?![一-鿿]?[村镇乡])|"
    "池塘|鱼塘|猪场|菜地|果园|茶园|后山|小卖部|药店|网吧|健身房|理发店|美容院|奶茶店|烧烤店|火锅店|面馆|快餐店|包子铺|早餐店|布店"
)  # of no name
_SUFFIX = re.compile(
    f"(?P<coarse>{_COARSE})|(?P<town>{_TOWN})|"
    f"(?P<fine>{_FINE})(?!(?<=路)(?:[边上口过段]|面(?![馆店])))|(?P<natural>{_NATURAL})"
)
_FINE_NEXT = re.compile(f"(?:{_FINE})(?![边上口面过段])")
_NUMBERED = re.compile(
    r"[ ]?(?:[0-9]{1,3}|[一二三四五六七八九十]{1,3})\s?(?:栋|幢|座|号楼|单元)"
)  # of an estate

WATER = "≈"  # of a river or a lake, along which much can happen
ANY = ("", "~", WATER)  # sorts that go with any other
_WATERS = frozenset("河江溪湖海港")

# What sort of place a kind is: 桃源小区 and 桃源小学 are two. The rest is of no sort, and goes with any.
SORTS = {word: sort for sort, words in (
    ("home", "小区 社区 花园 山庄 公寓 棚户区 苑 新村 家园 华庭 公馆 名都 家属院"),
    ("road", "路 街 巷 弄 大道 步行街 小吃街 酒吧街 高速 国道 省道"), ("village", "村 屯 寨 庄 村委会"),
    ("bridge", "桥 大桥 立交 高架"),
    ("stay", "酒店 宾馆 客栈 度假村 酒楼 民宿"),
    ("works", "工业园区 化工园区 厂 化工 钢厂 电厂 水厂 农药厂 加工厂 印刷厂 砖厂 酒厂 水泥厂 产业园 科技园"),
    ("school", "学校 小学 中学 大学 幼儿园 中"),
    ("shop", "超市 菜市场 农贸市场 市场 菜场 商场"), ("eat", "饭馆 面馆 餐厅 饭店"),
    ("care", "养老院 敬老院 福利院 医院 卫生院 卫生室"), ("dam", "水库 闸 尾矿库"), ("mine", "煤矿 矿 窑"),
    ("fuel", "加油站 加气站"), ("power", "变电站 电站"), ("church", "寺 庙 教堂"),
    ("square", "广场"), ("park", "公园 景区 动物园 游乐园 林场"), ("tower", "大厦 写字楼 楼"),
    ("field", "体育馆 体育中心 奥体中心 球场"),
    ("station", "火车站 汽车站 地铁站 车站 泵站 机场"), ("water", "水厂"), ("port", "码头 渡口"),
) for word in words.split()}  # fmt: skip

# Letters that end no name in front of its kind, or begin none: 我在|大坪村, 就是|红星厂.
_BREAK = re.compile(
    "[的了在是往到把被与有没我你他她它们这那个从于还又都很好条座里外就去来看着啊吧呀吗呢说叫住给让对面听也今昨前后时分点许号楼层"
    "位约因发许某及或向过靠离旁边段掉压多少些几半全整不要会能已正再吃喝请问快救命烧跳翻撞塌垮跑困堵淹埋伤砸喊找停]|附近|方向|地区|我们|刚刚|刚才|发生|才撞|"
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
    bare: frozenset[
        str
    ]  # those without a name of their own: what is meant of a named place, or all that is said
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
        "bare": set(),
    }
    for match in _RUN.finditer(text):
        for level, name in _places(match[0], text[match.end() : match.end() + 6]):
            found[level].add(name)
    found["bare"] |= set(_SITES.findall(text))
    found["site"] |= found["bare"]
    found["fine"] |= {_key(syllables(f"{m[1]}中")) + "school" for m in _SCHOOL.finditer(text)}
    return Named(places=frozenset(found["fine"] | found["natural"] | set(_english(text))), towns=frozenset(found["town"]),
                 regions=frozenset(found["coarse"]), sites=frozenset(found["site"]),
                 bare=frozenset(found["bare"]), heard=_heard(text))  # fmt: skip


def _english(text: str) -> Iterator[str]:
    for match in _EN_PLACE.finditer(text):
        word = match[1] or match[2]
        if len(sounds := spelt(word)) >= 2 and word.lower() not in frequent_english() and not is_called(word):
            yield _key(sounds[-3:]) + sort_behind(text[match.end() :])
    yield from english_places(text)


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
        if len(name) < 2 and level == "fine" and len(kind) > 1 and SORTS.get(kind) != "road":
            yield "bare", kind
        if len(name) < 2 or (level == "natural" and _FINE_NEXT.match(run, match.end())):
            continue  # 星河湾|酒店: the name goes on
        begin = match.end()
        sort = SORTS.get(kind, "") if level != "natural" else WATER if kind in _WATERS else "~"
        if sort in ANY and _NUMBERED.match(run[match.end() :] + behind):
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
    for run in _ENGLISH.findall(text):
        runs.append(_key([f"={plain(word)}" for word in run.replace("-", " ").split()]))
    return "·".join(runs)


@lru_cache(maxsize=1)
def frequent_english() -> frozenset[str]:
    """Words that are no names."""
    table = tomllib.loads(files("intake.same").joinpath("common.toml").read_text("utf-8"))
    return frozenset(table["english"].split()) | _words()["english"]


@lru_cache(maxsize=1)
def _words() -> Mapping[str, frozenset[str]]:
    table = tomllib.loads(files("intake.same").joinpath("names.toml").read_text("utf-8"))
    return {name: frozenset(words.split()) for name, words in table.items() if isinstance(words, str)}
