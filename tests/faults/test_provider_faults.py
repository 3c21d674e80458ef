"""What a provider does to us: its fsynced ledger against our rows, on both stores, through the hub's own wire."""

import asyncio
import contextlib
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from channels.twilio_sms import parse_status, verify
from outbox import deliver, progress, receipts
from outbox.breaker import OPENS_AFTER, Standing
from outbox.lookup import APART, FIRST_LOOK, SILENT_FOR
from outbox.pace import Pace
from outbox.standing import Standings
from store import providers
from store import tables as t
from tests.faults.plan import Act, Listing, Plan, Step, Told
from tests.faults.provider_house import ACCOUNT, KNOWN, QUIET, TOKEN, House, taken
from tests.faults.provider_process import Running, running
from tests.outbox.outbox_kit import approve, phones, run_all, states, subscribe
from tests.outbox.test_deliver_slices import open_parcel
from tests.servers import free_port
from tests.walks.houses import until


@pytest.fixture
def provider(tmp_path) -> Iterator[Running]:
    with running(tmp_path / "ledger", account_sid=ACCOUNT, auth_token=TOKEN) as made:
        yield made


@pytest.fixture
def house(store, tmp_path, provider) -> Iterator[House]:
    made = House(store, tmp_path, provider.url)
    yield made
    made.out.courier.close()


def repeated_blindly(provider: Running) -> list[str]:
    """Tags called again although the provider had the message."""
    had: set[str] = set()
    found = []
    for call in provider.calls():
        if call.tag in had:
            found.append(call.tag)
        if call.is_taken:
            had.add(call.tag)
    return found


AMBIGUOUS = {
    Act.OK: 70.0, Act.ERROR_AFTER: 6.0, Act.ERROR_BEFORE: 4.0, Act.RESET_AFTER: 6.0, Act.RESET_BEFORE: 4.0,
    Act.GARBAGE_AFTER: 4.0, Act.CUT_AFTER: 3.0, Act.THROTTLE: 1.0, Act.REFUSE: 2.0,
}  # fmt: skip


@pytest.mark.parametrize("seed", [11])
def test_r3_r4_the_providers_ledger_less_what_we_know_is_unsure_and_equal_after_look_up(
    house, provider, seed
) -> None:
    provider.obey(Plan(seed=seed, weights=AMBIGUOUS, **QUIET))
    subscribe(house.store, house.clock(), phones(120))
    release, _ = approve(house.store, house.clock())
    for _ in range(40):
        run_all(house.out)
        if not {"queued", "sending"} & set(house.rows()):
            break
        house.clock.ahead += timedelta(seconds=2)
    known, unsure = house.known(), house.unsure()
    assert unsure
    assert known <= set(taken(provider))
    assert set(taken(provider)) - known <= unsure
    assert all(
        count == 1 for count in Counter(c.tag for c in provider.calls() if c.act != Act.THROTTLE).values()
    )
    provider.obey(Plan(seed=seed + 1, **QUIET))
    house.go_on(lambda: not {"queued", "sending", "unsure"} & set(house.rows()))
    assert house.known() == set(taken(provider))
    assert max(taken(provider).values()) == 1
    assert repeated_blindly(provider) == []
    refused = {c.tag for c in provider.calls() if c.act == Act.REFUSE}
    assert states(house.store, release).get("failed", 0) == len(refused)
    assert sum(states(house.store, release).values()) == 120


def test_f19_a_provider_of_nothing_but_500_is_left_alone_and_tried_again_with_one_call(
    house, provider
) -> None:
    provider.obey(Plan(weights={Act.ERROR_BEFORE: 1.0}, **QUIET))
    release = house.send(600)
    calls = len(provider.calls())
    assert OPENS_AFTER <= calls <= OPENS_AFTER + house.wire.window  # those in flight when it opened
    assert house.breaker.look().standing is Standing.OPEN
    assert states(house.store, release) == {"unsure": calls, "queued": 600 - calls}
    Standings(house.out).tell()
    (told,) = house.store.read(lambda u: providers.troubled(u, house.clock()))
    assert (told.channel, told.standing, told.code) == ("sms", "open", "500")
    house.breaker._until = 0.0  # its rest is over
    run_all_due(house)
    assert len(provider.calls()) == calls + 1
    assert house.breaker.look().standing is Standing.OPEN
    provider.obey(Plan(**QUIET))
    house.breaker._until = 0.0
    house.go_on(lambda: house.rows() == {"accepted": 600} or house.rows().total() == house.rows()["sent"]
                + house.rows()["accepted"])  # fmt: skip
    assert house.breaker.look().standing is Standing.CLOSED
    assert house.known() == set(taken(provider))
    assert max(taken(provider).values()) == 1
    Standings(house.out).tell()


def run_all_due(house: House) -> None:
    house.clock.ahead += timedelta(minutes=6)  # past every wait between two attempts
    run_all(house.out)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("0", 1, 1), ("5", 5, 5), ("86400", 900, 900), ("soon", 1, 1), ("", 1, 1),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 1, 900), ("Wed, 21 Oct 2015 07:28:00 GMT", 1, 1),
    ],
)  # fmt: skip
def test_f20_a_pause_is_kept_within_a_second_and_a_quarter_of_an_hour_and_told_from_a_minute(
    house, provider, said, least, most
) -> None:
    provider.obey(Plan(script=[Step(act=Act.THROTTLE, retry_after=said)], **QUIET))
    subscribe(house.store, house.clock(), phones(1))
    _, dispatches = approve(house.store, house.clock())
    (parcel,) = open_parcel(house.out, dispatches)
    before = house.clock()
    assert deliver.deliver(house.out, parcel) is deliver.Ended.WAITS
    due = house.store.read(lambda u: u.scalar(sa.select(t.parcel_row.c.next_due)))
    assert timedelta(seconds=least) <= due - before <= timedelta(seconds=most + 3)
    look = house.breaker.look()
    assert look.standing is Standing.CLOSED
    assert look.is_troubled is (most > 60 and due - before > timedelta(seconds=60))
    Standings(house.out).tell()
    told = house.store.read(lambda u: providers.troubled(u, house.clock()))
    assert [(one.channel, one.is_told_to_wait) for one in told] == (
        [("sms", True)] if look.is_troubled else []
    )
    assert [call.act for call in provider.calls()] == ["throttle"]


@pytest.mark.parametrize(
    "act", [Act.HANG_AFTER, Act.RESET_AFTER, Act.ERROR_AFTER, Act.CUT_AFTER, Act.GARBAGE_AFTER]
)
def test_f21_what_was_taken_without_an_answer_is_found_and_never_called_again(house, provider, act) -> None:
    provider.obey(Plan(script=[Step(act=act, told=Told.NEVER)] * 3, **QUIET))
    release = house.send(3)
    assert states(house.store, release) == {"unsure": 3}
    house.clock.ahead += FIRST_LOOK
    house.lookups.run()
    assert states(house.store, release) == {"sent": 3}
    run_all_due(house)
    assert len(provider.calls()) == 3
    assert house.known() == set(taken(provider))


@pytest.mark.parametrize("act", [Act.HANG_BEFORE, Act.RESET_BEFORE, Act.ERROR_BEFORE])
def test_r4_f21_what_was_never_taken_is_called_again_only_when_the_list_has_proven_it_twice(
    house, provider, act
) -> None:
    provider.obey(Plan(script=[Step(act=act, told=Told.NEVER)], **QUIET))
    release = house.send(1)
    house.clock.ahead += FIRST_LOOK
    house.lookups.run()
    run_all(house.out)
    assert (states(house.store, release), len(provider.calls())) == ({"unsure": 1}, 1)
    house.clock.ahead += APART
    house.lookups.run()
    run_all(house.out)
    assert states(house.store, release) == {"accepted": 1}
    assert len(provider.calls()) == 2


def test_r4_f21_a_list_that_lags_or_fails_leads_to_no_second_call(house, provider) -> None:
    provider.obey(Plan(script=[Step(act=Act.RESET_AFTER, told=Told.NEVER)], listing=Listing.ERROR, **QUIET))
    release = house.send(1)
    for _ in range(5):
        house.clock.ahead += timedelta(minutes=2)
        house.lookups.run()
        run_all(house.out)
    assert states(house.store, release) == {"unsure": 1}
    assert provider.listed() >= 4
    provider.obey(Plan(**QUIET))
    house.go_on(lambda: house.rows() == {"sent": 1})
    assert len(provider.calls()) == 1


@pytest.mark.parametrize("may_double", [True, False])
def test_r4_f21_what_nothing_proves_is_sent_once_more_only_where_the_approval_says_so(
    house, provider, may_double
) -> None:
    """The list never answers: by the ledger nobody is called a third time, and what may have come twice is counted."""
    provider.obey(Plan(seed=17, weights=AMBIGUOUS, listing=Listing.ERROR, **QUIET))
    subscribe(house.store, house.clock(), phones(120))
    release, _ = approve(house.store, house.clock(), repeat_unsure=may_double)
    for _ in range(60):
        run_all(house.out)
        house.lookups.run()
        house.clock.ahead += timedelta(seconds=15)
    assert not {"queued", "sending"} & set(house.rows())
    begun = Counter(call.tag for call in provider.calls() if call.act != Act.THROTTLE)
    first = {call.tag: call for call in reversed(provider.calls()) if call.act != Act.THROTTLE}
    again = {tag for tag, count in begun.items() if count > 1}
    assert again == ({tag for tag, call in first.items() if call.is_ambiguous} if may_double else set())
    assert max(begun.values()) == (2 if may_double else 1)
    twice = {tag for tag, count in taken(provider).items() if count > 1}
    found = house.store.read(lambda unit: progress.summary(unit, release))["channels"]["sms"]
    assert found["doubled"] == len(again) >= len(twice)
    assert len(twice) > 3 or not may_double
    assert house.known() <= set(taken(provider))
    assert (
        set(taken(provider)) - house.known() <= house.unsure() | again
    )  # those are marked, and hear the ending


def test_f22_a_name_that_does_not_resolve_and_a_port_nobody_serves_leave_everything_queued(
    store, tmp_path
) -> None:
    for url in ("http://no-such-host.invalid", f"http://127.0.0.1:{free_port()}"):
        house = House(store, tmp_path, url)
        subscribe(store, house.clock(), phones(4))
        release, dispatches = approve(store, house.clock(), author=f"per_{len(url)}")
        for parcel in open_parcel(house.out, dispatches):
            deliver.deliver(house.out, parcel)
        house.out.courier.close()
        assert states(store, release) == {"queued": 4}


CERTIFICATES = {
    "expired": ("127.0.0.1", -1),
    "another_name": ("elsewhere.example", 30),
}


@pytest.fixture
def tls_provider(tmp_path, request) -> Iterator[tuple[str, list[bytes]]]:
    """A server with a flawed certificate, and every byte of HTTP that it was sent."""
    name, days = CERTIFICATES[request.param]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, name, days))
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


def certificate(directory: Path, name: str, days: int) -> Path:
    """A self-signed certificate with its key, for `name`, valid until so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=60)).not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = directory / "tls.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize("tls_provider", sorted(CERTIFICATES), indirect=True)
def test_f22_a_flawed_certificate_is_met_before_any_byte_of_a_message_leaves(
    store, tmp_path, tls_provider
) -> None:
    url, heard = tls_provider
    house = House(store, tmp_path, url)
    subscribe(store, house.clock(), phones(OPENS_AFTER + 3))
    release, dispatches = approve(store, house.clock())
    for _ in range(OPENS_AFTER + 3):
        for parcel in open_parcel(house.out, dispatches):
            deliver.deliver(house.out, parcel)
        house.clock.ahead += timedelta(minutes=6)
    Standings(house.out).tell()
    (told,) = store.read(lambda u: providers.troubled(u, house.clock()))
    house.out.courier.close()
    assert set(states(store, release)) == {"queued"}
    assert told.code == "ClientConnectorCertificateError"
    assert [one for one in heard if one] == []


@pytest.mark.parametrize("act", [Act.REDIRECT, Act.GARBAGE_AFTER])
def test_f22_a_redirect_is_not_followed_and_a_login_page_is_no_answer(house, provider, act) -> None:
    provider.obey(Plan(weights={act: 1.0}, **QUIET))
    release = house.send(40)
    calls = len(provider.calls())
    assert states(house.store, release) == {"unsure": calls, "queued": 40 - calls}
    assert house.breaker.look().standing is Standing.OPEN
    assert house.breaker.look().code == ("garbage" if act is Act.GARBAGE_AFTER else "301")
    provider.obey(Plan(**QUIET))
    house.breaker._until = 0.0
    house.go_on(lambda: house.known() == set(taken(provider)) and house.rows().keys() <= KNOWN)
    assert max(taken(provider).values()) == 1
    assert len(taken(provider)) == 40


@pytest.mark.parametrize("told", [Told.SHUFFLED, Told.BEFORE, Told.LATE])
@pytest.mark.parametrize("act", [Act.OK, Act.ERROR_AFTER])
def test_r12_f23_callbacks_in_any_order_any_number_and_at_any_time_end_alike(
    house, provider, told, act
) -> None:
    answered: list[int] = []

    def take(url: str, body: bytes, signature: str) -> None:
        verify(url, body, signature, TOKEN)
        receipt = parse_status(body, urlsplit(url).query, account_sid=ACCOUNT, at=house.clock())
        house.store.run(lambda u: receipts.take(u, receipt, house.clock()))
        answered.append(1)

    with listening(take) as url:
        house.wire._status_callback_url = f"{url}/dlr"
        step = Step(act=act, told=told, copies=3, late_ms=500)
        provider.obey(Plan(script=[step] * 4))
        release = house.send(4)
        if told is Told.LATE:
            house.clock.ahead += timedelta(hours=1)
        expected = 4 * 3 * (3 if told is Told.SHUFFLED else 1)
        until(lambda: len(answered) == expected, "every callback came")
    assert states(house.store, release) == {"delivered": 4}
    assert house.known() == set(taken(provider))
    house.lookups.run()
    assert len(provider.calls()) == 4


def test_f23_without_any_callback_the_list_is_asked_after_ten_minutes(house, provider) -> None:
    provider.obey(Plan(listed_as="delivered", **QUIET))
    release = house.send(5)
    assert states(house.store, release) == {"accepted": 5}
    house.clock.ahead += SILENT_FOR + timedelta(seconds=1)
    house.lookups.run()
    assert states(house.store, release) == {"delivered": 5}
    assert len(provider.calls()) == 5


@contextlib.contextmanager
def listening(take: Callable[[str, bytes, str], None]) -> Iterator[str]:
    """A door of its own that hands each signed callback to `take`."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            take(
                f"http://127.0.0.1:{self.server.server_port}{self.path}",
                body,
                self.headers["X-Twilio-Signature"],
            )
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_r24_the_share_of_the_providers_rate_is_kept_over_any_second(store, tmp_path, provider) -> None:
    house = House(store, tmp_path, provider.url)
    out = replace(house.out, paces={"sms": Pace(40, burst=1)})
    subscribe(store, house.clock(), phones(100))
    approve(store, house.clock())
    run_all(out)
    house.out.courier.close()
    moments = [call.at for call in provider.calls()]
    assert len(moments) == 100
    assert max(sum(start <= at < start + 1 for at in moments) for start in moments) <= 42
