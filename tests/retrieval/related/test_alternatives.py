"""Alternatives: one category, near texts and prices, in stock, of other products."""

from __future__ import annotations

import numpy as np
import pytest

from features.data.histories import Histories
from features.names import ALTERNATIVE_SCORE
from retrieval.related.alternatives import UNKNOWN_PRICE, Alternatives
from retrieval.related.substitutes import CategoryTexts
from tests.retrieval.related.shops import catalog_of

SIX, NEAR, DEAR, LAMP, GONE, VARIANT, UNPRICED, UNSORTED = range(8)
CATALOG = catalog_of(
    category=["mugs", "mugs", "mugs", "lamps", "mugs", "mugs", "mugs", None],
    price=[5.0, 5.5, 50.0, 5.0, 5.0, 5.0, None, 5.0],
    available=[True, True, True, True, False, True, True, True],
    group_id=["g", None, None, None, None, "g", None, None],
)
VECTORS = np.array([[1, 0], [0.8, 0.6]], dtype=np.float32)
TEXTS = CategoryTexts.of(CATALOG, VECTORS, np.array([0, 1, 0, 0, 0, 0, 0, 0]))
PRICES = CATALOG.frame["price"].fill_null(float("nan")).to_numpy()
ROW = Alternatives.of(CATALOG, TEXTS, PRICES)


def found(row: int, allowed: np.ndarray | None = None) -> list[int]:
    rows = ROW.retrieve(Histories.of_baskets([[row]], 0), 8, allowed).rows[0]
    return rows[rows >= 0].tolist()


def test_a_near_price_beats_a_nearer_text():
    candidates = ROW.retrieve(Histories.of_baskets([[SIX]], 0), 3)
    assert candidates.rows.tolist() == [[NEAR, UNPRICED, DEAR]]
    expected = [0.8 / 1.1, UNKNOWN_PRICE, 0.1]
    np.testing.assert_allclose(candidates.scores[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(candidates.features[ALTERNATIVE_SCORE], candidates.scores)


def test_neither_other_categories_nor_variants_nor_what_is_sold_out():
    assert not {LAMP, GONE, VARIANT, SIX, UNSORTED} & set(found(SIX))
    assert found(UNSORTED) == []


def test_who_says_what_is_allowed_says_what_is_in_stock():
    allowed = np.ones(8, dtype=bool)
    assert found(SIX, allowed)[0] == GONE
    allowed[[NEAR, GONE]] = False
    assert found(SIX, allowed) == [UNPRICED, DEAR]
    assert found(SIX, allowed[None]) == [UNPRICED, DEAR]


@pytest.mark.parametrize(("history", "expected"), [([LAMP, NEAR], [SIX, VARIANT, UNPRICED, DEAR]), ([], [])])
def test_the_last_item_of_a_history_counts(history: list[int], expected: list[int]):
    rows = ROW.retrieve(Histories.of_baskets([history], 0), 8).rows[0]
    assert rows[rows >= 0].tolist() == expected
