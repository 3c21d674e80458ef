"""The mail wire: one mail to a relay over real sockets, and what each answer proves."""

import asyncio
import datetime as dt
import email
import email.policy
import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.codecs.mail_wrap import wrap
from channels.codecs.return_path import Box, ReturnPath
from channels.codecs.smtp_answer import MEANS, Said, Stage, judge
from channels.codecs.smtp_relay import Tls
from domain.errors import DeliveryError, Never, NotNow, Unsure
from domain.parcel import Answer, DeliveryState
from tests.channels.mail_kit import AT, CHINESE, DELIVERY, HEAD, PATH, RunningSink, part, send, wire
from tests.channels.test_smtp_door import certificate

ENGLISH = (
    "Power cut in Binhu\n\nNo electricity until 18:00.\n.hidden dot = and a very long line "
    + "x" * 300
    + "\n"
)


@pytest.fixture
def relay() -> Iterator[Callable[..., RunningSink]]:
    opened: list[RunningSink] = []

    def build(**config: Any) -> RunningSink:
        opened.append(RunningSink(**config))
        return opened[-1]

    yield build
    for one in opened:
        one.close()


def wrapped(payload: str | bytes, **more: Any) -> bytes:
    raw = payload if isinstance(payload, bytes) else payload.encode()
    given_ = {
        "to": "a@mail.example",
        "delivery_id": DELIVERY,
        "language": "zh-CN",
        "is_notice": False,
        "at": AT,
    }
    return wrap(raw, head=HEAD, **{**given_, **more})


def read(raw: bytes) -> EmailMessage:
    made = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(made, EmailMessage)
    assert not made.defects
    return made


# --- the mail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [CHINESE, ENGLISH])
def test_an_approved_text_reads_back_as_it_was_approved(text: str) -> None:
    subject, _, body = text.partition("\n\n")
    mail = read(wrapped(text))
    assert str(mail["subject"]) == subject
    assert mail.get_content().replace("\r\n", "\n") == body
    assert mail["from"].addresses[0].display_name == HEAD.name
    assert mail["from"].addresses[0].addr_spec == HEAD.address
    assert mail["date"].datetime == AT


def test_only_the_listed_headers_are_added() -> None:
    release = [
        *("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"),
        *("Content-Transfer-Encoding", "Content-Language", "Auto-Submitted", "X-Loop"),
    ]
    bulk = ["Precedence", "List-Id", "List-Unsubscribe"]
    assert read(wrapped(CHINESE)).keys() == release + bulk
    notice = read(wrapped(CHINESE, is_notice=True))
    assert notice.keys() == release  # nobody has subscribed to an answer to his own report
    assert notice["auto-submitted"] == "auto-replied"
    listed = read(wrapped(CHINESE))
    assert listed["list-unsubscribe"] == f"<mailto:{PATH.address(Box.UNSUBSCRIBE, DELIVERY)}?subject=STOP>"
    assert listed["auto-submitted"] == "auto-generated"


def test_the_same_text_gives_the_same_bytes_and_message_id_at_each_attempt() -> None:
    assert wrapped(CHINESE) == wrapped(CHINESE)
    later = wrapped(CHINESE, at=AT + dt.timedelta(minutes=5))
    assert read(later)["message-id"] == read(wrapped(CHINESE))["message-id"] == PATH.message_id(DELIVERY)
    longest = ReturnPath(key=b"k", domain="d" * 36 + ".org").message_id("dsp_" + "0" * 26 + "-9999-499")
    assert len(longest) <= 80  # what a delivery keeps of it


@given(
    subject=st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=300),
    body=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=500),
)
def test_any_text_is_wrapped_in_short_ascii_lines_and_reads_back(subject: str, body: str) -> None:
    if not subject.strip() or not body.strip():
        return
    raw = wrapped(f"{subject}\n\n{body}")
    lines = raw.split(b"\r\n")
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert not [line for line in lines if b"\n" in line or b"\r" in line or len(line) > 130]
    head, _, _ = raw.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n")[:6])) <= 78
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    words = email.header.decode_header(email.message_from_bytes(raw)["subject"])
    said = "".join(
        word.decode(charset or "ascii") if isinstance(word, bytes) else word for word, charset in words
    )
    assert said == subject.strip()
    data = mail.get_payload(decode=True).decode().replace("\r\n", "\n")
    assert data.rstrip("\n") == body.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"only a subject\n", b"\n\ntext without a subject", b"subject\n\n \n", b"\xff\xfe\n\ntext",
        b"subject\rBcc: everyone@mail.example\n\ntext", b"subject\nBcc: everyone@mail.example\n\ntext",
        "subject\u2028Bcc: x@mail.example\n\ntext".encode(), b"subject\x0bBcc: x\n\ntext", b"a\x00b\n\ntext",
        b"subject\r\nBcc: x@mail.example\r\n\r\ntext",
    ],
)  # fmt: skip
def test_bytes_of_another_form_and_header_injection_are_never_sent(
    relay: Callable[..., RunningSink], payload: bytes
) -> None:
    house = relay()
    (said,) = send(house.relay(), part(payload))
    assert isinstance(said, Never)
    assert said.code == "payload"
    assert house.sink.boxes.mails == []


# --- the return path ----------------------------------------------------------------------------------------


def test_a_return_address_names_its_delivery_and_fits_a_local_part() -> None:
    for box in Box:
        address = PATH.address(box, DELIVERY)
        assert len(address.partition("@")[0]) <= 64
        for form in (address, address.upper(), f"<{address}>"):
            found = PATH.read(form)
            assert found is not None
            assert (found.box, found.delivery_id) == (box, DELIVERY)
    assert len(PATH.address(Box.UNSUBSCRIBE, "dsp_" + "0" * 26 + "-99999-499").partition("@")[0]) <= 64


def test_a_forged_truncated_or_borrowed_token_names_nothing() -> None:
    good = PATH.address(Box.BOUNCES, DELIVERY)
    local, _, domain = good.partition("@")
    other = PATH.address(Box.BOUNCES, DELIVERY.replace("-499", "-498"))
    stranger = ReturnPath(key=b"x" * 32, domain=PATH.domain).address(Box.BOUNCES, DELIVERY)
    forged = [
        local[:-1] + "@" + domain,
        local + "a@" + domain,
        local.replace("-499-", "-498-") + "@" + domain,
        good.replace("bounces+", "unsubscribe+"),  # proof of one box is none of the other
        local[: -len(local.rpartition("-")[2])] + other.partition("@")[0].rpartition("-")[2] + "@" + domain,
        stranger,
        "bounces+@" + domain,
        "bounces+" + "a" * 300 + "@" + domain,
        "bounces+01jdz3k5v8w9xyzabcdefghjkm-12-499-ａａａａａａａａａａａａａａａ@" + domain,
    ]
    for address in forged:
        found = PATH.read(address)
        assert found is not None
        assert found.delivery_id == "", address
    for address in (
        "report@" + domain,
        "bounces@" + domain,
        local + "@elsewhere.example",
        "",
        "@",
        "bounces+",
    ):
        assert PATH.read(address) is None, address


# --- the conversation ---------------------------------------------------------------------------------------


def test_a_mail_that_is_taken_is_accepted_under_its_message_id(relay: Callable[..., RunningSink]) -> None:
    house = relay()
    ((answer,),) = send(house.relay(), part())
    assert answer == Answer(delivery_id=DELIVERY, state=DeliveryState.ACCEPTED,
                            provider_id=PATH.message_id(DELIVERY), code="250 2.0.0")  # fmt: skip
    (mail,) = house.sink.boxes.mails
    assert (mail.sender, mail.to) == (PATH.address(Box.BOUNCES, DELIVERY), "a@mail.example")
    assert mail.raw == wrapped(CHINESE)  # dots at the start of lines too


def test_a_connection_is_kept_and_a_refused_recipient_does_not_end_it(
    relay: Callable[..., RunningSink],
) -> None:
    house = relay()
    house.script({"to": "gone@*", "stage": "rcpt", "act": "refuse", "reply": "550 5.1.1 no such user"})
    said = send(house.relay(), part(), part(to="gone@mail.example"), part(), part(to="b@mail.example"))
    states = [answers[0].state for answers in said if not isinstance(answers, Exception)]
    assert states == [
        DeliveryState.ACCEPTED,
        DeliveryState.FAILED,
        DeliveryState.ACCEPTED,
        DeliveryState.ACCEPTED,
    ]
    assert said[1][0].code == "550 5.1.1"
    assert house.sink.connections == 1


def test_a_relay_that_left_a_kept_connection_is_called_again(relay: Callable[..., RunningSink]) -> None:
    house = relay()

    async def walk() -> list[Any]:
        made = wire(house.relay())
        said = [await made.call(part())]
        house.script(
            {"stage": "mail", "act": "refuse", "reply": "421 4.7.0 enough for one connection", "times": 1}
        )
        said.append(await made.call(part()))
        house.script({"stage": "rcpt", "act": "drop", "times": 1})
        said.append(await made.call(part()))
        await made.aclose()
        return said

    assert [answers[0].state for answers in asyncio.run(walk())] == [DeliveryState.ACCEPTED] * 3
    assert (house.sink.connections, len(house.sink.boxes.mails)) == (3, 3)


CASES: dict[str, tuple[dict[str, Any], type[DeliveryError] | DeliveryState, str, int]] = {
    "refused at the greeting": (dict(stage="connect", act="refuse", reply="554 5.3.2 not here"), Never, "554 5.3.2", 0),
    "busy at the greeting": (dict(stage="connect", act="refuse", reply="421 4.3.2 busy"), NotNow, "421 4.3.2", 0),
    "cut at the greeting": (dict(stage="connect", act="drop"), NotNow, "", 0),
    "garbage at the greeting": (dict(stage="connect", act="garbage"), NotNow, "", 0),
    "silence at the greeting": (dict(stage="connect", act="hang"), NotNow, "", 0),
    "sender refused": (dict(stage="mail", act="refuse", reply="550 5.7.1 sender refused"), Never, "550 5.7.1", 0),
    "login demanded": (dict(stage="mail", act="refuse", reply="530 5.7.0 log in"), Never, "530 5.7.0", 0),
    "later at MAIL": (dict(stage="mail", act="refuse", reply="452 4.3.1 no room"), NotNow, "452 4.3.1", 0),
    "no such mailbox": (dict(stage="rcpt", act="refuse"), DeliveryState.FAILED, "550 5.1.1", 0),
    "not for that one": (dict(stage="rcpt", act="refuse", reply="554 5.7.1 denied"), DeliveryState.FAILED, "554 5.7.1", 0),
    "without an enhanced code": (dict(stage="rcpt", act="refuse", reply="550 no"), DeliveryState.FAILED, "550", 0),
    "greylisted": (dict(stage="rcpt", act="refuse", reply="450 4.7.1 greylisted"), NotNow, "450 4.7.1", 0),
    "bad sequence": (dict(stage="rcpt", act="refuse", reply="503 5.5.1 MAIL first"), NotNow, "503 5.5.1", 0),
    "cut at RCPT": (dict(stage="rcpt", act="drop"), NotNow, "", 0),
    "silence at RCPT": (dict(stage="rcpt", act="hang"), NotNow, "", 0),
    "garbage at RCPT": (dict(stage="rcpt", act="garbage"), NotNow, "", 0),
    "nobody valid at DATA": (dict(stage="data", act="refuse", reply="554 5.5.1 nobody"), DeliveryState.FAILED, "554 5.5.1", 0),
    "later at DATA": (dict(stage="data", act="refuse", reply="451 4.3.0 later"), NotNow, "451 4.3.0", 0),
    "cut at DATA": (dict(stage="data", act="drop"), NotNow, "", 0),
    "250 in place of 354": (dict(stage="data", act="refuse", reply="250 what"), NotNow, "garbage", 0),
    "refused after a look": (dict(act="refuse", reply="554 5.7.1 spam"), DeliveryState.FAILED, "554 5.7.1", 0),
    "later after a look": (dict(act="refuse", reply="451 4.7.1 later"), NotNow, "451 4.7.1", 0),
    "closing after a look": (dict(act="refuse", reply="421 4.3.0 closing"), NotNow, "421 4.3.0", 0),
    "cut after the dot": (dict(act="drop"), Unsure, "", 0),
    "taken and cut": (dict(act="drop_taken"), Unsure, "", 1),
    "silence after the dot": (dict(act="hang"), Unsure, "", 0),
    "taken in silence": (dict(act="hang_taken"), Unsure, "", 1),
    "garbage after the dot": (dict(act="garbage_taken"), Unsure, "", 1),
    "354 after the dot": (dict(act="refuse", reply="354 more"), Unsure, "garbage", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_answer_proves_what_the_table_says(relay: Callable[..., RunningSink], name: str) -> None:
    rule, expected, code, taken = CASES[name]
    house = relay()
    house.script(rule)
    long, short = dt.timedelta(seconds=30), dt.timedelta(milliseconds=300)
    before = short if name.startswith("silence at") else long  # waited out only where the relay is silent
    after = short if "silence" in name else long
    (said,) = send(house.relay(before=before, after=after), part())
    if isinstance(expected, DeliveryState):
        assert not isinstance(said, Exception), said
        assert (said[0].state, said[0].code) == (expected, code)
    else:
        assert type(said) is expected, said
        assert said.code == code or not code
    assert len(house.sink.boxes.mails) == taken


def test_every_stage_has_an_answer_for_every_code() -> None:
    for stage in Stage:
        for code in (*range(0, 1000, 7), 250, 354, 421, 450, 503, 530, 550, 554, -1, 25, 2500):
            try:
                assert judge(Said(stage=stage, code=code)) in (True, False)
            except DeliveryError as error:
                assert error.code
    assert set(MEANS.values()) == {"taken", "failed", "never", "not_now"}


def test_nobody_listening_is_not_now(relay: Callable[..., RunningSink]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        house = relay()
        (said,) = send(house.relay(port=bound.getsockname()[1]), part())
    assert isinstance(said, NotNow)


HOSTILE = (
    "", "nobody", "@mail.example", "a@", "a b@mail.example", "a@mail.example>\r\nRCPT TO:<b@mail.example",
    "a@mail.example\n", "<a@mail.example>", "a@mail..example", "王@mail.example", '"a b"@mail.example',
    "a,b@mail.example", "a" * 65 + "@mail.example", "a@" + "b" * 260, "a@b@mail.example", "a@[127.0.0.1]", "a\0@mail.example",
)  # fmt: skip


@pytest.mark.parametrize("address", HOSTILE)
def test_what_is_no_address_fails_alone_and_is_never_said_to_the_relay(
    relay: Callable[..., RunningSink], address: str
) -> None:
    house = relay()
    ((answer,),) = send(house.relay(), part(to=address))
    assert (answer.state, answer.code) == (DeliveryState.FAILED, "bad_address")
    assert house.sink.connections == 0


def test_a_chinese_domain_is_mailed_to_in_punycode(relay: Callable[..., RunningSink]) -> None:
    house = relay()
    ((answer,),) = send(house.relay(), part(to="zhang@应急.example"))
    assert answer.state is DeliveryState.ACCEPTED
    assert (
        house.sink.boxes.mails[0].to == "zhang@xn--fcsv53l.example" or "xn--" in house.sink.boxes.mails[0].to
    )


def test_calls_in_flight_use_connections_of_their_own(relay: Callable[..., RunningSink]) -> None:
    house = relay()
    house.script({"delay_ms": 50})

    async def walk() -> None:
        made = wire(house.relay(before=dt.timedelta(seconds=30), after=dt.timedelta(seconds=30)))
        calls = [made.call(part(to=f"p{n}@mail.example")) for n in range(made.window)]
        await asyncio.gather(*calls)
        await asyncio.gather(*(made.call(part(to=f"q{n}@mail.example")) for n in range(made.window)))
        await made.aclose()

    asyncio.run(walk())
    assert sorted(mail.to for mail in house.sink.boxes.mails) == [
        f"{letter}{n}@mail.example" for letter in "pq" for n in range(4)
    ]
    assert house.sink.connections == 4


def test_a_cancelled_call_leaves_no_connection_that_another_could_take(
    relay: Callable[..., RunningSink],
) -> None:
    house = relay()
    house.script({"act": "hang_taken", "times": 1})

    async def walk() -> Any:
        made = wire(house.relay())
        first = asyncio.create_task(made.call(part(to="first@mail.example")))
        while not house.sink.boxes.mails:
            await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.wait([first])
        said = await made.call(part(to="second@mail.example"))
        await made.aclose()
        return said

    assert asyncio.run(walk())[0].state is DeliveryState.ACCEPTED
    assert house.sink.connections == 2


# --- protection ---------------------------------------------------------------------------------------------


def test_starttls_and_login_as_the_settings_say(relay: Callable[..., RunningSink], tmp_path: Path) -> None:
    house = relay(tls=certificate(tmp_path), login=("hub", "secret"))
    login = {"user": "hub", "password": "secret"}
    trusted = {"host": "localhost", "authority": str(tmp_path / "cert.pem")}
    ((answer,),) = send(house.relay(tls=Tls.STARTTLS, **trusted, **login), part())
    assert answer.state is DeliveryState.ACCEPTED
    (wrong,) = send(house.relay(tls=Tls.STARTTLS, **trusted, user="hub", password="wrong"), part())
    assert isinstance(wrong, Never)
    assert wrong.code == "535 5.7.8"
    (stranger,) = send(house.relay(tls=Tls.STARTTLS, host="localhost", **login), part())  # unknown authority
    assert isinstance(stranger, NotNow)
    assert len(house.sink.boxes.mails) == 1


def test_no_mail_goes_in_clear_where_tls_is_demanded(relay: Callable[..., RunningSink]) -> None:
    house = relay()
    for tls in (Tls.STARTTLS, Tls.IMPLICIT):
        (said,) = send(house.relay(tls=tls, before=dt.timedelta(seconds=2)), part())
        assert isinstance(said, NotNow)  # an attacker who strips STARTTLS must not bury an alert
    ((answer,),) = send(house.relay(tls=Tls.OFFERED), part())
    assert answer.state is DeliveryState.ACCEPTED


def test_tls_is_used_where_it_is_offered(relay: Callable[..., RunningSink], tmp_path: Path) -> None:
    house = relay(tls=certificate(tmp_path))
    ((answer,),) = send(house.relay(tls=Tls.OFFERED), part())
    assert answer.state is DeliveryState.ACCEPTED
    assert house.sink.encrypted == 1
