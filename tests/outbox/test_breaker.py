"""The breaker: a few failures open it, one call at a time tries again, only successes in a row close it."""

from datetime import timedelta
from itertools import pairwise

import pytest

from domain.errors import Never, NotNow, Unsure
from outbox.breaker import CLOSES_AFTER, FIRST_REST, LONGEST_REST, OPENS_AFTER, STEADY, Breaker, Standing

SILENCE = Unsure("no answer", code="500")
NOBODY = NotNow("no connection", code="ClientConnectorError", is_down=True)


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def breaker(seconds: Seconds) -> Breaker:
    return Breaker(monotonic=seconds)


def call(breaker: Breaker, error=None) -> bool:
    entered = breaker.enter()
    if entered is None:
        return False
    breaker.leave(entered, error)
    return True


def opened(breaker: Breaker, error=SILENCE) -> None:
    for _ in range(OPENS_AFTER):
        assert call(breaker, error)


@pytest.mark.parametrize("error", [SILENCE, NOBODY])
def test_five_failures_in_a_row_open_it_and_nothing_begins_until_it_has_rested(
    breaker, seconds, error
) -> None:
    opened(breaker, error)
    assert breaker.look().standing is Standing.OPEN
    assert not call(breaker)
    assert timedelta() < breaker.rest() <= FIRST_REST
    seconds.now += FIRST_REST.total_seconds()
    assert call(breaker)


@pytest.mark.parametrize("between", [None, Never("no", code="config"), NotNow("slower", code="20429")])
def test_any_answer_between_failures_keeps_it_closed(breaker, between) -> None:
    for _ in range(3):
        for _ in range(OPENS_AFTER - 1):
            assert call(breaker, SILENCE)
        assert call(breaker, between)
    assert breaker.look().standing is Standing.CLOSED


def test_one_call_at_a_time_until_enough_of_them_were_answered(breaker, seconds) -> None:
    opened(breaker)
    seconds.now += FIRST_REST.total_seconds()
    for _ in range(CLOSES_AFTER):
        entered = breaker.enter()
        assert entered is Standing.TRYING
        assert breaker.enter() is None
        assert breaker.is_one_by_one
        assert breaker.rest() > timedelta()
        breaker.leave(entered, None)
    assert not breaker.is_one_by_one
    assert [breaker.enter() for _ in range(9)] == [Standing.CLOSED] * 9


def test_each_failed_try_doubles_the_rest_up_to_a_minute(breaker, seconds) -> None:
    opened(breaker)
    rests = []
    for _ in range(8):
        rests.append(breaker.rest())
        seconds.now += breaker.rest().total_seconds()
        assert call(breaker, SILENCE)
    assert all(later > earlier * 1.5 for earlier, later in pairwise(rests[:5]))
    assert max(rests) <= LONGEST_REST
    assert breaker.rest() >= LONGEST_REST * 0.8


def test_one_that_stumbles_on_is_tried_less_and_less_often_until_it_has_held_for_a_while(
    breaker, seconds
) -> None:
    rests = []
    for _ in range(4):
        opened(breaker)
        rests.append(breaker.rest())
        seconds.now += breaker.rest().total_seconds()
        assert all(call(breaker) for _ in range(CLOSES_AFTER))
        assert breaker.look().standing is Standing.CLOSED
    assert all(later > earlier * 1.5 for earlier, later in pairwise(rests))
    seconds.now += STEADY.total_seconds() + 1
    opened(breaker)
    assert breaker.rest() <= FIRST_REST


def test_one_that_refuses_this_hub_rests_as_long_as_can_be(breaker) -> None:
    entered = breaker.enter()
    breaker.trip("config")
    breaker.leave(entered, NotNow("refused", code="config"))
    look = breaker.look()
    assert (look.standing, look.code) == (Standing.OPEN, "config")
    assert look.rest >= LONGEST_REST * 0.8
    assert breaker.is_passed_over


def test_calls_that_were_under_way_when_it_opened_neither_close_nor_prolong_it(breaker, seconds) -> None:
    begun = [breaker.enter() for _ in range(8)]
    for entered in begun[:OPENS_AFTER]:
        breaker.leave(entered, SILENCE)
    rest = breaker.rest()
    breaker.leave(begun[5], None)
    breaker.leave(begun[6], SILENCE)
    assert breaker.rest() == rest
    seconds.now += rest.total_seconds()
    probe = breaker.enter()
    breaker.leave(begun[7], None)
    assert breaker.enter() is None
    breaker.leave(probe, None)
    assert breaker.look().standing is Standing.TRYING


def test_a_pause_that_the_provider_asked_for_is_told_and_opens_nothing(breaker, seconds) -> None:
    call(breaker, NotNow("slower", code="20429", retry_after=timedelta(minutes=15)))
    look = breaker.look()
    assert (look.standing, look.is_told_to_wait, look.code) == (Standing.CLOSED, True, "20429")
    assert look.rest == timedelta(minutes=15)
    assert breaker.rest() == timedelta()
    assert look.is_troubled
    seconds.now += 850
    assert not breaker.look().is_troubled
