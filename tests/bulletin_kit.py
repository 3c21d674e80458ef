"""Alerts of peers, written small, and rows around them."""

from datetime import datetime, timedelta
from typing import Any

from channels.codecs.cap import Alert, Area, Info, Named, Reference, build
from domain.bulletin import Said
from domain.handling import Mode
from store import peers
from store.bulletins import Around
from store.database import Store

SENDER = "w-nws.example"


def alert(
    identifier: str, at: datetime, *, sender: str = SENDER, status: str = "Test", msg_type: str = "Alert",
    scope: str = "Public", references: tuple[Reference, ...] = (), code: str = "11B03", area: str = "990101",
    lasts: timedelta = timedelta(hours=6), **more: Any,
) -> Alert:  # fmt: skip
    """A rain warning. `more`: further fields of the alert; `infos=()` for one without any."""
    info = Info(
        language="zh-CN", categories=("Met",), event="暴雨", urgency="Immediate", severity="Severe", certainty="Likely",
        event_codes=(Named(name="cn.eips", value=code),), effective=at, expires=at + lasts, sender_name="示例省气象台",
        headline=f"示例省气象台发布暴雨橙色预警 {identifier}", description="预计未来6小时有大暴雨。", instruction="请勿外出。",
        areas=(Area(description="甲一区", geocodes=(Named(name="GB/T2260", value=area),)),),
    )  # fmt: skip
    values = {"infos": (info,), **more}
    return Alert(identifier=identifier, sender=sender, sent=at, status=status, msg_type=msg_type, scope=scope,
                 references=references, **values)  # fmt: skip


def xml(identifier: str, at: datetime, **more: Any) -> bytes:
    """As the file that a peer sends."""
    return build(alert(identifier, at, **more), zone=at.tzinfo)


def refer(identifier: str, at: datetime, sender: str = SENDER) -> Reference:
    """To an earlier message."""
    return Reference(sender=sender, identifier=identifier, sent=at)


def said(identifier: str, at: datetime | None, **more: Any) -> Said:
    """What the sandbox would tell of an alert."""
    usual = {
        "sender": SENDER, "sent_as": at.isoformat() if at else "", "status": "Test", "msg_type": "Alert", "scope": "Public",
        "format": "1.2", "event_scheme": "cn.eips", "event_code": "11B03", "event": "暴雨", "headline": identifier,
        "severity": "Severe", "category": "Met", "expires": at + timedelta(hours=6) if at else None,
        "areas": {"names": ["甲一区"], "codes": [["GB/T2260", "990101"]], "divisions": ["990101000000"], "boxes": [],
                  "polygons": [], "circles": []},
        "digest": f"{identifier}{at}{more.get('text', '')}",
    }  # fmt: skip
    more.pop("text", None)
    return Said(identifier=identifier, sent=at, **usual | more)


def a_peer(store: Store, at: datetime, name: str = "peer-one") -> str:
    """One that pushes; its id."""
    store.run(lambda unit: peers.ensure_push(unit, name, name, at))
    return name


def around(
    at: datetime, n: int, *, arrival: str, peer: str = "peer-one", mode: Mode = Mode.DEMO, **more: Any
) -> Around:
    """Entered from the `n`-th place of an arrival."""
    usual = {"ourselves": "tocsin@us.example", "senders": ()}
    return Around(arrival=arrival, peer=peer, n=n, mode=mode, received_at=at, **usual | more)
