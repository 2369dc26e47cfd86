"""Slices by kind of query."""

import numpy as np
import pytest

from eval.metrics.judged import Judgments
from eval.metrics.user_items import UserItems
from eval.search.kinds import head_and_tail, known_users, language_of, language_slices, no_lexical_match, typo_slice
from eval.search.query_set import QuerySet
from eval.search.text_scores import LexicalScores


@pytest.mark.parametrize(
    ("query", "language"),
    [
        ("牛奶", "zh"),
        ("30元以下 牛奶", "zh"),
        ("お茶 抹茶", "ja"),
        ("우유", "ko"),
        ("молоко", "ru"),
        ("χυμός", "el"),
        ("حليب", "ar"),
        ("Brot für Hotdogs", "de"),
        ("Käse", "de"),
        ("Milch ohne Laktose", "de"),
        ("leche sin lactosa", "es"),
        ("pañales", "es"),
        ("comida para gatos", "es"),
        ("lait sans lactose", "fr"),
        ("crème fraîche", "fr"),
        ("pain pour hot-dogs", "fr"),
        ("food for my cat", "en"),
        ("cereal under 3 dollars", "en"),
        ("oat milk", None),
        ("55-inch tv", None),
        ("", None),
    ],
)
def test_language_of_scripts_letters_and_little_words(query, language):
    assert language_of(query) == language


def test_languages_are_slices_where_there_are_several_with_enough_queries():
    queries = ["Käse", "Milch ohne Zucker", "Brot für alle", "Äpfel", "süßer Tee", "leche sin azúcar", "tea"]
    found = language_slices(queries)
    assert list(found) == ["language de"]
    assert found["language de"].tolist() == [True] * 5 + [False] * 2
    assert language_slices(["Käse"] * 9) == {}


def test_a_typo_is_an_unknown_word_one_edit_from_a_known_one(shop):
    queries = ["gren tea", "green tea", "crossant", "croisasnt", "zebra", "baguette", "GREEN", "oat cokie small"]
    found = dict(zip(queries, typo_slice(queries, shop.catalog).tolist(), strict=True))
    assert found == {
        "gren tea": True,
        "green tea": False,
        "crossant": True,
        "croisasnt": True,
        "zebra": False,
        "baguette": False,
        "GREEN": False,
        "oat cokie small": True,
    }


def test_no_lexical_match_is_where_no_relevant_item_has_a_word_of_the_query(shop):
    queries = ("green tea", "something warm", "green thing", "unjudged words")
    relevant = UserItems.of(np.array([0, 1, 2]), np.array([0, 0, 10]), 4, len(shop.catalog))
    found = QuerySet("judged", queries, (None,) * 4, Judgments.binary(relevant))
    # "green" stands in other items than the one that is relevant to the third.
    assert no_lexical_match(found, LexicalScores.of(shop.catalog)).tolist() == [False, True, True, False]
    assert no_lexical_match(found, LexicalScores.of(shop.catalog), batch=1).tolist() == [False, True, True, False]


def test_head_queries_make_up_half_of_the_searches():
    counts = {"milk": 50, "bread": 30, "tea": 15, "rye": 5}
    found = head_and_tail(["milk", "bread", "new", "tea"], counts)
    assert found["head"].tolist() == [True, False, False, False]
    assert found["tail"].tolist() == [False, True, True, True]
    assert head_and_tail(["bread"], counts, share=0.6)["head"].tolist() == [True]


def test_users_with_and_without_history_are_slices_where_there_are_both():
    found = known_users(["a", None, "b"], {"a"})
    assert {name: members.tolist() for name, members in found.items()} == {
        "known user": [True, False, False],
        "unknown user": [False, True, True],
    }
    assert known_users(["a", "a"], {"a"}) == {}
    assert known_users([None], {"a"}) == {}
