"""Whatever bytes come, the parsers of the doors answer or refuse, soon, and in their own words."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from channels import twilio_sms
from domain.errors import BadInput, NotAllowed
from tests.web.api_world import AUTH, SID, SMS_URL, sms_form
from web import multipart, strict_json

JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)
BITS = st.sampled_from(
    [
        b"--b",
        b"\r\n",
        b"--b--",
        b"\n",
        b'Content-Disposition: form-data; name="text"',
        b'; filename="a"',
        b"\r\n\r\n",
        b"Content-Type: x",
        b"\0",
        b"\xff",
        b"name*=utf-8''x",
        b":",
        b'"',
    ]
) | st.binary(max_size=20)
NAMES = st.sampled_from(
    [*sms_form(), "NumMedia", "MediaUrl0", "body", "Body[]", "", "\0", "__class__"]
) | st.text(max_size=8)


def _soon(work: Callable[[], Any]) -> None:
    began = time.monotonic()
    try:
        work()
    except (BadInput, NotAllowed) as error:
        assert "Error" not in error.detail and "Traceback" not in error.detail
    assert time.monotonic() - began < 2


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300)
    | JSON_LIKE.map(lambda v: json.dumps(v).encode())
    | st.text('"[]{}\\\\:,0e1.-u').map(str.encode)
)
def test_h49_any_bytes_are_json_or_refused(raw: bytes) -> None:
    _soon(lambda: strict_json.loads(raw))
    _soon(lambda: strict_json.loads(raw * 500))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(BITS, max_size=30).map(b"".join),
    st.text(max_size=40) | st.just("multipart/form-data; boundary=b"),
)
def test_h23_any_bytes_are_a_form_with_files_or_refused(raw: bytes, kind: str) -> None:
    for body in (raw, b"--b\r\n" + raw + b"\r\n--b--\r\n"):
        _soon(lambda body=body: multipart.parse(body, kind, names=("text",)))
        _soon(lambda body=body: multipart.split(body * 50, kind, may_be_cut=True))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.text(max_size=30)), max_size=12),
    st.binary(max_size=200),
    st.text(max_size=60),
    st.datetimes(),
)
def test_h20_any_form_is_of_the_shape_or_refused(
    pairs: list[tuple[str, str]], raw: bytes, query: str, at: Any
) -> None:
    form = urlencode([*sms_form().items(), *pairs], errors="surrogatepass").encode()
    for body in (raw, form, urlencode(pairs, errors="surrogatepass").encode()):
        _soon(lambda body=body: twilio_sms.parse_message(body, account_sid=SID, at=at))
        _soon(lambda body=body: twilio_sms.parse_status(body, query, account_sid=SID, at=at))
        _soon(lambda body=body: twilio_sms.verify(SMS_URL, body, "A" * 27 + "=", AUTH))
