"""The table of event types, as an officer of either language reads it."""

from domain.events import event_types


def test_every_event_type_has_a_name_in_both_languages() -> None:
    assert [t.code for t in event_types().values() if not (t.name_zh and t.name_en)] == []
    assert all(t.name_en.isascii() for t in event_types().values())
