"""The words and turns in which people tell of harm, in Chinese and English, as patterns that domain/casualties reads."""

import re
from collections.abc import Mapping
from enum import StrEnum

from domain.numerals import expression


class Harm(StrEnum):
    """What happened to people."""

    DEAD = "dead"
    MISSING = "missing"
    TRAPPED = "trapped"
    INJURED = "injured"
    SERIOUS = "serious"  # of the injured: 重伤
    LIGHT = "light"  # of the injured: 轻伤


ZH = {
    Harm.SERIOUS: "重伤|伤势严重|生命垂危|病危",
    Harm.LIGHT: "轻伤|轻微伤|擦伤",
    Harm.MISSING: "失联|失踪|下落不明|失去联系|联系不上|找不到|不知去向",
    Harm.TRAPPED: "被困|受困|被围困|被掩埋|掩埋|埋压|被埋|活埋|被压|压住|埋|困住|困在|"
    "没跑出来|没逃出来|没出来|出不来",
    Harm.INJURED: "受伤|负伤|烧伤|灼伤|砸伤|摔伤|刺伤|骨折|中毒|昏迷|送医|伤",
    Harm.DEAD: "死亡|遇难|身亡|丧生|牺牲|殉职|溺亡|无生命体征|没有生命体征|罹难|去世|死|亡|"
    "断气|咽气|没救过来|没抢救过来|(?<=[个人])没气了",
}
EN = {
    Harm.SERIOUS: r"(?:seriously|critically|severely|badly) (?:injured|hurt|wounded)|in critical condition",
    Harm.LIGHT: r"(?:slightly|lightly) (?:injured|hurt|wounded)|minor injuries",
    Harm.MISSING: r"missing|unaccounted for",
    Harm.TRAPPED: r"trapped|buried|stranded|stuck",
    Harm.INJURED: r"injured|hurt|wounded|injuries|injury|hospitali[sz]ed|poisoned|burned",
    Harm.DEAD: r"dead|killed|died|deaths?|fatalities|fatality|bodies|drowned|lost their lives",
}
_CAUSING = {
    Harm.DEAD: "killing|killed|kills",
    Harm.INJURED: "injuring|injured|injures",
    Harm.TRAPPED: "trapping|trapped|burying|buried",
    Harm.MISSING: "missing",
}
SHORT = {
    "死": Harm.DEAD,
    "亡": Harm.DEAD,
    "伤": Harm.INJURED,
    "联": Harm.MISSING,
    "踪": Harm.MISSING,
    "困": Harm.TRAPPED,
}
_BOTH = "伤亡"  # 伤亡5人: dead or injured, nobody says which
_BREAK = "，。；、！？,;!?\n0-9０-９一二两三四五六七八九十百千"
_COUNTER = "名|个人|个|位|人|口人|口|户|家人|家"
_ROSE = f"(?:由|从)(?:{expression('o', 'zh')})(?:人|名)?(?:上升|增加|更正|修正|下降|减少|增|升|降|改|变)?(?:为|至|到)"
_GAP = (
    "(?:人数|人员|者)?(?:有|已|达|为|了|着|住|共|共计|各|更正为|修正为|核实为|升至|增至|上升至|上升到|"
    f"增加到|增加至|至|到|{_ROSE})*[:： ]*"
)


def _kinds(words: Mapping[Harm, str], prefix: str) -> str:
    return "|".join(f"(?P<{prefix}_{harm.value}>{pattern})" for harm, pattern in words.items())


_BOTH_ZH = {prefix: _kinds(ZH, prefix) + f"|(?P<{prefix}_both>{_BOTH})" for prefix in ("x", "y")}
ZH_PATTERN = re.compile(
    f"{expression('x', 'zh')}(?P<xunit>{_COUNTER})(?:[^{_BREAK}]{{0,10}}?)(?:{_BOTH_ZH['x']})"  # 2名工人当场死亡
    f"|(?<!人){expression('c', 'zh')}(?P<short>死|伤|亡|失联|失踪|被?困)(?![者残口角])"  # 两死三伤
    f"|(?:{_BOTH_ZH['y']}){_GAP}{expression('y', 'zh')}(?P<yunit>{_COUNTER})?"  # 死亡2人, 死亡人数由2人升至3人
)
_PEOPLE = (
    r"(?:\s+(?:more|others?|people|persons?|workers?|miners?|men|man|women|woman|children|child|residents?|villagers?|students?"
    r"|passengers?|drivers?|tourists?|of them|households?|families|family|firefighters?|pupils?|staff|employees|sailors?|crew"
    r"|members?|hikers?|climbers?|fishermen|guests?|patients?|elderly|girls?|boys?|babies|soldiers?|officers?|civilians?))*"
)
_BEING = (
    r"(?:\s+(?:were|are|was|is|have|has|had|been|be|feared|believed|reported|reportedly|confirmed|presumed|still|now|already"
    r"|got|remain|remains))*"
)
EN_PATTERN = re.compile(
    rf"\b{expression('x', 'en')}(?P<xwho>{_PEOPLE}){_BEING}\s+(?:{_kinds(EN, 'x')})\b"
    rf"|\b(?:{_kinds(_CAUSING, 'y')})\s+{expression('y', 'en')}(?P<ywho>{_PEOPLE})\b"
    r"|\b(?:(?P<z_dead>death toll|deaths|dead|fatalities)|(?P<z_injured>injuries|injured)|(?P<z_missing>missing)"
    r"|(?P<z_trapped>trapped))(?:\s*[:=]\s*|\s+(?:is|of|now|stands at|at|has|risen|rises|rose|reaches|to|climbs)\b)+\s*"
    rf"{expression('z', 'en')}",
    re.IGNORECASE,
)
SOME_ZH = re.compile(
    "(?<![没否无])有(?:人员|人|群众|工人|村民|居民|学生|乘客|老人|孩子|登山者|游客)(?:[^，。；、！？,;!?\n0-9]{0,3}?)"
    f"(?:{_kinds(ZH, 'x')})"
)  # 有人被埋: one at least
NOBODY_ZH = re.compile(
    "(?<!有)(?:暂?无|暂?未|尚无|尚未|没有?|未见|无一)(?:造成|发现|接到|发生|出现|收到|报告|有)?"
    "(?P<who>任何人员|人员|人|群众|任何人|任何)?的?"
    "(?P<what>(?:伤亡|死亡|受伤|被困|失联|失踪|遇难|死|伤)"
    "(?:(?:和|或|、|及|与)?(?:伤亡|死亡|受伤|被困|失联|失踪|财产损失))*)"
)
NOBODY_EN = re.compile(
    r"\b(?:no|without|zero)\s+"
    r"(?:reported\s+|reports of\s+|known\s+|one\s+(?:is|was|has been)\s+|people\s+(?:are|were)\s+)*"
    r"(?P<what>casualties|casualty|injuries|injured|deaths|fatalities|dead|hurt|killed|trapped|missing|injury|loss of life)"
    r"|\b(?:nobody|no one|none)(?:\s+(?:is|was|were|has been|got))*\s+"
    r"(?P<what2>hurt|injured|killed|dead|missing|trapped|died)",
    re.IGNORECASE,
)
UNKNOWN = re.compile(
    "(?:伤亡|人员)(?:人数|情况|数字)?(?:尚|暂|还)?"
    "(?:不详|不明|未知|待查|待核|待核实|正在核实|正在统计|核实中|统计中|不清楚|不太清楚|无法确认|未统计)"
    r"|casualt(?:ies|y)(?:\s+figures?)?\s+(?:are|is|remain)?\s*(?:still\s+|not\s+yet\s+)*"
    r"(?:unknown|unclear|not known|known|being verified|unconfirmed)",
    re.IGNORECASE,
)
BEFORE = re.compile(
    "(?:原报告?|原为|前报|此前(?:通报|报告|报)?|之前(?:通报|报告|报|说)?|初报|误报(?:为|成)?|曾报|昨日?报|先前(?:报告|报)?"
    "|不是|并非|而非|而不是"
    r"|previously(?: reported)?|earlier(?: reported)?|not|initially(?: reported)?|instead of)[为是:： ]*(?:有)?\s*$",
    re.IGNORECASE,
)
MENDED = re.compile(
    r"(?:人|名)?[^。；\n0-9一二三四五六七八九十]{0,6}"
    "(?:更正为|改为|修正为|上升至|增至|升至|增加到|上升到|应为|实为|corrected to|now|rises to)"
    rf"\s*{expression('m', 'zh')}(?:人|名)",
)
OVERRIDE = re.compile(
    "更正|经核实|核实后|经核查|实际|修正|有误|准确数字|correction|corrected|in fact", re.IGNORECASE
)
LOSS = re.compile(
    r"经济损失[^0-9。，,\n]{0,6}(?P<n>[0-9]{1,9}(?:\.[0-9]{1,4})?)\s*(?P<unit>亿|千万|百万|万)?元"
)
LOSS_UNIT = {"亿": 10**8, "千万": 10**7, "百万": 10**6, "万": 10**4}
