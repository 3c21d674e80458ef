"""A superior hub hands a report down by mail; the hub below has it in its queue, and signs for it, late."""

import re
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

from domain.report import Report
from domain.routing import HandoverState
from duty import handovers as duty
from tests.corpus.mail_hub import open_door
from tests.servers import free_port
from tests.walks.test_peers_walk import run
from tests.web.api_world import world
from tests.web.citizen_kit import FORM
from tests.web.console_browser import enter, words
from tests.web.test_handovers import FLOOD, all_reports, bodies, now
from tests.web.test_two_way import text_in

BELOW = "zhiban@xian.example"


def place_in(report: Report) -> str:
    """The path of the page at which the superior's order is signed for."""
    found = re.search(r"(/handover/\S+)", report.content.text)
    assert found, report.content.text
    return found[1]


def test_r19_an_order_to_a_hub_below_that_nobody_signs_is_escalated_by_its_clock_and_signed_late(
    sqlite_model: Path, tmp_path: Path, at: datetime
) -> None:
    below_told = {"email_domain": "xian.example", "smtp_port": free_port()}
    relay = {"email_relay_host": "127.0.0.1", "email_relay_port": below_told["smtp_port"],
             "email_relay_tls": "never", "email_domain": "sheng.example"}  # fmt: skip
    with (
        world(tmp_path / "below", at, model=sqlite_model, **below_told) as below,
        open_door(below.hub) as door,
        world(tmp_path / "above", at, model=sqlite_model, **relay) as above,
    ):
        body = {"name": "示例县值班室", "channel": "email", "address": BELOW, "minutes": "20"}
        enter(above, "leader").follow("/console/handovers/add_body", body)
        text_in(above, FLOOD, 1)
        (report,) = all_reports(above)
        order = {"body": bodies(above)["示例县值班室"], "why": "请核实处置"}
        enter(above, "officer").follow(f"/console/reports/{report.id}/hand_over", order)
        run(above)
        run(above)  # the same round again sends nothing twice
        door.file()
        (arrived,) = all_reports(below)
        assert arrived.channel == "email" and FLOOD not in arrived.content.text
        for one in (above, below):
            one.clock.forward(minutes=21)
        for _ in range(2):
            duty.tick(above.hub.store, above.clock())
        late = now(above, report.id)
        assert (late.state, late.escalated_at) == (HandoverState.SENT, above.clock())
        assert "逾期未签收" in words(enter(above, "officer").get("/console/handovers").text)
        signed = above.client.post(
            place_in(arrived), content=urlencode({"act": "sign", "who": "县里王五"}).encode(), headers=FORM
        )
        assert signed.status_code < 400
        after = now(above, report.id)
        assert (after.state, after.signed_by, after.signed_way) == (HandoverState.SIGNED, "县里王五", "link")
        assert after.escalated_at == late.escalated_at  # what was late stays late
