"""The receipts' door: every signed receipt is answered 2xx, whatever is known of its message."""

from typing import Any

from store import tables as t
from tests.web.api_world import DLR_URL, NUMBER, SID, World, signed

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


def test_without_a_database_the_provider_is_told_to_try_again(hall: World) -> None:
    hall.hub.store.close()
    answer = _knock(hall, _form("delivered"))
    assert answer.status_code == 503 and answer.json()["code"] == "unavailable"
    assert "detail" not in answer.json()
