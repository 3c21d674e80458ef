"""What the duty room does with a bulletin: admits it or sets it apart, makes a report of it, drafts a release from it.

Nothing is made of a bulletin that is apart: an exercise never becomes a report of a live hub, nor a release.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from domain.bulletin import ADMISSIBLE, Apart, Standing
from domain.errors import IllegalMove, NotFound, Refused
from domain.events import SCHEME, event_types
from domain.person import Person, Role
from domain.release import Colour
from domain.report import Inbound, Kept
from intake import desk, same_event
from store import areas, bulletin_pairs, bulletins, journal, peers
from store.bulletins import Bulletin
from store.unit import Unit

OFFICERS = (Role.OFFICER, Role.LEADER, Role.APPROVER)
DRAFTERS = (Role.OFFICER, Role.APPROVER)
CHANNEL = "peer"
TEXT = 4_000  # characters of a bulletin that a draft shows


def make_report(
    unit: Unit, bulletin_id: str, *, get: Callable[[str], bytes], by: Person, at: datetime
) -> tuple[Kept, bool]:
    """A message in the queue that holds the bulletin as it came; what it is called, and whether it is new.

    `get` opens a blob. Made once: a second time answers with the first. Raises NotAllowed, NotFound,
    Refused(bulletin_apart).
    """
    by.must_be(*OFFICERS)
    one = _counting(unit, bulletin_id)
    row, raw = bulletins.arrival_of(unit, bulletin_id), bulletins.original(unit, bulletin_id, get)
    if row is None or raw is None:
        raise NotFound("no such bulletin")
    inbound = Inbound(
        channel=CHANNEL, external_id=bulletin_id, raw=raw,
        media_type=row.media_type[:120] or "application/octet-stream", received_at=at, sender=one.sender,
        meta={"bulletin": bulletin_id, "n": row.n, "arrival": row.id}, organisation=by.organisation,
    )  # fmt: skip
    kept = desk.receive(unit, inbound, desk.mint_names(at), blob=row.blob or "", at=at)
    if kept.is_fresh and bulletins.note_report(unit, bulletin_id, kept.report_id):
        journal.append(unit, "bulletin", bulletin_id, "make_report", by=by.id, at=at,
                       detail={"report": kept.report_id})  # fmt: skip
    return kept, kept.is_fresh


def draft_fields(unit: Unit, bulletin_id: str, zone: ZoneInfo, at: datetime) -> Mapping[str, Any]:
    """What a draft made from this bulletin begins with. Raises NotFound, Refused(bulletin_apart)."""
    one = _counting(unit, bulletin_id)
    codes = [str(code) for code in one.areas.get("divisions", ())]
    known = areas.names(unit, codes)
    infos = one.alert.get("infos") or [{}]
    colour = next((str(v).lower() for name, v in infos[0].get("parameters", ()) if name == "cn:color"), "")
    ends = one.expires if one.expires > at + timedelta(minutes=1) else None
    return {
        "from_bulletin": one.id,
        "areas": [code for code in codes if code in known],
        "event_code": event_code(one),
        "colour": colour if colour in {c.value for c in Colour} else "",
        "place": "、".join(str(name) for name in one.areas.get("names", ())[:5]),
        "onset": f"{one.starts_at.astimezone(zone):%Y-%m-%dT%H:%M}" if one.starts_at > at else "",
        "expires": f"{ends.astimezone(zone):%Y-%m-%dT%H:%M}" if ends else "",
        "text": str(infos[0].get("description", ""))[:TEXT],
    }


def event_code(one: Bulletin) -> str:
    """Our own code of its event; '' where it has another scheme's, or one that we do not know."""
    return one.event_code if one.event_scheme == SCHEME and one.event_code in event_types() else ""


def admit(unit: Unit, bulletin_id: str, *, by: Person, at: datetime) -> None:
    """It counts after all. Raises Refused for one that is apart by what it is, not by a doubt."""
    by.must_be(*OFFICERS)
    one = _known(unit, bulletin_id)
    if one.state is Standing.APART and Apart(one.apart) not in ADMISSIBLE:
        raise Refused("what it is sets it apart, not a doubt about it", code="bulletin_apart")
    bulletins.move(unit, one, "admit", by=by.id, at=at)
    same_event.propose(unit, bulletin_id, at)


def set_aside(unit: Unit, bulletin_id: str, *, reason: str, by: Person, at: datetime) -> None:
    """It counts no more. Raises IllegalMove when it does not count now."""
    by.must_be(*OFFICERS)
    bulletins.move(unit, _known(unit, bulletin_id), "set_aside", by=by.id, at=at, reason=reason[:500])


def decide_pair(unit: Unit, pair_id: str, action: str, *, by: Person, at: datetime) -> None:
    """Two bulletins tell of one event, or do not, or nobody has said so. Raises NotFound, IllegalMove, Conflict."""
    by.must_be(*OFFICERS)
    if action not in ("join", "part", "undo"):
        raise IllegalMove("no such decision")
    bulletin_pairs.decide(unit, pair_id, action, by=by.id, at=at)


def quarantine(unit: Unit, peer_id: str, since: datetime, *, by: Person, at: datetime) -> int:
    """Set apart all that a peer sent since then, and stop pulling it; how many there were (PROMISES H65)."""
    by.must_be(Role.ADMIN, Role.LEADER)
    peers.set_active(unit, peer_id, is_active=False, by=by.id, at=at)
    count = bulletins.quarantine(unit, peer_id, since, by=by.id, at=at)
    journal.append(unit, "peer", peer_id, "quarantine", by=by.id, at=at,
                   detail={"since": since.isoformat(), "count": count})  # fmt: skip
    return count


def _known(unit: Unit, bulletin_id: str) -> Bulletin:
    found = bulletins.get(unit, bulletin_id)
    if found is None:
        raise NotFound("no such bulletin")
    return found


def _counting(unit: Unit, bulletin_id: str) -> Bulletin:
    found = _known(unit, bulletin_id)
    if found.state is not Standing.CURRENT:
        raise Refused("nothing is made of a bulletin that is set apart", code="bulletin_apart")
    return found
