"""What two reports are compared by, worked out once for each: time, place, kind, what is named, what is said."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from domain.report import Report
from intake.same.counted import Counted, counted
from intake.same.kinds import BY_CLASS, kinds
from intake.same.named import Named, named
from intake.same.occurred import occurred
from intake.same.rarity import pieces

FORM = 3  # of a sketch; one of another form is made anew
SAID = 600  # characters that are compared word by word
DOCUMENT = 2_000  # characters of a document that are read: what happened stands on its first page
_POSITION = re.compile(r"(-?[0-9]{1,3}(?:\.[0-9]+)?),(-?[0-9]{1,3}(?:\.[0-9]+)?)")
_LATER = re.compile(
    "续报|终报|核报|补报|截至|更正|上升(?:到|至)|升至|增至|后续|还(?:没|有|在)|那个|那些|又(?:有|挖|刨|救|找|抬)|灭了|扑灭|救出|找到|找见|打捞上|"
    "怎么样了|(?:救|捞|挖|刨|抬|接)(?:上来|出来|到|起)|(?:通|灭|挖开|修好|来|好|退|停)了?(?:没有|没(?=$|[，。？?])|吗)|昨天|昨晚|昨夜|昨日|前天|前晚|以后|"
    "控制|恢复|解除|抢通|获救|脱险|转移|营救|已(?!经)|找着|寻着|送(?:医|往|到|去)|收治|家属|已于|已由|已全部|什么时候|"
    "update|found|rescued|dug out|everyone (?:is )?(?:off|out|safe)|last night|yesterday|contained|after the|has admitted",
    re.I,
)
_AGAIN = re.compile(
    "(?:又|再次|再度|也)(?:出事|停电|停了|停水|着火|起火|失火|塌|垮|滑坡|涨|漏|爆|翻|撞|冒|有落石|下|发生|淹|开始)|"
    "今天又|今早又|昨天才|前天才|\\banother\\b|\\bagain\\b",
    re.I,
)
_HARM = re.compile(
    "(?<!没)(?<!无)(?<!没有)(?<!没人)(?<!无人)(?<!人员)受?伤(?:了|者|员|势|[0-9]|得|到(?!人))|流(?:了好多)?血|死(?:了|者|亡)|遇难|没气|重伤|骨折|断了腿|腿断|头破|不动了?|昏(?:迷|倒)|埋了|"
    "躺|injur|bleed|killed|\\bdead (?!fish|pig)|unconscious|hurt(?!s)",
    re.I,
)
_HARMLESS = re.compile(
    "没(?:有)?(?:人)?(?:伤|砸|受伤)(?:到|着)?(?:人|$|[，。])|没伤|无(?:人员?)?(?:受)?伤(?:亡)?|没(?:得|有)?人(?:受)?伤|没事|没砸到|擦伤|皮外伤|不大|"
    "nobody (?:is |was )?hurt|no (?:one|casualt|injur)|both fine|safe",
    re.I,
)
_SILENT = re.compile(r"[\s\W_]+")
_NAMED = ("places", "towns", "regions", "sites", "bare")
_COUNTED = ("marks", "roads", "units", "floors", "things", "vehicles", "who", "counts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """One report, ready to be compared."""

    at: int  # minutes since the epoch when it arrived
    begins: int  # it happened between these
    ends: int
    is_timed: bool  # the text says when
    clock: int | None  # when it says so to the minute
    area: str  # division code as far as it is known; '' unknown
    position: tuple[float, float] | None  # latitude, longitude
    kinds: frozenset[str]
    named: Named
    counted: Counted
    rare: frozenset[str]  # pieces that tell something when two share them
    harm: str  # 'some', 'none'; '' when the text does not say
    stage: str  # 'later': it goes on about what was told before; 'again': it happened once more
    said: str
    sender: str  # a blind index; '' for a department or nobody

    def to_json(self) -> bytes:
        """For the store, which seals it."""
        data = asdict(self)
        data["kinds"] = sorted(self.kinds)
        data["rare"] = sorted(self.rare)
        data["named"] |= {name: sorted(data["named"][name]) for name in _NAMED}
        data["counted"] = {name: sorted(data["counted"][name]) for name in _COUNTED}
        return json.dumps({"form": FORM, **data}, ensure_ascii=False, separators=(",", ":")).encode()


def from_json(raw: bytes) -> Sketch | None:
    """None for one of another form."""
    data: dict[str, Any] = json.loads(raw)
    if data.pop("form") != FORM:
        return None
    names = data["named"] | {name: frozenset(data["named"][name]) for name in _NAMED}
    counts = {name: frozenset(data["counted"][name]) for name in _COUNTED}
    data |= {"kinds": frozenset(data["kinds"]), "rare": frozenset(data["rare"])}
    data |= {"named": Named(**names), "counted": Counted(**counts)}
    data["position"] = tuple(data["position"]) if data["position"] else None
    return Sketch(**data)


def sketch(report: Report, zone: ZoneInfo, sender: str = "") -> Sketch:
    """What `report` is compared by; `sender`: blind index of who sent it."""
    content = report.content
    documents = (fact.value[:DOCUMENT] for fact in content.facts.get("document", ()))  # 详见附件
    parts = (content.first("subject"), content.first("place"), content.text, *documents)
    text = "\n".join(part for part in parts if part)
    span = occurred(text, report.received_at, zone)
    found, names = kinds(text), named(text)
    if not found and report.event_code[:3] in BY_CLASS:
        found = frozenset({BY_CLASS[report.event_code[:3]]})
    return Sketch(at=_minutes(report.received_at), begins=_minutes(span.begins), ends=_minutes(span.ends),
                  is_timed=span.is_said, clock=_minutes(span.clock) if span.clock else None,
                  area=report.area.rstrip("0") if report.area else "",
                  position=_position(content.first("position")), kinds=found, named=names, counted=counted(text),
                  rare=pieces(text[:4000]), harm=_harm(text), stage=_stage(text),
                  said=_SILENT.sub("", text).lower()[:SAID], sender=sender)  # fmt: skip


def _stage(text: str) -> str:
    return "again" if _AGAIN.search(text) else "later" if _LATER.search(text) else ""


def _harm(text: str) -> str:
    return "none" if _HARMLESS.search(text) else "some" if _HARM.search(text) else ""


def _minutes(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _position(value: str) -> tuple[float, float] | None:
    found = _POSITION.fullmatch(value.replace(" ", ""))
    return (float(found[1]), float(found[2])) if found else None
