"""From what a report says to where it may be: candidates in order, and the area that all good ones share."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from unicodedata import normalize

from domain import position
from domain.divisions import level, lies_in
from domain.errors import BadInput
from domain.place import canonical
from domain.report import Content
from domain.whereabouts import DEVICE, LANDMARK, Kind, Place, Why, radius, shared
from intake.gazetteer import READ_MAX, Gazetteer, Mention, Sense

KEPT = 8  # candidates; more are no help to anybody
MENTIONS = 60  # of a text; a list of all counties names no place
SURE = 0.4  # from here on a candidate counts as found
CLEAR = 1.5  # times better than the next: decided
STRONG, WEAK, BARE = 0.9, 0.6, 0.15  # a name with its ending; a short form; an everyday word
BEHIND = 3  # letters between 甲市 and the 甲一区 that it explains
_WEIGHT = {
    "place": 1.0,
    "subject": 0.95,
    "text": 0.9,
    "document": 0.85,
}  # who is asked for the place names it; a text also tells of others
_LOCAL = re.compile(
    r"(?:[\u4e00-\u9fff0-9A-Za-z]{1,8}?(?:村委会|村|社区|小区|组|屯|寨|路|街|大道|巷|弄|号|大桥|桥|隧道|水库|煤矿|矿|学校|医院|广场|市场))+"
)
_HERE = re.compile(r"(?:在|位于|地点[:：]?|地址[:：]?|发生于| in | at | near )\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Candidates, the best first, and the area they leave no doubt about: '' when it is ambiguous."""

    places: tuple[Place, ...]
    area: str


@dataclass(frozen=True, slots=True)
class _Said:
    source: str
    origin: str
    text: str
    mention: Mention


def locate(content: Content, gazetteer: Gazetteer) -> Located:
    """Every candidate place of a report; any text will do, and none raises."""
    given = list(_given(content, gazetteer))
    known = {p.code for p in given if p.kind is Kind.AREA}
    places = [*given, *(p for p in _named(content, gazetteer) if p.code not in known)]
    places.sort(key=lambda p: -p.score)
    kept = tuple(places[:KEPT])
    return Located(places=kept, area=_agreed(kept))


def in_text(text: str, gazetteer: Gazetteer) -> Located:
    """The same for a bare text."""
    return locate(Content(text=text, language="und", facts={}), gazetteer)


def _given(content: Content, gazetteer: Gazetteer) -> Iterable[Place]:
    """What was said as a code or in degrees."""
    keyed = [f for f in content.facts.get("place", ()) if f.origin == "keypad"]  # its note holds the digits
    for fact in (*content.facts.get("area", ()), *keyed):
        digits = fact.note if fact.origin == "keypad" and fact.note else fact.value
        if code := _code(digits):
            lat, lon = gazetteer.points.get(code, (None, None))
            yield Place(
                kind=Kind.AREA, code=code, name=gazetteer.name(code), lat=lat, lon=lon, accuracy=radius(code),
                origin=fact.origin, score=1.0, words=digits[:40], source="area", why=(Why.GIVEN,),
            )  # fmt: skip
    for fact in content.facts.get("position", ()):
        named = (
            "" if fact.origin == "exif" else fact.note
        )  # a picture's note is its name, which a stranger gave it
        if point := position.read(fact.value, named):
            code = nearest(point.lat, point.lon, gazetteer)
            datum = "" if point.given_as is position.Datum.WGS84 else point.given_as.value
            yield Place(
                kind=Kind.POSITION, code=code, name=gazetteer.name(code) if code else "", lat=point.lat,
                lon=point.lon, accuracy=point.accuracy or DEVICE, origin=fact.origin, score=0.95,
                words=fact.value[:80], source="position", detail=datum,
                why=(Why.GIVEN, Why.NEAREST) if code else (Why.GIVEN,),
            )  # fmt: skip


def _code(text: str) -> str:
    try:
        return canonical(text.strip())
    except BadInput:
        return ""


def nearest(lat: float, lon: float, gazetteer: Gazetteer) -> str:
    """The county whose middle is nearest; where a second is nearly as near, what both lie in; '' far from all."""
    near: list[tuple[float, str]] = []
    for code, (y, x) in gazetteer.points.items():
        if abs(y - lat) < 1 and abs(x - lon) < 1.5 and level(code) == 6:
            near.append((position.distance((lat, lon), (y, x)), code))
    near.sort()
    if not near or near[0][0] > 2 * radius(near[0][1]):
        return ""
    if len(near) > 1 and near[1][0] < 2 * near[0][0]:
        return shared([near[0][1], near[1][1]])
    return near[0][1]


def _named(content: Content, gazetteer: Gazetteer) -> list[Place]:
    said = [
        _Said(source, origin, text, mention)
        for source, origin, text in _texts(content)
        for mention in gazetteer.mentions(text)[:MENTIONS]
    ]
    senses = [_outermost(s.mention.senses) for s in said]
    every = {sense.code for each in senses if len(each) <= KEPT for sense in each}
    found: dict[str, Place] = {}
    rank = 0
    for n, one in enumerate(said):
        candidates = _weighed(one, senses[n], said[:n], senses[:n], every, gazetteer)
        if not candidates:
            continue
        if any(_explains(one, later, senses[n], senses[m]) for m, later in _next(said, n)):
            continue  # 甲市 in front of 甲一区 says where that is, and is no place of its own
        later = 0.8 ** min(rank, 4)
        rank += 1
        here = 1.15 if _HERE.search(one.text[max(0, one.mention.start - 8) : one.mention.start]) else 1.0
        for place in candidates:
            why = (*place.why, Why.LATER) if later < 1 else place.why
            score = round(min(0.99, place.score * later * here * _WEIGHT[one.source]), 3)
            key = f"{place.code}{place.kind}{place.name if place.kind is Kind.LANDMARK else ''}"
            if key not in found or found[key].score < score:
                found[key] = replace(place, score=score, why=why)
    return _innermost(list(found.values()))


def _texts(content: Content) -> Iterable[tuple[str, str, str]]:
    for name in ("place", "subject"):
        for fact in content.facts.get(name, ()):
            yield name, fact.origin, normalize("NFC", fact.value[:READ_MAX])
    yield "text", "text", normalize("NFC", content.text[:READ_MAX])
    for fact in content.facts.get("document", ()):
        yield "document", fact.origin, normalize("NFC", fact.value[:READ_MAX])


def _outermost(senses: tuple[Sense, ...]) -> tuple[Sense, ...]:
    """A short form means the largest of that name: 长沙 the city and not its county, 河北 the province and no district."""
    if len(senses) == 1 or not all(s.is_weak for s in senses):
        return senses
    largest = min(level(s.code) for s in senses)
    return tuple(s for s in senses if largest > 4 or level(s.code) == largest)


def _weighed(
    one: _Said, senses: tuple[Sense, ...], before: Sequence[_Said], before_senses: Sequence[tuple[Sense, ...]],
    every: set[str], gazetteer: Gazetteer,
) -> list[Place]:  # fmt: skip
    """What one name may mean, each with its score and what speaks for it."""
    left, why = senses, []
    outer = _directly_before(one, before, before_senses)
    inside = tuple(s for s in left if any(_is_inside(s, o) for o in outer))
    base = WEAK if left[0].is_weak or one.mention.is_heard else STRONG
    if inside:
        left, base = inside, 0.8 if one.mention.is_heard else 0.95
        why.append(Why.INSIDE_NAMED)
    elif one.mention.is_word:
        return []
    else:
        named = tuple(s for s in left if any(o != s.code and lies_in(s.code, o) for o in every))
        if named and len(named) <= len(left):
            left = named
            base = max(base, 0.8)
            why.append(Why.INSIDE_NAMED)
    home = gazetteer.home
    at_home = tuple(s for s in left if home and s.code.startswith(home))
    if at_home:
        left = at_home
        why.append(Why.AT_HOME)
    if senses[0].is_weak and not why and level(senses[0].code) > 6:
        base = BARE  # 开发区, 新镇: alone it may be anywhere
    if one.mention.is_speaker:
        base *= 0.7
    grounds = (*why, *_grounds(one.mention, len(left)))
    return [_place(one, sense, base / len(left) ** 0.5, grounds, gazetteer) for sense in left[:KEPT]]


def _grounds(mention: Mention, left: int) -> Iterable[Why]:
    """What the name itself says for and against."""
    if left > 1:
        yield Why.ONE_OF_SEVERAL
    elif len(_outermost(mention.senses)) == 1:
        yield Why.ONLY_ONE
    if mention.senses[0].is_weak:
        yield Why.SHORT_FORM
    if mention.is_heard:
        yield Why.SOUNDS_LIKE
    if mention.is_speaker:
        yield Why.SPEAKER


def _directly_before(one: _Said, before: Sequence[_Said], senses: Sequence[tuple[Sense, ...]]) -> set[str]:
    """The codes of the names that stand right in front of this one, as far as they go: 示例省甲市甲一区."""
    found: set[str] = set()
    start = one.mention.start
    for said, each in zip(reversed(before), reversed(senses), strict=True):
        if said.text is not one.text or said.source != one.source or start - said.mention.end > BEHIND:
            break
        found |= {s.code for s in each}
        start = said.mention.start
    return found


def _next(said: Sequence[_Said], n: int) -> list[tuple[int, _Said]]:
    return [(m, said[m]) for m in range(n + 1, min(n + 2, len(said)))]


def _explains(one: _Said, later: _Said, senses: tuple[Sense, ...], inner: tuple[Sense, ...]) -> bool:
    is_near = later.text is one.text and 0 <= later.mention.start - one.mention.end <= BEHIND
    return is_near and any(_is_inside(i, s.code) for i in inner for s in senses if s.landmark < 0)


def _is_inside(inner: Sense, outer: str) -> bool:
    """A landmark lies in its division too."""
    return lies_in(inner.code, outer) and (inner.code != outer or inner.landmark >= 0)


def _place(one: _Said, sense: Sense, score: float, why: tuple[Why, ...], gazetteer: Gazetteer) -> Place:
    start, end = one.mention.start, one.mention.end
    local = _LOCAL.match(one.text[end : end + 40])
    lat, lon = gazetteer.points.get(sense.code, (None, None))
    found = Place(
        kind=Kind.AREA, code=sense.code, name=gazetteer.name(sense.code), lat=lat, lon=lon,
        accuracy=radius(sense.code), origin=one.origin, score=score, words=one.text[start:end],
        source=one.source, start=start, end=end, detail=local[0] if local else "", why=why,
    )  # fmt: skip
    if sense.landmark < 0:
        return found
    mark = gazetteer.landmarks[sense.landmark]
    found = replace(found, kind=Kind.LANDMARK, name=mark.name)
    return found if mark.lat is None else replace(found, lat=mark.lat, lon=mark.lon, accuracy=LANDMARK)


def _innermost(places: list[Place]) -> list[Place]:
    """Without what another good candidate lies in: 甲市 named in the headline of what happened in 甲一区."""
    good = [p for p in places if p.score >= SURE]
    return [
        p for p in places
        if not any(
            (q.code != p.code or q.kind is Kind.LANDMARK) and lies_in(q.code, p.code) and p.kind is Kind.AREA
            and q.score > p.score / 2
            for q in good
        )
    ]  # fmt: skip


def _agreed(places: Sequence[Place]) -> str:
    """The smallest area that every good candidate lies in, when there is one."""
    good = [p for p in places if p.score >= SURE and p.code]
    if not good:
        return ""
    close = [p.code for p in good if p.score * CLEAR > good[0].score]
    deeper = [c for c in close if not any(o != c and lies_in(o, c) for o in close)]
    return shared(deeper) or (close[0] if len(set(close)) == 1 else "")


def by_name(places: Iterable[Place]) -> Mapping[str, Place]:
    """code -> the best candidate of that code."""
    found: dict[str, Place] = {}
    for place in places:
        found.setdefault(place.code, place)
    return found
