"""No page of the desk walks all reports there are: a queue is as fast with a million closed ones behind it."""

import re
from typing import Any

import sqlalchemy as sa

from tests.web.api_world import World
from tests.web.console_browser import enter

LARGE = ("report", "inbound", "report_version", "journal", "delivery", "data_key")  # grow for ever
VIEWS = ("open", "filed", "mine", "claimed", "verified", "handed", "closed", "all", "aside")
PAGES = (
    "/console/briefs", "/console/bulletins", "/console/clocks", "/console/degraded", "/console/field",
    "/console/handovers", "/console/incidents", "/console/peers", "/console/recipients", "/console/releases",
    "/console/senders", "/console/shelf", "/console/shift",
)  # fmt: skip


def test_no_page_of_the_desk_walks_a_table_that_grows_for_ever(quick: World) -> None:
    report = quick.post("department", "/v1/reports", {"text": "青石县大坪村滑坡"}).json()["id"]
    quick.file_all()
    asked: dict[str, Any] = {}

    @sa.event.listens_for(quick.hub.store._reader, "before_cursor_execute")
    def _hear(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.setdefault(statement, values)

    officer = enter(quick, "officer")
    paths = [f"/console?view={view}{channel}" for view in VIEWS for channel in ("", "&channel=sms")]
    for path in (*paths, f"/console/reports/{report}", "/readyz", *PAGES):
        assert officer.get(path).status_code in (200, 404), path
    for narrowed in ("area=990101", "area=65&status=closed", "area=990101&aside=true", "channel=sms&area=33"):
        assert quick.get("officer", f"/v1/reports?{narrowed}").status_code == 200, narrowed
    walked = []
    with quick.hub.store._reader.connect() as connection:
        for statement, values in list(asked.items()):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            walked += [
                (line.detail, statement) for line in plan
                if "ORDER BY journal.seq DESC" not in statement  # its own order, from its end
                and re.fullmatch(rf"SCAN (?:{'|'.join(LARGE)})(?:_\d+)?", line.detail)
            ]  # fmt: skip
    assert len(asked) > 60
    assert not walked, "\n".join(f"{detail}: {statement}" for detail, statement in walked)
