"""Between the hub and its provider anything may happen to the bytes: what is proven, and what reached the provider."""

import asyncio
from datetime import timedelta
from hashlib import sha256

import pytest

from channels.twilio_sms import TwilioSms
from domain.errors import NotNow, Unsure
from domain.parcel import Answer, Item, Part
from tests.faults.plan import Plan, Step, Told
from tests.faults.provider_process import running
from tests.faults.wire import Kind, Wire

ACCOUNT, TOKEN = "AC" + "1" * 32, "2" * 32
TEXT = "【演示】暴雨橙色预警".encode()
CALM = Step(told=Told.NEVER)


@pytest.fixture
def provider(tmp_path):
    with running(tmp_path / "ledger", account_sid=ACCOUNT, auth_token=TOKEN) as made:
        made.obey(Plan(script=[CALM] * 20))
        yield made


@pytest.fixture
def wire(provider):
    with Wire("127.0.0.1", int(provider.url.rpartition(":")[2])) as made:
        yield made


def send(port: int, seconds: float = 1.0) -> Answer | NotNow | Unsure:
    async def go() -> Answer | NotNow | Unsure:
        sms = TwilioSms(account_sid=ACCOUNT, auth_token=TOKEN, sender="+8610690000000",
                        base_url=f"http://127.0.0.1:{port}", status_callback_url="http://127.0.0.1:9/",
                        reaches_the_world=False, timeout=timedelta(seconds=seconds))  # fmt: skip
        item = Item(delivery_id="par_1", address="+8613900000001", attempt=1)
        part = Part(
            channel="sms", payload=TEXT, sha256=sha256(TEXT).hexdigest(), items=(item,), language="zh-CN"
        )
        try:
            return (await sms.call(part))[0]
        except (NotNow, Unsure) as error:
            return error
        finally:
            await sms.aclose()

    return asyncio.run(go())


@pytest.mark.parametrize(("kind", "more", "outcome", "taken"), [
    (Kind.PASS, {}, Answer, 1),
    (Kind.REFUSE, {}, NotNow, 0),
    (Kind.RESET, {}, Unsure, 0),
    (Kind.RESET_BEFORE_REPLY, {}, Unsure, 1),
    (Kind.HALF_CLOSE, {}, Unsure, 1),
    (Kind.CUT_REQUEST, {"count": 100}, Unsure, 0),
    (Kind.CUT_REPLY, {"count": 60}, Unsure, 1),
    (Kind.BLACKHOLE, {}, Unsure, 0),
    (Kind.CUT_AT_SIGHT, {"count": 1, "sight": b"POST "}, Unsure, 1),
    (Kind.CUT_AT_SIGHT, {"count": 2, "sight": b"POST "}, Answer, 1),
    (Kind.DELAY, {"seconds": 0.05}, Answer, 1),
    (Kind.SLOW, {"seconds": 0.5}, Unsure, 1),
    (Kind.CORRUPT, {}, Unsure, 1),
])  # fmt: skip
def test_what_the_bytes_meet_decides_what_the_wire_may_claim(
    provider, wire, kind, more, outcome, taken
) -> None:
    wire.turn(kind, **more)
    assert isinstance(send(wire.port, 5.0 if outcome is Answer else 1.0), outcome)
    assert len(provider.calls()) == taken


def test_it_can_be_turned_back_while_it_runs(provider, wire) -> None:
    for kind in (Kind.REFUSE, Kind.BLACKHOLE, Kind.PASS):
        wire.turn(kind)
        outcome = send(wire.port, 5.0 if kind is Kind.PASS else 0.5)
    assert isinstance(outcome, Answer)
    assert len(provider.calls()) == 1
