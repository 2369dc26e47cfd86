"""The circuit breaker, with a clock of the test's."""

from __future__ import annotations

from recsys.service.breaker import CircuitBreaker


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def opened() -> tuple[CircuitBreaker, Clock]:
    """A breaker that three failures in a row have just opened for ten seconds."""
    clock = Clock()
    breaker = CircuitBreaker(3, 10, clock)
    for _ in range(3):
        assert breaker.allows()
        breaker.record(success=False)
    return breaker, clock


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker(3, 10, Clock())
    for success in (False, False, True, False, False, True):
        breaker.record(success=success)
        assert breaker.allows()
    assert not opened()[0].allows()


def test_it_stays_open_for_its_time_and_then_lets_one_trial_through() -> None:
    breaker, clock = opened()
    clock.seconds = 9.9
    assert not breaker.allows()
    clock.seconds = 10
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_trial_that_succeeds_closes_it() -> None:
    breaker, clock = opened()
    clock.seconds = 10
    assert breaker.allows()
    breaker.record(success=True)
    breaker.record(success=False)
    assert [breaker.allows() for _ in range(3)] == [True] * 3


def test_a_trial_that_fails_opens_it_again() -> None:
    breaker, clock = opened()
    clock.seconds = 12
    assert breaker.allows()
    breaker.record(success=False)
    clock.seconds = 21.9
    assert not breaker.allows()
    clock.seconds = 22
    assert breaker.allows()


def test_a_trial_without_an_outcome_is_followed_by_another() -> None:
    breaker, clock = opened()
    clock.seconds = 10
    assert [breaker.allows(), breaker.allows()] == [True, False]
    clock.seconds = 20
    assert breaker.allows()
