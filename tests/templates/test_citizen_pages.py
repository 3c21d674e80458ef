"""Every word of the citizen's pages stands in both languages and is used."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from domain.report import Arrival, Progress
from domain.task import STEPS, TaskState
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


def test_the_words_of_the_field_stand_in_both_languages_and_are_used() -> None:
    own = citizen_pages._read("field")
    assert list(_names(own["zh-CN"])) == list(_names(own["en"]))
    places = [*(PAGES.parent / "field").glob("*.html"), PAGES / "frame.html", PAGES / "parts.html"]
    used = set(re.findall(r"\bw\.([a-z0-9_]+)", "".join(file.read_text() for file in places)))
    joined = citizen_pages.words("field")["en"]
    assert set(own["en"]) - used == set() and used - set(joined) == set()
    assert set(joined["said"]) > set(citizen_pages.words()["en"]["said"])


def test_every_state_and_step_of_a_task_has_a_word_in_the_field() -> None:
    for made in citizen_pages.words("field").values():
        assert set(made["task_state"]) == {state.value for state in TaskState}
        assert set(made["step"]) == set(STEPS) and set(made["done"]) == {"sent", *STEPS}
        assert set(made["item_state"]) == {state.value for state in Arrival}


def test_every_progress_has_a_word_and_a_sentence() -> None:
    for made in citizen_pages.words().values():
        assert set(made["progress"]) == set(made["progress_more"]) == {p.value for p in Progress}


def test_the_style_sheet_fetches_nothing() -> None:
    assert len(sheet.style("citizen")) <= 6 * 1024 and b"url(" not in sheet.style("citizen")
