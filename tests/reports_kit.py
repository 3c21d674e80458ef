"""Reports in the queue without a parser: for tests of what becomes of them."""

from datetime import datetime
from typing import Any

from domain.report import Content, Fact, Inbound, Report, State
from intake import desk
from store import reports
from store.database import Store

_N = iter(range(1, 10**9))


def filed(store: Store, at: datetime, text: str, *, channel: str = "sms", sender: str = "+8613900000001",
          facts: dict[str, str] | None = None, **more: Any) -> str:  # fmt: skip
    """A report as filing leaves it; its id. `facts`: name -> value; `more`: further columns of Report."""
    inbound = Inbound(channel=channel, external_id=f"kit-{next(_N)}", raw=text.encode(), media_type="text/plain",
                      received_at=at, sender=sender)  # fmt: skip
    names = desk.mint_names(at)
    values = {"sender": sender, **(facts or {})}
    content = Content(text=text, language="zh",
                      facts={name: (Fact(value=value, origin="test"),) for name, value in values.items()})  # fmt: skip

    def work(unit: Any) -> str:
        kept = desk.receive(unit, inbound, names, at=at)
        report = Report(id=kept.report_id, code=kept.code, channel=channel, organisation="", handling=inbound.handling,
                        state=State.FILED, revision=1, received_at=at, filed_at=at, content=content, **more)  # fmt: skip
        reports.insert(unit, report, inbound_id=kept.inbound_id, by=f"door:{channel}", at=at)
        return kept.report_id

    return store.run(work)
