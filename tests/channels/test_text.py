"""SMS lengths."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.text import segments
from tests.corpora import corpora


def test_counts_equal_every_vector_of_the_corpus() -> None:
    with (corpora() / "sms" / "segments.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = [
        r["name"]
        for r in rows
        if (s := segments(json.loads(r["text_json"])))
        and (s.encoding, s.units, s.parts) != (r["encoding"], int(r["units"]), int(r["segments"]))
    ]
    assert rows
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("雨" * 70, "UCS-2", 70, 1),
        ("雨" * 71, "UCS-2", 71, 2),
        ("雨" * 135, "UCS-2", 135, 3),
        ("雨" * 66 + "𠮷" + "雨" * 66, "UCS-2", 134, 3),
        ("a" * 152 + "[" + "b" * 152, "GSM-7", 306, 3),
        ("a\x1bb", "UCS-2", 3, 1),
        ("a\u00a0b", "UCS-2", 3, 1),
        ("ç", "UCS-2", 1, 1),
        ("\n", "GSM-7", 1, 1),
    ],
)
def test_known_lengths(text: str, encoding: str, units: int, parts: int) -> None:
    found = segments(text)
    assert (found.encoding, found.units, found.parts) == (encoding, units, parts)


@given(st.text(st.sampled_from("a€[𠮷雨 \n\x1bé🚀"), max_size=400) | st.text(max_size=400))
def test_parts_hold_what_they_may_and_join_to_the_text(text: str) -> None:
    found = segments(text)
    assert "".join(found.texts) == text
    assert len(found.texts) == found.parts
    for part in found.texts:
        width = len(part.encode("utf-16-le", "surrogatepass")) // 2
        if found.encoding == "GSM-7":
            width = len(part) + sum(part.count(c) for c in "\f^{}\\[~]|€")
        assert width <= found.per_part
