"""Variations of a query: what they change, and that they are the same everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from eval.search.variations import SHORTEST, misspelt, reordered, shortened, words_of

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=1, max_size=5).map(" ".join)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Spices & Seasonings", ["spices", "seasonings"]),
        ("Popular 750Ml Wines", ["popular", "750ml", "wines"]),
        ("Eggs - Large (A", ["eggs", "large"]),
        ("ÄPFEL, grüne", ["äpfel", "grüne"]),
        ("お茶 抹", ["お茶", "抹"]),
        ("", []),
    ],
)
def test_words_are_folded_and_signs_and_single_letters_go(text, words):
    assert words_of(text) == words


@given(WORDS, st.integers(0, 50))
def test_a_misspelt_query_has_one_edit_in_one_word_and_keeps_first_letters(query, seed):
    found = misspelt(query, seed)
    if found is None:
        assert all(len(word) < SHORTEST for word in query.split())
        return
    pairs = list(zip(query.split(), found.split(), strict=True))
    changed = [(typed, read) for typed, read in pairs if typed != read]
    assert len(changed) == 1
    assert OSA.distance(*changed[0]) == 1
    assert all(typed[0] == read[0] for typed, read in pairs)


@given(WORDS, st.integers(0, 50))
def test_a_shortened_query_keeps_its_longest_word_or_the_beginning_of_its_only_one(query, seed):
    found = shortened(query, seed)
    words = query.split()
    if len(words) > 1:
        assert found is not None
        assert len(found.split()) == len(words) - 1
        assert max(map(len, found.split())) == max(map(len, words))
    elif found is not None:
        assert query.startswith(found)
        assert SHORTEST <= len(found) < len(query)


@given(WORDS, st.integers(0, 50))
def test_a_reordered_query_has_the_same_words_in_another_order(query, seed):
    found = reordered(query, seed)
    if found is None:
        assert len(set(query.split())) == 1
    else:
        assert found != query
        assert sorted(found.split()) == sorted(query.split())


@pytest.mark.parametrize("vary", [misspelt, shortened, reordered])
def test_the_same_seed_gives_the_same_and_other_seeds_give_others(vary):
    query = "mainstream white bread loaves"
    assert vary(query, 1) == vary(query, 1)
    assert len({vary(query, seed) for seed in range(12)}) > 1
