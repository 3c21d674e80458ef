"""The receipts' door: every signed receipt is answered 2xx, whatever is known of its message."""

from datetime import datetime
from pathlib import Path
from typing import Any

from store import tables as t
from tests.web.api_world import AUTH, DLR_URL, NUMBER, SID, SMS_URL, World, signed, world

PATH = "/hooks/dlr/twilio"


def _form(status: str, n: int = 1, **more: str) -> dict[str, str]:
    sid = f"SM{n:032x}"
    return {"AccountSid": SID, "From": NUMBER, "MessageSid": sid, "MessageStatus": status, "SmsSid": sid,
            "SmsStatus": status, "To": "+8613800138000"} | more  # fmt: skip


def _knock(hall: World, form: dict[str, str], query: str = "") -> Any:
    return hall.client.post(PATH + query, **signed(DLR_URL + query, form))


def test_receipts_of_unknown_messages_are_kept_once_and_answered(hall: World) -> None:
    for status in ("delivered", "sent", "delivered", "sent"):
        assert _knock(hall, _form(status)).status_code == 204
    rows = hall.hub.store.read(lambda unit: unit.rows(t.receipt.select()))
    assert sorted(row.state for row in rows) == ["delivered", "sent"]


def test_the_query_is_part_of_what_is_signed(hall: World) -> None:
    tag = "?d=dsp_01-0.3&a=1"
    assert hall.client.post(PATH + tag, **signed(DLR_URL, _form("sent"))).status_code == 403
    assert hall.client.post(PATH, **signed(DLR_URL + tag, _form("sent"))).status_code == 403


def test_our_own_tag_comes_back_with_the_receipt(hall: World) -> None:
    assert _knock(hall, _form("sent"), "?d=dsp_01-0-3&a=1").status_code == 204
    (row,) = hall.hub.store.read(lambda unit: unit.rows(t.receipt.select()))
    assert row.delivery == "dsp_01-0-3"


def test_a_status_nobody_documents_is_shelved(hall: World) -> None:
    answer = _knock(hall, _form("teleported"))
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_status")
    (row,) = hall.get("officer", "/v1/shelf").json()["data"]
    assert (row["kind"], row["reason"]) == ("receipt", "unknown_status")


SECOND = {"sms_spare_account_sid": "AC" + "0b" * 16, "sms_spare_auth_token": "s3cret-of-the-spare-one",
          "sms_spare_from": "+8610690000001", "sms_spare_base_url": "http://127.0.0.1:9"}  # fmt: skip


def test_f19_each_provider_signs_for_its_own_account_and_for_no_other(tmp_path: Path, at: datetime) -> None:
    sid, secret = SECOND["sms_spare_account_sid"], SECOND["sms_spare_auth_token"]
    form = _form("delivered")
    with world(tmp_path / "data", at, **SECOND) as hall:
        own = hall.client.post(PATH, **signed(DLR_URL, form))
        spare = hall.client.post(PATH, **signed(DLR_URL, _form("delivered", 2, AccountSid=sid), secret))
        assert (own.status_code, spare.status_code) == (204, 204)
        for account, signer in ((sid, AUTH), (SID, secret)):  # one provider speaks for the other
            forged = _form("delivered", 3, AccountSid=account)
            answer = hall.client.post(PATH, **signed(DLR_URL, forged, signer))
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_shape")
        assert hall.client.post(PATH, **signed(DLR_URL, form, "another-secret-of-nobody")).status_code == 403
        assert hall.count(t.receipt) == 2
        sms = {"AccountSid": sid, "ApiVersion": "2010-04-01", "NumMedia": "0", "Body": "水漫过桥了", "NumSegments": "1",
               "From": "+8613800138000", "To": "+8610690000001", "MessageSid": "SM" + "7" * 32,
               "SmsSid": "SM" + "7" * 32, "SmsMessageSid": "SM" + "7" * 32, "SmsStatus": "received"}  # fmt: skip
        assert hall.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms, secret)).status_code == 200
        assert hall.count(t.inbound) == 1


def test_without_a_database_and_without_a_spool_the_provider_is_told_to_try_again(hall: World) -> None:
    hall.hub.store.close()
    hall.hub.words.spool.limit_bytes = 0
    answer = _knock(hall, _form("delivered"))
    assert answer.status_code == 503 and answer.json()["code"] == "spool_full"
    assert "detail" not in answer.json()
