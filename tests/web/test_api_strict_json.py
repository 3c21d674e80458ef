"""The one JSON parser: a table of what it refuses, and that it says where without repeating what was sent."""

import json
import time

import pytest

from domain.errors import BadInput
from web import strict_json

REFUSED = {
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "Latin-1": b'{"a": "\xe9"}',
    "nothing": b"",
    "trailing garbage": b"{} {}",
    "a trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "1e999": b'{"a": 1e999}',
    "2^63": b'{"a": 9223372036854775808}',
    "-2^63-1": b'{"a": -9223372036854775809}',
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "5,000 digits behind a point": b'{"a": 0.' + b"9" * 5000 + b"}",
    "a name twice": b'{"a": 1, "a": 2}',
    "a name twice by escape": b'{"a": 1, "\\u0061": 2}',
    "a name twice deep inside": b'{"x": [{"a": 1, "a": 2}]}',
    "depth 21": b"[" * 21 + b"]" * 21,
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth 100,000 of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "depth 100,000 unclosed": b"[" * 100_000,
    "an escaped NUL": b'{"a": "x\\u0000y"}',
    "a NUL in a name": b'{"a\\u0000": 1}',
    "half a surrogate pair": b'{"a": "\\ud83d"}',
    "the other half": b'{"a": "\\ude00\\ud83d"}',
    "an encoded surrogate": b'{"a": "\xed\xa0\xbd"}',
    "a control character": b'{"a": "\x01"}',
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_doubtful_body_is_refused_at_once(name: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(BadInput) as caught:
        strict_json.loads(REFUSED[name])
    assert caught.value.code == "bad_json" and caught.value.flaws
    assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize(
    "value",
    [
        {"a": 9223372036854775807, "b": -9223372036854775808, "c": 0.25, "d": None, "e": [True, False]},
        {"text": '[[[{{{"\\"[', "emoji": "🌀", "zh": "暴雨橙色预警"},
        [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]],
        "[" * 50,
        {"": {"": ""}},
    ],
)
def test_what_any_parser_reads_alike_is_read(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=4)):
        assert strict_json.loads(text.encode()) == value


def test_the_pointer_leads_to_the_place_and_nothing_sent_is_repeated() -> None:
    with pytest.raises(BadInput) as caught:
        strict_json.loads(b'{"fields": {"a/b": ["ok", "secret\\u0000"]}}')
    assert [f.pointer for f in caught.value.flaws] == ["/fields/a~1b/1"]
    assert "secret" not in str(caught.value.flaws)


def test_true_is_no_integer_and_one_is_no_text() -> None:
    assert strict_json.loads(b'{"a": true}') == {"a": True}
    assert type(strict_json.loads(b'{"a": true}')["a"]) is bool
