"""POST /v1/bulletins and what is read of them: kept before it is answered, refused with a reason, never lost."""

import json
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.codecs import bulletin_seal
from hub.wiring import Hub
from intake import bulletins as intake
from store import arrivals, journal, peers, shelf
from store.tables_peers import bulletin, bulletin_arrival
from tests.bulletin_kit import refer, xml
from tests.web.api_world import World
from tests.web.console_browser import enter

CAP = "application/cap+xml"


def push(hall: World, body: bytes, *, who: str = "peer", kind: str = CAP, **headers: str) -> Any:
    return hall.client.post(
        "/v1/bulletins", content=body, headers=hall.headers(who, **{"Content-Type": kind}, **headers)
    )


def read_all(hub: Hub) -> None:
    """What the workers would do."""
    for arrival_id in hub.store.read(lambda unit: arrivals.due(unit, hub.clock())):
        hub.peers.reader.read(arrival_id)


def shelved(hall: World) -> list[str]:
    return [row.reason for row in hall.hub.store.read(shelf.pending)]


def told(hall: World, answer: Any) -> dict[str, Any]:
    """What became of a push."""
    body: dict[str, Any] = hall.get("peer", answer.headers["location"]).json()
    return body


def test_a_bulletin_is_kept_before_it_is_answered_and_the_same_again_is_had_already(hall: World, at) -> None:
    body = xml("a", at)
    first = push(hall, body)
    assert (first.status_code, first.json()["state"]) == (202, "received")
    assert hall.rings == [("read_bulletin", first.json()["id"])]
    again = push(hall, body)
    assert (again.status_code, again.json()["state"], again.json()["id"]) == (
        200,
        "have_it",
        first.json()["id"],
    )
    assert hall.count(bulletin_arrival) == 1
    read_all(hall.hub)
    (one,) = told(hall, first)["bulletins"]
    assert (one["identifier"], one["is_in_force"], one["errors"], one["event_code"]["code"]) == (
        "a",
        True,
        0,
        "11B03",
    )
    assert push(hall, body).status_code == 200
    other = push(hall, body, who="peer2")  # the same from elsewhere: kept as it came, and no second bulletin
    assert other.status_code == 202
    read_all(hall.hub)
    assert hall.count(bulletin) == 1


def test_what_breaks_a_rule_is_stored_with_its_findings(quick: World, at) -> None:
    body = xml("a b", at).replace(b"<scope>Public</scope>", b"<scope>Publik</scope>")
    answer = push(quick, body)
    read_all(quick.hub)
    (one,) = told(quick, answer)["bulletins"]
    assert one["errors"] >= 2
    whole = quick.get("officer", one["links"]["self"]).json()
    assert {"CAP-R01", "CAP-R25"} <= {f["rule"] for f in whole["findings"]}
    assert (whole["identifier"], whole["apart"]) == ("a b", "not_for_all")
    assert quick.get("officer", whole["original"]["href"]).content == body


def test_h54_h55_bombs_are_refused_with_their_reason_and_lie_on_the_shelf(quick: World, at) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "y">]>' + xml("a", at)
    answer = push(quick, bomb)
    assert (answer.status_code, answer.json()["code"]) == (422, "doctype")
    answer = push(quick, b"<alert>" + b"x" * (1 << 20))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    deep = push(quick, b"<a>" * 3000 + b"</a>" * 3000)
    assert deep.status_code == 202
    read_all(quick.hub)
    assert told(quick, deep) | {"id": "", "received_at": ""} == {
        "id": "", "state": "shelved", "received_at": "", "reason": "too_deep", "bulletins": []}  # fmt: skip
    assert sorted(shelved(quick)) == ["doctype", "too_deep", "too_large"]
    for _ in range(60):
        push(quick, bomb)
    assert len(shelved(quick)) == 51  # a peer cannot fill the shelf: 50 a day


def test_what_is_no_bulletin_is_answered_clearly(quick: World, at) -> None:
    assert push(quick, b"  \n").json()["code"] == "empty"
    assert push(quick, xml("a", at), kind="text/html").status_code == 415
    assert push(quick, xml("a", at), who="department").json()["code"] == "scope_missing"
    assert (
        quick.client.post("/v1/bulletins", content=xml("a", at), headers={"Content-Type": CAP}).status_code
        == 401
    )
    assert push(quick, b'{"a": 1}', kind="application/json").status_code == 202
    read_all(quick.hub)
    assert shelved(quick) == ["not_an_alert"]


def test_a_peer_reads_of_its_own_only_and_the_duty_room_of_all(quick: World, at) -> None:
    answer = push(quick, xml("a", at))
    read_all(quick.hub)
    assert quick.get("peer2", answer.headers["location"]).status_code == 404
    assert quick.get("peer", "/v1/bulletins").status_code == 403
    assert [b["identifier"] for b in quick.get("officer", "/v1/bulletins").json()["data"]] == ["a"]


def test_the_list_goes_on_where_it_ended(quick: World, at) -> None:
    for n in range(5):
        push(quick, xml(f"a{n}", at))
        quick.clock.forward(seconds=1)
    read_all(quick.hub)
    first = quick.get("officer", "/v1/bulletins?limit=3").json()
    rest = quick.get("officer", f"/v1/bulletins?limit=3&cursor={first['next_cursor']}").json()
    assert [b["identifier"] for b in first["data"] + rest["data"]] == ["a4", "a3", "a2", "a1", "a0"]
    assert (
        quick.get("officer", f"/v1/bulletins?limit=3&view=all&cursor={first['next_cursor']}").status_code
        == 400
    )


def test_updates_and_cancels_end_what_they_refer_to(hall: World, at) -> None:
    push(hall, xml("a", at))
    hall.clock.forward(minutes=1)
    push(hall, xml("b", hall.clock(), msg_type="Update", references=(refer("a", at),)))
    read_all(hall.hub)
    assert [b["identifier"] for b in hall.get("officer", "/v1/bulletins").json()["data"]] == ["b"]
    then = hall.clock()
    hall.clock.forward(minutes=1)
    push(hall, xml("c", hall.clock(), msg_type="Cancel", references=(refer("b", then),), infos=()))
    read_all(hall.hub)
    assert hall.get("officer", "/v1/bulletins").json()["data"] == []
    all_of_them = hall.get("officer", "/v1/bulletins?view=all").json()["data"]
    assert {b["identifier"] for b in all_of_them} == {"a", "b", "c"}
    one = hall.get("officer", all_of_them[0]["links"]["self"]).json()
    assert len(one["chain"]) == 3


def test_h57_a_signature_beside_it_is_checked_with_the_pinned_key_and_for_this_hub(quick: World, at) -> None:
    key, hub = Ed25519PrivateKey.generate(), quick.hub
    push(quick, xml("first", at))
    text = bulletin_seal.public_text(key)
    pin = {"kind": "ed25519", "material": text, "fingerprint": bulletin_seal.fingerprint(text)}
    key_id = hub.store.run(lambda u: peers.pin(u, "key_peer", **pin, by="per_1", at=at))
    us = hub.settings.sender_id
    cases = {
        "good": (key, us, b"", ("verified", None)),
        "all": (key, "*", b"", ("verified", None)),
        "theirs": (key, "other@hub.example", b"", ("broken", "audience")),
        "other": (Ed25519PrivateKey.generate(), us, b"", ("unknown_key", None)),
        "changed": (key, us, b"<!-- -->", ("broken", "signature")),
    }
    for name, (signer, audience, more, expected) in cases.items():
        body = xml(name, at)
        line = bulletin_seal.sign(body + more, signer, audience=audience)
        answer = push(quick, body, **{"Tocsin-Signature": line})
        read_all(hub)
        (one,) = told(quick, answer)["bulletins"]
        assert (one["signature"]["state"], one["signature"]["reason"]) == expected, name
        assert one["apart"] == ("broken_seal" if expected[0] == "broken" else None)
    answer = push(quick, xml("odd", at), **{"Tocsin-Signature": "v2 whatever"})
    read_all(hub)
    assert told(quick, answer)["bulletins"][0]["signature"]["state"] == "unsupported"
    hub.store.run(lambda u: peers.revoke(u, "key_peer", key_id, by="per_1", at=at))  # H65: at once
    body = xml("late", at)
    answer = push(quick, body, **{"Tocsin-Signature": bulletin_seal.sign(body, key, audience=us)})
    read_all(hub)
    assert told(quick, answer)["bulletins"][0]["signature"]["state"] == "unknown_key"


def test_h57_a_later_signature_of_the_same_bytes_that_holds_counts_and_is_not_thrown_away(
    hall: World, at
) -> None:
    key, hub, body = Ed25519PrivateKey.generate(), hall.hub, xml("signed", at)
    text = bulletin_seal.public_text(key)
    pin = {"kind": "ed25519", "material": text, "fingerprint": bulletin_seal.fingerprint(text)}
    us, other = hub.settings.sender_id, Ed25519PrivateKey.generate()
    bad = {"Tocsin-Signature": bulletin_seal.sign(body + b"x", key, audience=us)}
    good = {"Tocsin-Signature": bulletin_seal.sign(body, key, audience=us)}
    noise = {"Tocsin-Signature": bulletin_seal.sign(body, other, audience=us)}
    push(hall, xml("known", at))
    hub.store.run(lambda u: peers.pin(u, "key_peer", **pin, by="per_1", at=at))
    first = push(hall, body, **bad)
    read_all(hub)
    (one,) = told(hall, first)["bulletins"]
    assert (one["apart"], one["signature"]["state"], one["is_in_force"]) == ("broken_seal", "broken", False)
    again = push(hall, body, **good)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    push(hall, body, **noise)
    read_all(hub)
    (one,) = told(hall, first)["bulletins"]
    assert (one["apart"], one["signature"]["state"], one["is_in_force"]) == (None, "verified", True)
    push(hall, body, **{"Tocsin-Signature": bulletin_seal.sign(body + b"y", key, audience=us)})
    read_all(hub)
    (one,) = told(hall, first)["bulletins"]
    assert (one["apart"], one["signature"]["state"]) == (None, "verified")  # nothing is lowered again
    assert hall.count(bulletin_arrival) == 2
    acts = [e.act for e in hub.store.read(lambda u: journal.entries(u, "bulletin", first.json()["id"]))]
    assert acts.count("countersign") == 3


def test_h57_a_signature_that_comes_while_the_bytes_are_read_is_read_too(quick: World, at) -> None:
    hub, body = quick.hub, xml("signed", at)
    first = push(quick, body)
    seen = hub.store.read(lambda u: arrivals.load(u, first.json()["id"], hub.blobs.get))
    push(quick, body, **{"Tocsin-Signature": "v1 x"})
    assert not hub.store.run(lambda u: arrivals.move(u, seen, "read"))
    assert hub.store.read(lambda u: arrivals.due(u, hub.clock())) == [first.json()["id"]]


def test_r16_bytes_of_a_peer_that_no_longer_open_go_to_the_shelf_once_and_come_back(quick: World, at) -> None:
    hub, body = quick.hub, xml("big", at, note="x" * 300_000)
    first = push(quick, body)
    (blob,) = (path for path in (hub.settings.data_dir / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(b"altered")
    for _ in range(intake.TRIES + 3):
        quick.clock.forward(minutes=1)
        read_all(hub)
    assert (shelved(quick), told(quick, first)["state"]) == (["blob"], "shelved")
    blob.write_bytes(body)
    assert hub.store.run(lambda u: arrivals.reprocess(u, first.json()["id"], by="per_1", at=at))
    read_all(hub)
    assert told(quick, first)["bulletins"][0]["identifier"] == "big"


def test_while_the_database_is_down_bulletins_wait_in_the_spool(hall: World, at) -> None:
    push(hall, xml("known", at))
    hub = hall.hub
    hub.store.is_shut = True
    try:
        answer = hall.client.post(
            "/v1/bulletins", content=xml("a", at), headers=hall.headers("peer", **{"Content-Type": CAP})
        )
    finally:
        hub.store.is_shut = False
    assert answer.status_code == 202
    assert len(hub.peers.spool.waiting()) == 1
    from_spool = intake.drain(hub.peers.spool, store=hub.store, blobs=hub.blobs, clock=lambda: at)
    assert from_spool == [answer.json()["id"]]
    assert hub.peers.spool.waiting() == []
    read_all(hub)
    assert told(hall, answer)["bulletins"][0]["identifier"] == "a"
    assert push(hall, xml("a", at)).status_code == 200


def test_json_and_the_national_format_come_through_the_same_door(quick: World, at) -> None:
    told_in_json = {
        "identifier": "j1", "sender": "nina.example", "sent": at.isoformat(), "status": "Test", "msgType": "Alert",
        "scope": "Public", "info": [{"language": "de", "category": ["Met"], "event": "Sturm", "urgency": "Immediate",
        "severity": "Severe", "certainty": "Likely", "headline": "Sturm", "colour": "unknown",
        "area": [{"areaDesc": "X", "geocode": [{"valueName": "AGS", "value": "09"}]}]}],
    }  # fmt: skip
    answer = push(quick, json.dumps(told_in_json).encode(), kind="application/json")
    stamp = at.astimezone().strftime("%Y-%m-%d %H:%M:%S+00:00")
    national = f"""<test xmlns="http://com.icss.amp"><identifier>99010041600000_20261123140500</identifier>
      <sender>甲市气象台</sender><senderCode>99010041600000</senderCode><sendTime>{stamp}</sendTime><status>Test</status>
      <msgType>Alert</msgType><scope>Public</scope><code><method><methodName>SMS</methodName><message>暴雨</message>
      <audienceGrp/><audenceprt/></method></code><info><language>zh-CN</language><eventType>11B03</eventType>
      <severity>Orange</severity><effective>{stamp}</effective><senderName>张三</senderName><headline>暴雨橙色预警</headline>
      <description>有大暴雨</description><area><areaDesc>甲一区</areaDesc><geocode>99010100000000,99010200000000</geocode></area>
      </info></test>"""
    other = push(quick, national.encode())
    read_all(quick.hub)
    (one,) = told(quick, answer)["bulletins"]
    assert (one["identifier"], one["format"], one["is_in_force"]) == ("j1", "JSON CAP", True)
    whole = quick.get("officer", one["links"]["self"]).json()
    assert any("colour" in f["message"] for f in whole["findings"])
    assert whole["areas"]["codes"] == [["AGS", "09"]]
    (two,) = told(quick, other)["bulletins"]
    assert (two["format"], two["severity"], two["is_in_force"]) == ("CAP-CN", "Severe", True)
    whole = quick.get("officer", two["links"]["self"]).json()
    assert ["cn:color", "Orange"] in whole["alert"]["infos"][0]["parameters"]
    assert whole["areas"]["divisions"] == ["990101000000", "990102000000"]


def test_the_same_event_of_two_authorities_is_proposed_and_not_joined(hall: World, at) -> None:
    push(hall, xml("a", at))
    push(hall, xml("b", at + timedelta(minutes=9), sender="w-water.example"), who="peer2")
    push(hall, xml("c", at, sender="w-quake.example", area="990200"), who="peer2")  # another place
    read_all(hall.hub)
    rows = hall.hub.store.read(lambda u: u.rows(sa.text("SELECT state, score FROM bulletin_pair")))
    assert [(row.state, row.score > 0.9) for row in rows] == [("proposed", True)]


def test_a_charset_of_the_type_is_believed_before_what_the_document_says(quick: World, at) -> None:
    bare = xml("gb", at).partition(b"?>")[2].strip().decode().encode("gb18030")
    answer = push(quick, bare, kind="application/xml; charset=GB18030")
    read_all(quick.hub)
    (one,) = told(quick, answer)["bulletins"]
    assert one["headline"] == "示例省气象台发布暴雨橙色预警 gb"
    browser = enter(quick, "officer")
    made = browser.post(f"/console/bulletins/{one['id']}/report", {}).headers["location"]
    quick.file_all()
    assert "大暴雨" in browser.get(made).text
