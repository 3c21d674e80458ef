"""Bulletins of two authorities that may tell of one event: scored by place, kind and time; an officer decides.

The score is a sum of three numbers from 0 to 1, none of which may be 0: without a common place, kind or time
there is no candidate.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from domain.place import covers
from store import bulletin_pairs, bulletins
from store.bulletins import Bulletin
from store.unit import Unit

WEIGHTS = {
    "area": 0.35,
    "event": 0.4,
    "time": 0.25,
}  # what happens says more than when: warnings run for hours
LIKELY = 0.6  # same category, same place and hour reach it; another place or kind does not
LOOKED_AT = 300  # bulletins in force that a new one is compared with
PAIRS = 5  # candidates of one bulletin: nobody decides more
NEAR = timedelta(hours=12)  # between two beginnings; farther apart only their overlap counts
BARE_OVERLAP = 0.3  # of the score of time, for two that overlap and begin far apart


def propose(unit: Unit, bulletin_id: str, at: datetime) -> int:
    """Enter the likeliest candidates of a bulletin that is in force; how many were new."""
    new = bulletins.get(unit, bulletin_id)
    if new is None or not new.is_in_force(at):
        return 0
    others = bulletins.comparable(unit, new, at, limit=LOOKED_AT)
    found = [
        (sum(WEIGHTS[name] * value for name, value in reasons.items()), other, reasons)
        for other in others
        if (reasons := compared(new, other)) is not None
    ]
    likely = sorted((one for one in found if one[0] >= LIKELY), key=lambda one: (-one[0], one[1].id))
    return sum(
        bulletin_pairs.propose(unit, new.id, other.id, round(score, 4), reasons, at)
        for score, other, reasons in likely[:PAIRS]
    )


def compared(one: Bulletin, other: Bulletin) -> Mapping[str, float] | None:
    """area, event and time of two bulletins, each above 0 to 1; None where one of them is 0."""
    reasons = {"area": _area(one.areas, other.areas), "event": _event(one, other), "time": _time(one, other)}
    return {name: round(value, 3) for name, value in reasons.items()} if all(reasons.values()) else None


def _area(one: Mapping[str, Sequence[object]], other: Mapping[str, Sequence[object]]) -> float:
    """The larger of: divisions that lie in each other, common codes of one scheme, boxes that overlap."""
    a, b = ([str(code) for code in x.get("divisions", ())] for x in (one, other))
    inside = sum(any(covers(q, p) or covers(p, q) for q in b) for p in a[:100])
    shared = {tuple(map(str, c)) for c in one.get("codes", ()) if isinstance(c, list)} & {
        tuple(map(str, c)) for c in other.get("codes", ()) if isinstance(c, list)
    }
    fewest = min(len(one.get("codes", ())), len(other.get("codes", ()))) or 1
    parts = [inside / len(a[:100]) if a and b else 0.0, min(1.0, len(shared) / fewest), _boxes(one, other)]
    return max(parts)


def _boxes(one: Mapping[str, Sequence[object]], other: Mapping[str, Sequence[object]]) -> float:
    """The largest part of the smaller of two boxes that lies in the other."""
    best = 0.0
    for p in one.get("boxes", ())[:50]:
        for q in other.get("boxes", ())[:50]:
            if isinstance(p, list) and isinstance(q, list):
                best = max(best, _overlap([float(x) for x in p], [float(x) for x in q]))
    return best


def _overlap(p: Sequence[float], q: Sequence[float]) -> float:
    high = min(p[2], q[2]) - max(p[0], q[0])
    wide = min(p[3], q[3]) - max(p[1], q[1])
    if high < 0 or wide < 0:
        return 0.0
    smaller = min((p[2] - p[0]) * (p[3] - p[1]), (q[2] - q[0]) * (q[3] - q[1]))
    return min(1.0, high * wide / smaller) if smaller > 0 else 1.0  # a point inside is inside


def _event(one: Bulletin, other: Bulletin) -> float:
    if one.event_code and (one.event_scheme, one.event_code) == (other.event_scheme, other.event_code):
        return 1.0
    if one.event and one.event.casefold() == other.event.casefold():
        return 0.9
    if (
        one.event_code
        and one.event_scheme == other.event_scheme
        and one.event_code[:3] == other.event_code[:3]
    ):
        return 0.7  # cn.eips: the class of the event, 11B of 11B03
    return 0.5 if one.category and one.category == other.category else 0.0


def _time(one: Bulletin, other: Bulletin) -> float:
    if one.starts_at > other.expires or other.starts_at > one.expires:
        return 0.0
    apart = abs(one.starts_at - other.starts_at) / NEAR
    return max(BARE_OVERLAP, 1.0 - apart)
