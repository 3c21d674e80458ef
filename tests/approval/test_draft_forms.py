"""From the body of a request to a draft: every member's rules, and the examples."""

import json

import pytest

from approval import checks, desk, forms, gather
from domain.errors import BadInput
from domain.handling import Handling
from domain.release import Audience, Colour
from templates.library import library
from tests.approval import releases_made as made

# What is checked here does not depend on the database: one of them is enough.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def read(store, people, at, body, before=None):
    return store.read(lambda u: forms.draft_from_body(u, body, by=people["officer"], at=at, before=before))


@pytest.mark.parametrize("template", sorted(library()))
def test_an_example_can_be_posted_and_submitted_as_it_is(store, people, areas, at, template: str) -> None:
    body = json.loads(json.dumps(made.body(at, template)))
    assert set(body) == set(forms.FIELDS)
    draft = read(store, people, at, body)
    release = store.run(lambda u: desk.create(u, draft, by=people["officer"], at=at))
    inputs = store.read(lambda u: gather.prepare_stored(u, release.id, zone=made.ZONE))
    assert checks.freeze(inputs, made.PLACE, at=at).release_id == release.id


def test_a_draft_and_its_body_are_the_same(store, people, areas, at) -> None:
    body = made.body(at, grade=2, onset="2026-11-23T15:00:00+08:00",
                     audience={"areas": ["990100"], "groups": ["responsible"], "languages": ["en"]})  # fmt: skip
    draft = read(store, people, at, body)
    assert read(store, people, at, json.loads(json.dumps(forms.body_from_draft(draft)))) == draft
    assert draft.audience == Audience(areas=("990100000000",), groups=("responsible",), languages=("en",))
    assert (draft.colour, draft.handling) == (Colour.ORANGE, Handling.PUBLIC)


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("/templat", {"templat": "heavy_rain"}),
        ("/a~1b~0c", {"a/b~c": 1}),
        ("/template", {"template": "nonsense"}),
        ("/template", {"template": ["heavy_rain"]}),
        ("/template", {"template": None}),
        ("/issuer", {"issuer": "台" * 61}),
        ("/issuer", {"issuer": 5}),
        ("/issuer", {"issuer": "台\u0000"}),
        ("/issuer", {"issuer": "台\ud800"}),
        ("/colour", {"colour": "Orange"}),
        ("/colour", {"colour": ["red"]}),
        ("/colour", {"colour": {}}),
        ("/grade", {"grade": 0}),
        ("/grade", {"grade": True}),
        ("/grade", {"grade": "1"}),
        ("/grade", {"grade": 1.0}),
        ("/response_level", {"response_level": 5}),
        ("/handling", {"handling": "secret"}),
        ("/areas", {"areas": "990101"}),
        ("/areas", {"areas": [990101]}),
        ("/areas", {"areas": ["990101"] * 201}),
        ("/areas/1", {"areas": ["990101", "99-101"]}),
        ("/areas/0", {"areas": ["110000"]}),
        ("/audience", {"audience": []}),
        ("/audience", {"audience": {"everyone": True}}),
        ("/audience/areas/0", {"audience": {"areas": ["110000"]}}),
        ("/audience/groups", {"audience": {"groups": "responsible"}}),
        ("/audience/groups", {"audience": {"groups": ["a\u0000"]}}),
        ("/languages", {"languages": "en"}),
        ("/channels", {"channels": [None]}),
        ("/channels", {"channels": [""]}),
        ("/expires", {"expires": None}),
        ("/expires", {"expires": "2026-11-23T20:00:00"}),
        ("/expires", {"expires": "2026-11-23"}),
        ("/expires", {"expires": "2026-W48-1T20:00:00+08:00"}),
        ("/expires", {"expires": "2026-13-23T20:00:00+08:00"}),
        ("/expires", {"expires": "2026-11-23T25:00:00+08:00"}),
        ("/expires", {"expires": "2026-11-23T20:00:00+99:00"}),
        ("/expires", {"expires": "0001-01-01T00:00:00+23:59"}),
        ("/expires", {"expires": 1795435500}),
        ("/onset", {"onset": "now"}),
        ("/effective", {"effective": {}}),
        ("/review_by", {"review_by": ""}),
        ("/repeat_unsure", {"repeat_unsure": "yes"}),
        ("/fields", {"fields": []}),
        ("/fields/hours", {"fields": {"hours": 1.5}}),
        ("/fields/hours", {"fields": {"hours": True}}),
        ("/fields/hours", {"fields": {"hours": 2**60}}),
        ("/fields/hazards", {"fields": {"hazards": ["both"]}}),
        ("/fields/places_zh", {"fields": {"places_zh": "山" * 2001}}),
        ("/fields/places_zh", {"fields": {"places_zh": "a\u0000"}}),
        ("/fields/a~1b", {"fields": {"a/b": []}}),
        ("/from_report", {"from_report": 7}),
    ],
)
def test_a_member_that_does_not_fit_is_named(store, people, areas, at, pointer: str, changes) -> None:
    with pytest.raises(BadInput) as error:
        read(store, people, at, made.body(at) | changes)
    assert pointer in {f.pointer for f in error.value.flaws}


def test_all_flaws_come_at_once(store, people, areas, at) -> None:
    with pytest.raises(BadInput) as error:
        read(store, people, at, {"template": "x", "grade": 9, "wrong": 1})
    assert [f.pointer for f in error.value.flaws] == ["/wrong", "/template", "/expires", "/grade"]


def test_a_draft_may_be_unfinished(store, people, areas, at) -> None:
    draft = read(store, people, at, {"template": "heavy_rain", "expires": "2026-11-23T20:00:00Z"})
    assert (draft.areas, draft.colour, draft.issuer) == ((), None, people["officer"].organisation)
    assert draft.expires.isoformat() == "2026-11-23T20:00:00+00:00"


def test_texts_become_nfc_and_times_whole_seconds(store, people, areas, at) -> None:
    body = made.body(at, issuer=" Me\u0301te\u0301o ", expires="2026-11-23t20:00:00.987654321+08:00",
                     fields={"places_en": "Xi\u0301"})  # fmt: skip
    draft = read(store, people, at, body)
    assert (draft.issuer, draft.fields["places_en"]) == ("Météo", "Xí")
    assert draft.expires.microsecond == 0


def test_an_area_named_twice_is_one_area(store, people, areas, at) -> None:
    assert read(store, people, at, made.body(at, areas=["990101", "990101000000"])).areas == (made.DISTRICT,)


def test_an_edited_draft_keeps_the_version_of_its_template(store, people, areas, at) -> None:
    draft = read(store, people, at, made.body(at))
    again = read(store, people, at, forms.body_from_draft(draft) | {"grade": 1}, before=draft)
    assert (again.template_version, again.grade) == (draft.template_version, 1)
    other = read(store, people, at, made.body(at, "utility_outage"), before=draft)
    assert other.template == "utility_outage"
