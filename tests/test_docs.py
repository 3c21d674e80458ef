"""The lists in the documents are those of the code."""

import re
from pathlib import Path

import pytest

from domain import parcel, release, report
from hub.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def test_every_setting_stands_in_the_settings_document_and_none_is_imaginary() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    named = set(re.findall(r"^\| `(TOCSIN_[A-Z_]+)`", text, re.MULTILINE))
    assert named == {f"TOCSIN_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("states", [report.Arrival, report.MediaState, report.ScanState, report.State, release.State,
                                    parcel.ParcelState, parcel.DeliveryState, parcel.DispatchState])  # fmt: skip
def test_every_state_stands_in_the_states_document(states: type) -> None:
    text = (ROOT / "docs/states.md").read_text()
    assert [s.value for s in states if f"`{s.value}`" not in text] == []


@pytest.mark.parametrize("file", ["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md",
                                  "SECURITY.md", "CHANGELOG.md"])  # fmt: skip
def test_links_between_documents_lead_somewhere(file: str) -> None:
    text = (ROOT / file).read_text()
    targets = [t.split("#")[0] for t in re.findall(r"\]\((?!https?:|mailto:)([^)]+)\)", text)]
    assert [t for t in targets if t and not (ROOT / t).exists()] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(p.name[:4]) for p in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_pictures_are_light_enough_for_slow_lines() -> None:
    assert [p.name for p in (ROOT / "docs/images").glob("*.png") if p.stat().st_size > 200_000] == []
