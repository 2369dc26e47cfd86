"""What the metrics of searches count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recsys.service.metrics import SEARCH_FINDINGS, SEARCHES
from recsys.service.search import counts
from recsys.service.search.counts import SECONDS, SearchCounts
from tests.recsys.conftest import FOUND

PLAIN = replace(FOUND, corrections=(), filters=(), fallback=None)
KINDS = ("zero_results", "mended", "relaxed", "reformulated")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def searches(clock: Clock) -> SearchCounts:
    return SearchCounts(clock)


def told(searches: SearchCounts, *asked: tuple[str, str | None] | object) -> dict[str, float]:
    """What was counted of answers, or of (words, user) of plain ones."""

    def totals() -> dict[str, float]:
        return {kind: SEARCH_FINDINGS.labels(kind)._value.get() for kind in KINDS} | {"all": SEARCHES._value.get()}

    before = totals()
    for one in asked:
        if isinstance(one, tuple):
            searches.note(replace(PLAIN, query=one[0]), one[1])
        else:
            searches.note(one, None)  # pyright: ignore[reportArgumentType]
    return {name: value - before[name] for name, value in totals().items() if value != before[name]}


def test_what_became_of_an_answer(searches: SearchCounts) -> None:
    assert told(searches, PLAIN) == {"all": 1}
    assert told(searches, replace(PLAIN, items=())) == {"all": 1, "zero_results": 1}
    assert told(searches, replace(PLAIN, fallback="no item has these words")) == {"all": 1, "zero_results": 1}
    assert told(searches, replace(PLAIN, corrections=FOUND.corrections)) == {"all": 1, "mended": 1}
    assert told(searches, replace(FOUND, corrections=(), filters=FOUND.filters[:1], fallback=None)) == {"all": 1}
    # That a filter was dropped is no lack of items with the words.
    assert told(searches, replace(FOUND, corrections=())) == {"all": 1, "relaxed": 1}


def test_other_words_soon_after_are_a_reformulation(searches: SearchCounts, clock: Clock) -> None:
    assert told(searches, ("ot milk", "u")) == {"all": 1}
    clock.now += SECONDS
    assert told(searches, ("oat milk", "u")) == {"all": 1, "reformulated": 1}
    clock.now += SECONDS + 1
    assert told(searches, ("oat milk barista", "u")) == {"all": 1}


@pytest.mark.parametrize(
    "asked",
    [
        [("milk", "u"), ("tea", "v")],
        [("milk", None), ("tea", None)],
        [("oat milk", "u"), (" Oat  MILK", "u")],
    ],
)
def test_what_is_no_reformulation(searches: SearchCounts, asked: list[tuple[str, str | None]]) -> None:
    assert told(searches, *asked) == {"all": 2}


def test_after_an_event_it_is_another_wish(searches: SearchCounts) -> None:
    told(searches, ("milk", "u"))
    searches.acted("u")
    searches.acted("nobody")
    searches.acted(None)
    assert told(searches, ("tea", "u")) == {"all": 1}


def test_memory_is_bounded_and_holds_no_words(searches: SearchCounts, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "KEPT", 3)
    told(searches, *((f"gift for Anna {number}", f"user {number}") for number in range(9)))
    assert list(searches._latest) == ["user 6", "user 7", "user 8"]
    assert "Anna" not in str(searches._latest)
    clock.now += SECONDS + 1
    told(searches, ("milk", "user 7"))
    assert list(searches._latest) == ["user 7"]
