"""A hub under test may go by a shifted clock; one that reaches people may not."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Refused
from domain.handling import Mode
from hub import birth, clock
from hub.settings import Settings
from hub.wiring import build

AT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)


def test_a_shift_counts_from_the_next_look_on_for_every_process_that_reads_the_file(tmp_path) -> None:
    file = tmp_path / "clock"
    file.write_text("0")
    one, other = (clock.of(Mode.EXERCISE, lambda: AT, file) for _ in range(2))
    assert one() == other() == AT
    file.write_text("-90.5")
    assert one() == other() == AT - timedelta(seconds=90.5)


def test_without_a_file_the_clock_is_the_machine_s(tmp_path) -> None:
    machine = lambda: AT  # noqa: E731
    assert clock.of(Mode.LIVE, machine, None) is machine


def test_a_live_hub_refuses_to_start_on_a_shifted_clock(tmp_path) -> None:
    file = tmp_path / "clock"
    file.write_text("0")
    settings = Settings(data_dir=tmp_path / "data", clock_file=file, sender_id="alerts@yj.example.cn")
    birth.prepare(settings, Mode.LIVE, AT)
    with pytest.raises(Refused) as refused:
        build(settings)
    assert refused.value.code == "mode_forbids_clock"


def test_a_demo_hub_goes_by_the_shifted_clock_of_its_settings(tmp_path) -> None:
    file = tmp_path / "clock"
    file.write_text("3600")
    settings = Settings(data_dir=tmp_path / "data", clock_file=file)
    birth.prepare(settings, Mode.DEMO, AT)
    hub = build(settings, clock=lambda: AT)
    try:
        assert hub.clock() == hub.outgoing.clock() == AT + timedelta(hours=1)
    finally:
        hub.close()


@pytest.mark.parametrize("text", [None, "", "soon", "1 h"])
def test_a_file_without_a_number_is_refused_at_the_start(tmp_path, text) -> None:
    file = tmp_path / "clock"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Refused) as refused:
        clock.of(Mode.DEMO, lambda: AT, file)
    assert refused.value.code == "bad_clock_file"


@pytest.mark.parametrize(
    ("said", "is_off"), [(-1, False), (0, False), (4, False), (7, False), (-3, True), (8, True)]
)
def test_r20_r38_an_answer_of_the_database_may_be_as_old_as_its_question(said, is_off) -> None:
    """Asked at 0 s and heard at 5 s by the machine: what was true in between, or within 2 s of it, is no fault of the clock."""
    followed = clock.Followed(lambda: AT)
    times = {"asked": AT, "answered": AT + timedelta(seconds=5)}
    database = AT + timedelta(seconds=said)
    assert (followed.differs(database, **times) > clock.OFF) is is_off
    assert followed.follow(database, **times) is is_off
    assert (followed() != AT) is is_off


def test_r20_a_clock_that_was_put_right_stays_so_while_answers_are_slow() -> None:
    followed = clock.Followed(lambda: AT)
    behind = AT + timedelta(hours=1)
    assert followed.follow(behind, asked=AT, answered=AT)
    for waited in (0, 3, 60):
        asked = AT - timedelta(seconds=waited)
        assert not followed.follow(behind - timedelta(seconds=waited / 2), asked=asked, answered=AT)
        assert followed() == behind
