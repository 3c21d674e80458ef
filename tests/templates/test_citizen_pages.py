"""Every word of the citizen's pages stands in both languages and is used."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from domain.report import Progress
from templates import citizen_pages, sheet

PAGES = Path(__file__).resolve().parents[2] / "templates" / "citizen"


def _names(found: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _names(value, f"{before}{name}.")
        else:
            assert value.strip(), name
            yield before + name


def test_both_languages_have_the_same_words() -> None:
    made = citizen_pages.words()
    assert set(made) == set(citizen_pages.LANGUAGES)
    assert list(_names(made["zh-CN"])) == list(_names(made["en"]))


def test_every_word_is_used_and_every_used_word_is_there() -> None:
    text = "".join(file.read_text() for file in PAGES.glob("*.html"))
    used = set(re.findall(r"\bw\.([a-z0-9_]+)", text)) | {"demo", "exercise"}
    assert used == set(citizen_pages.words()["en"])


def test_every_progress_has_a_word_and_a_sentence() -> None:
    for made in citizen_pages.words().values():
        assert set(made["progress"]) == set(made["progress_more"]) == {p.value for p in Progress}


def test_the_style_sheet_fetches_nothing() -> None:
    assert len(sheet.style("citizen")) <= 6 * 1024 and b"url(" not in sheet.style("citizen")
