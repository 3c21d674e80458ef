"""Bulletins that bear a mark of secrecy: held for the security officer, and nothing of them is seen or handed on."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from domain.person import Role
from domain.secrecy import NOBODY, Compartment
from hub.health import Trouble
from hub.quarantine import is_empty
from store import purges, reports, shelf
from store.reports import Filter
from store.tables_peers import bulletin, bulletin_arrival
from tests.bulletin_kit import xml
from tests.web.api_world import World
from tests.web.console_browser import add_person, enter
from tests.web.test_api_bulletins import push, read_all, told

MARK = "机密★1年".encode()
TEXT = "预计未来6小时有大暴雨。".encode()


def held(hall: World) -> list[Any]:
    """What lies on the shelf of the security officer."""
    hall.file_all()
    return hall.hub.store.read(lambda u: reports.page(u, Filter(is_marked=True), limit=9))


def wrapped(*alerts: bytes, around: bytes = b"") -> bytes:
    """An EDXL-DE envelope with alerts in it."""
    bare = [alert.partition(b"?>")[2] for alert in alerts]
    objects = b"".join(
        b"<contentObject>"
        + around
        + b"<xmlContent><embeddedXMLContent>"
        + one
        + b"</embeddedXMLContent></xmlContent></contentObject>"
        for one in bare
    )
    return (
        b'<EDXLDistribution xmlns="urn:oasis:names:tc:emergency:EDXL:DE:1.0">'
        + objects
        + b"</EDXLDistribution>"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TEXT, TEXT + MARK),
        (b"</info>", b"<parameter><valueName>x</valueName><value>" + MARK + b"</value></parameter></info>"),
        (b"<info>", b"<note>" + "绝　密 ⭐".encode() + b"</note><info>"),
        (b"</alert>", b"<more xmlns='urn:x' a='" + MARK + b"'/></alert>"),
    ],
)
def test_a_marked_bulletin_is_held_for_the_security_officer_wherever_its_mark_stands(
    hall: World, at, before: bytes, after: bytes
) -> None:
    body = xml("a", at)
    assert before in body
    answer = push(hall, body.replace(before, after, 1))
    read_all(hall.hub)
    assert hall.count(bulletin) == 0
    (one,) = held(hall)
    assert (one.channel, one.compartments) == ("peer", Compartment.MARKED)
    assert not is_empty(hall.hub.store)()  # what raises the alarm
    assert Trouble.SECRET_HELD in hall.hub.health.look().troubles
    assert told(hall, answer) | {"id": "", "received_at": ""} == {
        "id": "", "state": "read", "received_at": "", "reason": None, "bulletins": []}  # fmt: skip
    assert hall.get("officer", "/v1/bulletins?view=all").json()["data"] == []
    assert hall.get("officer", f"/v1/reports/{one.id}").status_code == 404
    add_person(hall, "guard", Role.SECURITY)
    guard = enter(hall, "guard")
    assert f"/console/reports/{one.id}" in guard.get("/console/quarantine").text
    assert guard.get(f"/console/reports/{one.id}").status_code == 200
    again = push(hall, body.replace(before, after, 1), **{"Tocsin-Signature": "v1 key=x audience=y value=z"})
    assert again.json()["state"] == "have_it"
    read_all(hall.hub)
    assert len(held(hall)) == 1


def test_its_bytes_lie_in_the_held_report_alone_and_go_with_its_keys(quick: World, at) -> None:
    push(quick, xml("a", at).replace(TEXT, TEXT + MARK))
    read_all(quick.hub)
    (one,) = held(quick)
    row = quick.hub.store.read(lambda u: u.row(sa.select(bulletin_arrival)))
    assert (row.raw, row.blob, len(row.sha256)) == (None, None, 64)
    quick.hub.store.run(lambda u: purges.destroy(u, one.id, at))
    assert quick.hub.store.read(lambda u: u.vault.left(u.connection, [one.id])) == {}


def test_what_came_with_it_counts_and_its_original_is_nobodys(quick: World, at) -> None:
    answer = push(quick, wrapped(xml("a", at), xml("b", at).replace(TEXT, MARK)))
    read_all(quick.hub)
    assert len(held(quick)) == 1
    (one,) = told(quick, answer)["bulletins"]
    assert (one["identifier"], one["is_in_force"]) == ("a", True)
    assert quick.get("officer", one["links"]["self"] + "/original").status_code == 404
    browser = enter(quick, "officer")
    assert browser.get(f"/console/bulletins/{one['id']}").status_code == 200
    assert browser.get(f"/console/bulletins/{one['id']}/original").status_code == 404
    assert browser.post(f"/console/bulletins/{one['id']}/report", {}).status_code == 404


def test_a_mark_on_the_envelope_is_one_of_all_that_is_in_it(quick: World, at) -> None:
    note = b"<contentDescription>" + MARK + b"</contentDescription>"
    push(quick, wrapped(xml("a", at), xml("b", at), around=note))
    read_all(quick.hub)
    assert (quick.count(bulletin), len(held(quick))) == (0, 1)


def test_json_and_the_words_alone_are_told_apart(quick: World, at) -> None:
    alert = {"identifier": "j", "sender": "w-nws.example", "sent": at.isoformat(), "status": "Test", "msgType": "Alert",
             "scope": "Public", "info": [{"language": "zh-CN", "category": ["Met"], "event": "暴雨", "urgency": "Immediate",
             "severity": "Severe", "certainty": "Likely", "x": "秘密★"}]}  # fmt: skip
    push(quick, json.dumps([alert]).encode(), kind="application/json")
    push(quick, xml("plain", at).replace(TEXT, "这不是秘密。".encode()))
    read_all(quick.hub)
    assert (quick.count(bulletin), len(held(quick))) == (1, 1)


@pytest.mark.parametrize("coding", ["utf-8", "gb18030"])
def test_what_nobody_can_read_and_is_marked_is_held_as_well(quick: World, coding: str) -> None:
    push(quick, ("<alert><identifier>机密★ 某工作").encode(coding))
    push(quick, b"<alert><identifier>x")
    read_all(quick.hub)
    (one,) = held(quick)
    assert "unparsed" in one.content.findings
    seen = quick.hub.store.seen_by(NOBODY).read(shelf.pending)
    assert [(row.kind, row.reason) for row in seen] == [("bulletin", "not_well_formed")]
