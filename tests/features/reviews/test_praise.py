"""What reviews praise: aspects with enough reviews and a large enough share, and words of praising sentences alone."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import DataError
from features.names import NEGATIVE, NEUTRAL, POSITIVE
from features.reviews.praise import PraisedAspects, praising_words
from features.reviews.scored import ScoredReviews
from tests.features.reviews.known import Told, scored

GOOD, BAD = ("quality", "Solid quality.", POSITIVE), ("quality", "Poor quality.", NEGATIVE)


def words(*sentences: tuple[str, str], item: int = 0, times: int = 2) -> str:
    """The words of an item that so many reviews speak of in the same sentences, each with its sentiment."""
    told: list[Told] = [("quality", sentence, sentiment) for sentence, sentiment in sentences]
    return praising_words(scored(*[(item, told)] * times), np.arange(2), 2)[item]


@pytest.mark.parametrize(
    ("good", "bad", "praised"), [(5, 0, True), (4, 0, False), (5, 2, True), (7, 3, True), (7, 4, False), (0, 9, False)]
)
def test_an_item_is_praised_by_enough_reviews_and_most_of_them(good: int, bad: int, praised: bool) -> None:
    found = PraisedAspects.of(scored(*[(1, [GOOD])] * good, *[(1, [BAD])] * bad))
    assert found.items("quality", 3).tolist() == [False, praised, False]


def test_what_does_not_count_praises_nothing() -> None:
    reviews = [(0, [GOOD])] * 5
    assert PraisedAspects.of(scored(*reviews)).items("quality", 1).tolist() == [True]
    assert PraisedAspects.of(scored(*reviews, (0, [BAD]), left_out=[5])).items("quality", 1).tolist() == [True]
    assert PraisedAspects.of(scored(*reviews, left_out=[2])).items("quality", 1).tolist() == [False]
    assert praising_words(scored(*reviews[:2], left_out=[0]), np.arange(1), 1).to_list() == [""]


def test_one_review_counts_once() -> None:
    twice: list[Told] = [GOOD, ("quality", "Well made.", POSITIVE)]
    assert PraisedAspects.of(scored(*[(0, twice)] * 4)).items("quality", 1).tolist() == [False]
    assert PraisedAspects.of(scored(*[(0, twice)] * 5)).items("quality", 1).tolist() == [True]


@pytest.mark.parametrize("name", ["quality", "Quality", " QUALITY "])
def test_case_and_spaces_of_an_aspect_do_not_matter(name: str) -> None:
    assert PraisedAspects.of(scored(*[(0, [GOOD])] * 5)).items(name, 1).tolist() == [True]


@pytest.mark.parametrize("name", ["qualty", "noise", ""])
def test_an_unknown_aspect_is_said_with_those_that_are_known(name: str) -> None:
    with pytest.raises(DataError, match=r"no review mentions the aspect .*expected one of quality$") as error:
        PraisedAspects.of(scored((0, [GOOD]))).items(name, 1)
    assert ("did you mean 'quality'?" in str(error.value)) is (name == "qualty")


def test_a_shop_without_reviews_is_told_how_to_get_them() -> None:
    with pytest.raises(DataError, match=r"no reviews .*: run `recsys ingest` with --reviews FILE"):
        PraisedAspects.of(ScoredReviews.empty()).items("quality", 1)


def test_aspects_are_counted_among_some_items() -> None:
    fit = ("size and fit", "Fits well.", POSITIVE)
    found = PraisedAspects.of(scored(*[(item, [GOOD]) for item in (1, 2, 4)] * 5, *[(2, [fit])] * 5, (3, [("price", "So so.", NEUTRAL)])))
    assert found.counts(np.array([4, 2, 0])) == {"quality": 2, "size and fit": 1}
    assert list(found.rows) == ["price", "quality", "size and fit"]
    assert found.counts(np.array([3])) == found.counts(np.array([], dtype=np.int64)) == {}


def test_only_praising_sentences_give_words() -> None:
    assert set(words(("So quiet!", POSITIVE), ("It is loud.", NEGATIVE), ("Average handle.", NEUTRAL)).split()) == {"quiet"}


def test_a_word_of_one_review_is_left_out() -> None:
    assert words(("So quiet!", POSITIVE), times=1) == ""


@pytest.mark.parametrize(
    "sentence",
    [
        *(
            "It is not loud.",
            "Not too loud.",
            "It isn't loud.",
            "It isn’t loud at all.",
            "Never loud!",
            "No loud fan.",
            "It works without a loud fan.",
        ),
        *("Nicht laut.", "Kein lautes Gebläse.", "Ohne lautes Gebläse.", "Pas trop bruyant.", "Sans bruit.", "Nunca ruidoso.", "不吵。"),
    ],
)
def test_what_is_denied_gives_no_word(sentence: str) -> None:
    denied = {"loud", "laut", "lautes", "bruyant", "bruit", "ruidoso", "吵"}
    found = words((f"{sentence} Silent.", POSITIVE))
    assert "silent" in found.split()
    assert denied.isdisjoint(found.split())


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("I want quiet things.", {"want", "quiet", "things"}),
        ("Not only quiet but light.", {"quiet", "light"}),
        ("非常安静，很好用", {"非常", "常安", "安静", "很好", "好用"}),
        ("Très élégant et léger", {"elegant", "leger"}),
    ],
)
def test_words_are_those_that_a_search_looks_for(sentence: str, expected: set[str]) -> None:
    assert set(words((sentence, POSITIVE)).split()) == expected


def test_what_more_reviews_say_stands_more_often() -> None:
    quiet, light = ("performance", "Quiet.", POSITIVE), ("material", "Light.", POSITIVE)
    found = praising_words(scored(*[(0, [quiet])] * 8, *[(0, [light])] * 2), np.array([0]), 1)[0].split()
    assert (found.count("quiet"), found.count("light")) == (8, 2)


def test_items_of_one_key_are_read_together() -> None:
    quiet, light = ("performance", "Quiet.", POSITIVE), ("material", "Light.", POSITIVE)
    both = praising_words(scored(*[(0, [quiet])] * 2, *[(2, [light])] * 2), np.array([1, 0, 1]), 2)
    assert [set(text.split()) for text in both] == [set(), {"quiet", "light"}]
    assert both[1].split().count("quiet") == 5


def test_a_shop_without_reviews_has_empty_texts() -> None:
    assert praising_words(ScoredReviews.empty(), np.arange(3), 3).to_list() == ["", "", ""]
