"""The provider under test does what it is told, and its ledger stands before its answer."""

import asyncio
import contextlib
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from twilio.request_validator import RequestValidator

from channels.twilio_sms import TwilioSms
from domain.errors import NotNow, Unsure
from domain.parcel import DeliveryState, Item, Listed, Part
from tests.faults.plan import Act, Listing, Plan, Step, Told, parse
from tests.faults.provider_process import Running, running
from tests.servers import free_port
from tests.walks.houses import until

ACCOUNT, TOKEN = "AC" + "1" * 32, "2" * 32
TO = "+8613900000001"
TEXT = "【演示】暴雨橙色预警".encode()


@pytest.fixture
def provider(tmp_path):
    with running(tmp_path / "ledger", account_sid=ACCOUNT, auth_token=TOKEN) as made:
        yield made


def send(provider: Running, *, callback: str = "http://127.0.0.1:9/dlr", times: int = 1) -> list[object]:
    """The outcomes of `times` calls of the hub's own wire, one after another."""

    async def go() -> list[object]:
        wire = TwilioSms(account_sid=ACCOUNT, auth_token=TOKEN, sender="+8610690000000", base_url=provider.url,
                         status_callback_url=callback, reaches_the_world=False,
                         timeout=timedelta(seconds=1))  # fmt: skip
        found: list[object] = []
        for n in range(times):
            item = Item(delivery_id=f"par_{n}", address=TO, attempt=1)
            part = Part(channel="sms", payload=TEXT, sha256=sha256(TEXT).hexdigest(), items=(item,),
                        language="zh-CN")  # fmt: skip
            try:
                found.append((await wire.call(part))[0])
            except (NotNow, Unsure) as error:
                found.append(error)
        await wire.aclose()
        return found

    return asyncio.run(go())


@pytest.mark.parametrize("act", Act)
def test_each_act_leaves_in_the_ledger_what_it_says_and_the_wire_what_it_proves(provider, act) -> None:
    provider.obey(Plan(script=[Step(act=act, told=Told.NEVER)]))
    (outcome,) = send(provider)
    (call,) = provider.calls()
    assert (call.to, call.tag, call.attempt, call.act) == (TO, "par_0", "1", act)
    assert call.sha256 == sha256(TEXT).hexdigest()
    assert call.is_taken is act.takes
    if act.is_ambiguous:
        assert isinstance(outcome, Unsure), outcome
    elif act is Act.THROTTLE:
        assert isinstance(outcome, NotNow)
    else:
        state = DeliveryState.FAILED if act is Act.REFUSE else DeliveryState.ACCEPTED
        assert outcome.state is state


def test_a_second_message_may_get_the_sid_of_the_first(provider) -> None:
    provider.obey(Plan(script=[Step(told=Told.NEVER), Step(act=Act.SAME_SID, told=Told.NEVER)]))
    first, second = send(provider, times=2)
    assert first.provider_id == second.provider_id


def test_its_ledger_goes_on_after_its_own_death(tmp_path) -> None:
    for total in (2, 4):
        with running(tmp_path / "ledger", account_sid=ACCOUNT, auth_token=TOKEN) as provider:
            provider.obey(Plan(script=[Step(told=Told.NEVER)] * 4))
            send(provider, times=2)
            assert [call.n for call in provider.calls()] == list(range(1, total + 1))


def test_the_same_seed_draws_the_same_ends_and_another_seed_others() -> None:
    weights = dict.fromkeys(Act, 1.0)
    one, same, other = (Plan(seed=s, weights=weights) for s in (5, 5, 6))
    draw = lambda plan: [plan.step(n) for n in range(1, 200)]  # noqa: E731
    assert draw(one) == draw(same) == draw(parse(one.to_json()))
    assert draw(one) != draw(other)


@contextlib.contextmanager
def listening():
    """What a hub would hear: (path, form, signature) of each callback."""
    heard: list[tuple[str, dict[str, str], str]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {k: v[0] for k, v in parse_qs(body).items()}
            heard.append((self.path, form, self.headers["X-Twilio-Signature"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("told", "count", "is_valid"), [
    (Told.NORMAL, 3, True), (Told.SHUFFLED, 9, True), (Told.BEFORE, 3, True), (Told.LATE, 3, True),
    (Told.FORGED, 3, False),
])  # fmt: skip
def test_callbacks_are_signed_so_that_the_provider_s_own_library_agrees(
    provider, told, count, is_valid
) -> None:
    with listening() as (url, heard):
        provider.obey(Plan(script=[Step(told=told, late_ms=100)]))
        send(provider, callback=f"{url}/dlr")
        if told is Told.BEFORE:
            assert len(heard) == count
        until(lambda: len(heard) == count, "every callback came")
    for path, form, signature in heard:
        assert RequestValidator(TOKEN).validate(url + path, form, signature) is is_valid
        assert path == "/dlr?d=par_0&a=1"
    statuses = [form["MessageStatus"] for _, form, _ in heard]
    assert sorted(set(statuses)) == ["delivered", "queued", "sent"]


def test_an_accepted_message_that_is_dropped_is_never_spoken_of(provider) -> None:
    with listening() as (url, heard):
        provider.obey(Plan(script=[Step(act=Act.DROP), Step()]))
        send(provider, callback=f"{url}/dlr", times=2)
        until(lambda: len(heard) == 3, "the callbacks of the second message came")
        assert {path for path, _, _ in heard} == {"/dlr?d=par_1&a=1"}


def look_up(
    provider: Running, *, sender: str = "+8610690000000", since: datetime | None = None
) -> list[Listed]:
    """What the hub's own wire reads in the provider's list."""

    async def go() -> list[Listed]:
        wire = TwilioSms(account_sid=ACCOUNT, auth_token=TOKEN, sender=sender, base_url=provider.url,
                         status_callback_url="http://127.0.0.1:9/dlr", reaches_the_world=False)  # fmt: skip
        try:
            return list(await wire.look_up(TO, since or datetime.now(UTC) - timedelta(minutes=1)))
        finally:
            await wire.aclose()

    return asyncio.run(go())


def test_the_list_tells_page_by_page_what_the_ledger_holds_and_nothing_else(provider) -> None:
    acts = [Act.OK, Act.ERROR_AFTER, Act.ERROR_BEFORE, Act.RESET_AFTER, Act.REFUSE]
    provider.obey(Plan(script=[Step(act=act, told=Told.NEVER) for act in acts]))
    send(provider, times=130)  # more than one page
    taken = [call for call in provider.calls() if call.is_taken]
    found = look_up(provider)
    assert provider.listed() == 2
    assert {one.provider_id for one in found} == {call.sid for call in taken}
    assert {(one.text, one.address, one.state) for one in found} == {(TEXT.decode(), TO, DeliveryState.SENT)}
    assert look_up(provider, sender="+8610690000001") == []
    assert look_up(provider, since=datetime.now(UTC) + timedelta(minutes=1)) == []


def test_a_message_that_waits_in_the_providers_queue_is_on_the_list(provider) -> None:
    provider.obey(Plan(script=[Step(told=Told.NEVER)], listed_as="queued"))
    send(provider)
    assert [one.state for one in look_up(provider)] == [DeliveryState.ACCEPTED]


@pytest.mark.parametrize("listing", [Listing.ERROR, Listing.HANG])
def test_a_list_that_does_not_come_is_no_empty_list(provider, listing) -> None:
    provider.obey(Plan(listing=listing))
    with pytest.raises(Unsure):
        look_up(provider)
