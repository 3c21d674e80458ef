"""The Twilio wire: one call, and what each answer proves."""

import asyncio
import base64
import contextlib
import datetime as dt
import email.utils
import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.codecs import twilio_form
from channels.codecs.twilio_answer import CONFIG, judge, retry_after
from channels.twilio_sms import TwilioSms
from domain.errors import DeliveryError, Never, NotNow, Unsure
from domain.parcel import DeliveryState, Item, Part

ACCOUNT, TOKEN = "AC" + "0" * 32, "12345"
SID = "SM" + "ab" * 16


def part(text: str = "暴雨红色预警 第12号\n", address: str = "+8613800138000") -> Part:
    payload = text.encode()
    item = Item(delivery_id="dlv_01J", address=address, attempt=2)
    return Part(
        channel="sms",
        payload=payload,
        sha256=hashlib.sha256(payload).hexdigest(),
        language="zh",
        items=(item,),
    )


def wire(base_url: str, **more: Any) -> TwilioSms:
    return TwilioSms(
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        sender=more.pop("sender", "+861069000000"),
        status_callback_url="https://hub.example.org/hooks/sms/status",
        reaches_the_world=False,
        base_url=base_url,
        timeout=more.pop("timeout", dt.timedelta(seconds=1)),
    )


def call(base_url: str, one: Part | None = None, **more: Any) -> Any:
    async def once() -> Any:
        made = wire(base_url, **more)
        try:
            return await made.call(one or part())
        finally:
            await made.aclose()
            await made.aclose()

    return asyncio.run(once())


class Provider:
    """A provider that answers each connection with fixed bytes, and keeps what it was sent."""

    def __init__(self, answer: bytes | None, *, how: str = "answer") -> None:
        self.answer, self.how, self.asked = answer, how, []  # type: tuple[bytes | None, str, list[bytes]]
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self.server.accept()
            except OSError:
                return
            self.open.append(one)
            with contextlib.suppress(OSError):  # the wire may have hung up
                self._answer(one)

    def _answer(self, one: socket.socket) -> None:
        raw = b""
        while b"\r\n\r\n" not in raw or len(raw.partition(b"\r\n\r\n")[2]) < length(raw):
            more = one.recv(65536)
            if not more:
                break
            raw += more
        self.asked.append(raw)
        if self.answer is not None:
            one.sendall(self.answer)
        if self.how == "reset":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if self.how != "silence":
            one.close()

    def close(self) -> None:
        self.server.close()
        for one in self.open:
            one.close()


def length(raw: bytes) -> int:
    found = re.search(rb"(?i)content-length: (\d+)", raw)
    return int(found[1]) if found else 0


@pytest.fixture
def provider() -> Iterator[Callable[..., Provider]]:
    opened: list[Provider] = []

    def build(answer: bytes | None, **more: Any) -> Provider:
        opened.append(Provider(answer, **more))
        return opened[-1]

    yield build
    for one in opened:
        one.close()


def http(status: int, body: Any = b"", **headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def taken(**more: Any) -> dict[str, Any]:
    return {"sid": SID, "status": "queued", "error_code": None, "to": "+8613800138000"} | more


def refused(code: int) -> dict[str, Any]:
    return {"code": code, "message": "no", "more_info": "https://www.twilio.com/docs/errors/x", "status": 400}


# --- out


def test_a_message_taken_is_accepted_with_its_sid_and_carries_the_bytes_of_the_artefact(
    provider: Callable[..., Provider],
) -> None:
    at = provider(http(201, taken()))
    text = "第12号 暴雨🌧 ' \" & + = % \r\n end "
    (answer,) = call(at.url, part(text))
    assert (answer.delivery_id, answer.state, answer.provider_id) == ("dlv_01J", DeliveryState.ACCEPTED, SID)
    (asked,) = at.asked
    head, _, body = asked.partition(b"\r\n\r\n")
    assert head.startswith(f"POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1".encode())
    assert base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()) in head
    assert dict(twilio_form.pairs(body)) == {
        "To": "+8613800138000",
        "From": "+861069000000",
        "Body": text,
        "StatusCallback": "https://hub.example.org/hooks/sms/status?d=dlv_01J&a=2",
    }


def test_a_messaging_service_is_named_in_place_of_a_sender(provider: Callable[..., Provider]) -> None:
    at = provider(http(201, taken(status="accepted")))
    call(at.url, sender="MG" + "1" * 32)
    form = dict(twilio_form.pairs(at.asked[0].partition(b"\r\n\r\n")[2]))
    assert form["MessagingServiceSid"] == "MG" + "1" * 32
    assert "From" not in form


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("accepted", "accepted"),
        ("queued", "accepted"),
        ("sending", "accepted"),
        ("scheduled", "accepted"),
        ("sent", "sent"),
        ("delivered", "sent"),
        ("failed", "failed"),
        ("undelivered", "failed"),
    ],
)
def test_delivered_is_never_said_by_the_call_itself(
    provider: Callable[..., Provider], status: str, state: str
) -> None:
    (answer,) = call(provider(http(201, taken(status=status, error_code=30003))).url)
    assert (answer.state, answer.code) == (state, "30003")


UNSURE = {
    "500": http(500, refused(20500)),
    "502 html": http(502, b"<html>"),
    "503": http(503, refused(20503), Retry_After="1"),
    "429 code in a 500": http(500, refused(20429)),
    "301": http(301, b"", Location="http://127.0.0.1:1/"),
    "307": http(307, b"", Location="http://127.0.0.1:1/"),
    "304": http(304),
    "408": http(408, refused(20001)),
    "400 html of a proxy": http(400, b"<html>Bad Request</html>"),
    "404 html": http(404, b"<html>"),
    "200 html": http(200, b"<html>"),
    "200 empty": http(200, b""),
    "200 null": http(200, b"null"),
    "200 list": http(200, b"[1]"),
    "200 number": http(200, b"7"),
    "200 deep": http(200, b"[" * 100_000),
    "200 not UTF-8": http(200, b"\xff\xfe"),
    "201 without a sid": http(201, taken(sid=None)),
    "201 with a strange sid": http(201, taken(sid="SM1")),
    "201 with a strange status": http(201, taken(status="banana")),
    "201 received": http(201, taken(status="received")),
    "201 without an end": http(201, b"[" + b"1," * 1_000_000),
    "201 cut": http(201, taken())[:-10],
    "nothing": b"",
    "no http": b"220 smtp ready\r\n",
    "half a header": b"HTTP/1.1 201 Cr",
}


@pytest.mark.parametrize("answer", UNSURE.values(), ids=UNSURE)
def test_every_answer_that_proves_nothing_is_unsure(provider: Callable[..., Provider], answer: bytes) -> None:
    at = provider(answer)
    with pytest.raises(Unsure):
        call(at.url)
    assert len(at.asked) == 1


@pytest.mark.parametrize("how", ["silence", "reset", "close"])
def test_silence_after_sending_is_unsure_and_the_call_is_made_once(
    provider: Callable[..., Provider], how: str
) -> None:
    at = provider(None, how=how)
    with pytest.raises(Unsure) as error:
        call(at.url, timeout=dt.timedelta(milliseconds=300))
    assert len(at.asked) == 1
    assert "138" not in f"{error.value} {error.value.code}"


def test_a_refused_connection_is_not_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotNow):
        call(f"http://127.0.0.1:{port}")


def test_a_name_that_does_not_resolve_is_not_now() -> None:
    with pytest.raises(NotNow):
        call("http://sms.invalid")


def test_a_connection_that_is_not_tls_is_not_now(provider: Callable[..., Provider]) -> None:
    at = provider(b"HTTP/1.1 400 X\r\n\r\n", how="close")
    with pytest.raises(NotNow):
        call(at.url.replace("http:", "https:"))


def test_a_certificate_of_somebody_else_is_not_now(tmp_path: Path) -> None:
    certificate = pytest.importorskip("cryptography.x509")
    assert certificate is not None
    server = _tls_server(tmp_path)
    with pytest.raises(NotNow):
        call(f"https://127.0.0.1:{server.getsockname()[1]}")
    server.close()


def _tls_server(folder: Path) -> socket.socket:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        one, _ = server.accept()
        try:
            context.wrap_socket(one, server_side=True)
        except OSError:
            one.close()

    threading.Thread(target=serve, daemon=True).start()
    return server


def test_too_many_requests_is_not_now_with_the_wait_that_was_asked_for(
    provider: Callable[..., Provider],
) -> None:
    with pytest.raises(NotNow) as error:
        call(provider(http(429, refused(20429), Retry_After="7")).url)
    assert (error.value.code, error.value.retry_after) == ("20429", dt.timedelta(seconds=7))


def test_a_full_queue_of_the_sender_is_not_now(provider: Callable[..., Provider]) -> None:
    with pytest.raises(NotNow):
        call(provider(http(400, refused(21611))).url)


NOW = "Wed, 01 Jul 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", "", 7),
        (" 7 ", "", 7),
        ("0", "", 1),
        ("-5", "", 1),
        ("1.5", "", 1),
        ("9" * 9, "", 900),
        ("9" * 5000, "", 1),
        ("", "", 1),
        ("soon", "", 1),
        ("٧", "", 1),
        ("Wed, 01 Jul 2026 08:01:30 GMT", NOW, 90),
        ("Wed, 01 Jul 2026 08:01:30", NOW, 90),
        ("Wed, 01 Jul 2026 07:00:00 GMT", NOW, 1),
        ("Fri, 01 Jan 2100 00:00:00 GMT", NOW, 900),
        ("Wed, 01 Jul 2026 08:01:30 GMT", "", 1),
        ("Thu, 99 Foo 2026", NOW, 1),
        ("Wed, 01 Jul 99999 08:01:30 GMT", NOW, 1),
    ],
)
def test_a_retry_after_is_clamped_between_a_second_and_a_quarter_of_an_hour(
    value: str, date: str, seconds: int
) -> None:
    assert retry_after(value, date=date) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("code", [21211, 21214, 21408, 21610, 21612, 21614, 21617, 30005, 99999])
def test_a_refusal_of_one_address_fails_that_delivery_with_the_code_verbatim(
    provider: Callable[..., Provider], code: int
) -> None:
    (answer,) = call(provider(http(400, refused(code))).url)
    assert (answer.delivery_id, answer.state, answer.code) == ("dlv_01J", DeliveryState.FAILED, str(code))


def test_a_refusal_worded_as_a_problem_of_rfc_9457_is_the_same(provider: Callable[..., Provider]) -> None:
    body = {"type": "https://twilio.com/x", "title": "no", "status": 400, "code": 21211}
    (answer,) = call(provider(http(400, body)).url)
    assert (answer.state, answer.code) == (DeliveryState.FAILED, "21211")


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, refused(20003)), (401, b""), (403, b"<html>"), *((400, refused(int(code))) for code in CONFIG)],
)
def test_a_wrong_account_or_sender_is_never_by_configuration(
    provider: Callable[..., Provider], status: int, body: Any
) -> None:
    with pytest.raises(Never) as error:
        call(provider(http(status, body)).url)
    assert error.value.code == "config"


def test_a_payload_that_is_not_text_is_never_and_no_call_is_made(provider: Callable[..., Provider]) -> None:
    at = provider(http(201, taken()))
    one = part()
    broken = Part(channel="sms", payload=b"\xff", sha256="", language="zh", items=one.items)
    with pytest.raises(Never) as error:
        call(at.url, broken)
    assert error.value.code == "payload"
    assert at.asked == []


def test_the_environment_cannot_send_an_alert_elsewhere(
    provider: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TWILIO_EDGE": "sydney",
        "TWILIO_REGION": "au1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    at = provider(http(201, taken()))
    assert len(call(at.url)) == 1
    assert len(at.asked) == 1


def test_one_wire_serves_one_event_loop_after_the_other(provider: Callable[..., Provider]) -> None:
    at = provider(http(201, taken()))
    made = wire(at.url)
    for _ in range(2):
        asyncio.run(made.call(part()))
    asyncio.run(made.aclose())
    assert len(at.asked) == 2


def test_nothing_of_a_message_reaches_a_log(
    provider: Callable[..., Provider], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    call(provider(http(201, taken())).url)
    with pytest.raises(DeliveryError):
        call(provider(http(500, b"+8613800138000")).url)
    assert "138" not in caplog.text
    assert "暴雨" not in caplog.text


@given(st.integers(100, 599), st.binary(max_size=40), st.sampled_from(["", "1", "x"]))
@settings(max_examples=300)
def test_any_answer_at_all_is_a_success_a_refusal_or_one_of_our_three_errors(
    status: int, raw: bytes, wait: str
) -> None:
    try:
        judge(status, raw, {"Retry-After": wait})
    except (NotNow, Never, Unsure) as error:
        assert not 200 <= status < 300, error
        assert status < 500 or isinstance(error, Unsure)
    else:
        assert 200 <= status < 300 or 400 <= status < 500


def test_dates_are_read_as_the_standard_library_reads_them() -> None:
    moment = dt.datetime(2026, 7, 1, 8, 0, tzinfo=dt.UTC)
    later = email.utils.format_datetime(moment + dt.timedelta(seconds=30), usegmt=True)
    assert retry_after(later, date=email.utils.format_datetime(moment, usegmt=True)) == dt.timedelta(
        seconds=30
    )
