"""Retrieval for a query in words: the mix of BM25 and cosine, categories, and which items of a text are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.data.histories import Histories
from features.names import DENSE_SCORE, LEXICAL_SCORE, RELEVANCE
from retrieval.candidates import Candidates, joined
from retrieval.index import ItemIndex
from retrieval.index_config import IndexConfig
from retrieval.lexical.index import LexicalConfig, LexicalIndex
from retrieval.text_search import NEAR, TextSearch, TextSearchConfig, Wording, query_key

TITLES = ["green tea", "tea", "rye bread", "bread", "napkin"]
CATEGORIES = np.array([0, 0, 1, 1, -1], dtype=np.int32)
TEXT_OF = np.array([0, 1, 2, 3, 4, 0, 0, 0])  # items 5, 6 and 7 have the text of item 0
SALES = np.array([5.0, 1, 1, 1, 1, 9, 2, 7])
NOBODY = Histories.of_baskets([[]], 0)
ALL = np.ones(len(TEXT_OF), dtype=bool)


def axis(*places: int) -> np.ndarray:
    """A vector of unit norm along these axes."""
    vector = np.zeros(6, dtype=np.float32)
    vector[list(places)] = 1
    return vector / np.linalg.norm(vector)


VECTORS = np.stack([axis(0, 1), axis(1), axis(2, 3), axis(3), axis(4)])
QUERY = axis(1, 3)[None]


def search_over(**config: Any) -> TextSearch:
    lexical = LexicalIndex.build({"title": TITLES}, LexicalConfig(weights={"title": 1.0}))
    index = ItemIndex.build(VECTORS, IndexConfig())
    return TextSearch(lexical, VECTORS, index, TEXT_OF, CATEGORIES, SALES, TextSearchConfig.model_validate({"category": 0.0} | config))


def find(search: TextSearch, text: str, vector=QUERY, user: Histories = NOBODY, allowed: np.ndarray = ALL) -> Candidates:
    return search.retrieve([Wording(text, tuple(search.lexical.analyzer.tokens(text)))], vector, user, allowed)


def relevance_of(found: Candidates) -> dict[int, float]:
    return dict(zip(found.rows[0].tolist(), found.features[RELEVANCE][0].tolist(), strict=True))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_relevance_is_the_mix_of_bm25_as_a_share_and_of_cosine_above_the_usual(share):
    search = search_over(lexical=share)
    found = find(search, "green tea")
    scores = search.lexical.scores(search.lexical.analyzer.tokens("green tea"))
    full = sum(search.lexical.scores([token]).max() for token in search.lexical.analyzer.tokens("green tea"))
    cosine, usual = VECTORS @ QUERY[0], VECTORS.mean(axis=0) @ QUERY[0]
    above = cosine - usual
    expected = share * scores / full + (1 - share) * above / above.max()
    expected *= (share * scores / full + (1 - share) * above / NEAR).max() / expected.max()
    for row, value in relevance_of(found).items():
        assert value == pytest.approx(expected[TEXT_OF[row]], abs=1e-5)
    texts = TEXT_OF[found.rows[0]]
    assert found.features[LEXICAL_SCORE][0] == pytest.approx(scores[texts] / full, abs=1e-5)
    assert found.features[DENSE_SCORE][0] == pytest.approx(cosine[texts], abs=1e-5)
    assert (np.diff(found.scores[0]) <= 0).all()


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_relevance_tells_a_query_that_something_fits_from_one_that_nothing_does(share):
    search = search_over(lexical=share)
    found = find(search, "napkin", axis(4)[None])
    assert found.rows[0, 0] == 4
    usual = VECTORS.mean(axis=0) @ axis(4)
    assert found.scores[0, 0] == pytest.approx(share + (1 - share) * (1 - usual) / NEAR)
    far = np.array([0, 0, 0, 0, 0.3, np.sqrt(1 - 0.09)], dtype=np.float32)  # the same order of texts, all of them far
    less = find(search, "napkin", far[None])
    assert less.rows[0, 0] == 4
    assert less.scores[0, 0] < found.scores[0, 0] - 0.1
    of_two = find(search_over(lexical=1.0), "napkin holder", far[None])
    assert of_two.scores[0, 0] == pytest.approx(0.5), "half of the words"


def test_words_that_no_text_has_lower_the_share_of_those_that_are_found():
    search = search_over(lexical=1.0)
    assert relevance_of(find(search, "napkin"))[4] == pytest.approx(1)
    assert relevance_of(find(search, "napkin holder"))[4] == pytest.approx(0.5)
    none = find(search, "zzz")
    assert np.isfinite(none.scores).all()
    assert not none.features[LEXICAL_SCORE].any(), "words say nothing, and the cosine has the whole weight"
    assert none.scores[0, 0] == pytest.approx((none.features[DENSE_SCORE].max() - VECTORS.mean(axis=0) @ QUERY[0]) / NEAR)


def test_the_wording_that_fits_best_counts_by_its_weight():
    search = search_over()
    vectors = np.stack([axis(4), axis(2, 3)])
    tokens = [tuple(search.lexical.analyzer.tokens(text)) for text in ("napkin", "rye bread")]
    both = [Wording("napkin", tokens[0]), Wording("rye bread", tokens[1], 0.5)]
    relevance, bread = (relevance_of(search.retrieve(both[place:], vectors[place:], NOBODY, ALL)) for place in (0, 1))
    alone = relevance_of(find(search, "rye bread", axis(2, 3)[None]))
    assert max(relevance, key=relevance.__getitem__) == 4
    for row in (2, 3):
        assert bread[row] == pytest.approx(0.5 * alone[row])
    assert relevance[3] / relevance[2] == pytest.approx(alone[3] / alone[2])


@pytest.mark.parametrize(("text", "vector"), [("tea bread", QUERY), ("green tea", axis(0, 1)[None])])
def test_a_category_whose_texts_fit_lifts_them_against_a_text_without_one(text, vector):
    plain, lifted = (relevance_of(find(search_over(category=weight), text, vector)) for weight in (0.0, 0.3))
    assert max(lifted.values()) == pytest.approx(max(plain.values())), "the category orders, and does not say how well the best fits"
    level = plain[4] / lifted[4]  # item 4 has no category
    gained = {row: lifted[row] * level - plain[row] for row in lifted}
    assert gained[1] == pytest.approx(gained[0], abs=1e-5)
    assert gained[3] == pytest.approx(gained[2], abs=1e-5)
    assert max(gained.values()) > 0.1
    if text == "green tea":
        assert gained[1] > gained[3] + 0.1


def test_of_one_text_the_best_sellers_are_kept_and_what_the_user_bought():
    search = search_over(a_text=2)
    assert find(search, "green tea", axis(0, 1)[None]).rows[0, :2].tolist() == [5, 7]
    own = find(search, "green tea", axis(0, 1)[None], Histories.of_baskets([[6]], 0))
    assert own.rows[0, :2].tolist() == [6, 5]
    assert {0, 7}.isdisjoint(own.rows[0].tolist())


def test_filters_act_inside_and_the_list_is_as_full_as_it_can_be():
    search = search_over(candidates=10, texts=10)
    allowed = np.isin(np.arange(len(TEXT_OF)), [3, 6])
    assert sorted(find(search, "green tea", allowed=allowed).rows[0].tolist()) == [3, 6]
    assert find(search, "green tea", allowed=~ALL).rows.shape == (1, 0)


def test_a_query_key_does_not_depend_on_order_and_repetition():
    assert query_key(["tea", "green", "tea"]) == query_key(("green", "tea")) == "green tea"
    assert query_key([]) == ""


def test_joined_lists_are_padded_to_the_longest_and_lack_no_feature():
    def part(rows: list[int], user: int, **features: list[float]) -> Candidates:
        columns = {name: np.array([values], dtype=np.float32) for name, values in features.items()}
        users = replace(Histories.of_baskets([[user]], 0), rows=np.array([user]))
        return Candidates(users, np.array([rows], dtype=np.int64), np.arange(len(rows), dtype=np.float32)[None], columns)

    both = joined([part([4, 2], 1, a=[1, 2]), part([7], 3, b=[5]), part([], 8)])
    assert both.rows.tolist() == [[4, 2], [7, -1], [-1, -1]]
    assert both.scores.tolist() == [[0, 1], [0, -np.inf], [-np.inf, -np.inf]]
    np.testing.assert_array_equal(both.features["a"], [[1, 2], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(both.features["b"], [[np.nan] * 2, [5, np.nan], [np.nan] * 2])
    assert both.for_users(np.array([1])).users.item.tolist() == [3]


def test_words_that_texts_write_as_one_have_a_full_score():
    lexical = LexicalIndex.build({"title": ["wifi router", "bread", "tea"]}, LexicalConfig(weights={"title": 1.0}))
    vectors = np.stack([axis(0), axis(1), axis(2)])
    nothing = np.full(3, -1, dtype=np.int32)
    search = TextSearch(
        lexical, vectors, ItemIndex.build(vectors, IndexConfig()), np.arange(3), nothing, np.ones(3), TextSearchConfig(category=0)
    )
    found = search.retrieve([Wording("wi fi", ("wi", "fi"))], axis(3)[None], NOBODY, np.ones(3, dtype=bool))
    assert np.isfinite(found.scores).all()
    assert found.rows[0, 0] == 0
    assert found.features[LEXICAL_SCORE][0, 0] == 1


class TestScripts:
    """Ten products in each of two languages; vectors have an axis for each product and one for each language."""

    N = 10

    def over(self, *, told: bool = True, **config: Any) -> TextSearch:
        titles = [f"cup {chr(97 + row) * 3}" for row in range(self.N)] + [f"杯 {chr(0x4E10 + row) * 2}" for row in range(self.N)]
        vectors = np.stack([self.vector(row % self.N, row // self.N) for row in range(2 * self.N)])
        lexical = LexicalIndex.build({"title": titles}, LexicalConfig(weights={"title": 1.0}))
        n = 2 * self.N
        settings = TextSearchConfig.model_validate({"category": 0.0, "texts": 10} | config)
        scripts = np.repeat([0, 1], self.N).astype(np.int8) if told else None
        none = np.full(n, -1, dtype=np.int32)
        return TextSearch(lexical, vectors, ItemIndex.build(vectors), np.arange(n), none, np.zeros(n), settings, scripts)

    def vector(self, product: int, language: int) -> np.ndarray:
        vector = np.zeros(self.N + 2, dtype=np.float32)
        vector[product], vector[self.N + language] = 0.5, 1.0
        return vector / np.linalg.norm(vector)

    def order(self, search: TextSearch, text: str, vector: np.ndarray) -> list[int]:
        wording = Wording(text, tuple(search.lexical.analyzer.tokens(text)))
        return search.retrieve([wording], vector[None], NOBODY, np.ones(2 * self.N, dtype=bool)).rows[0].tolist()

    @pytest.mark.parametrize("product", range(N))
    def test_a_product_of_the_other_language_is_beside_that_of_the_querys_own(self, product: int) -> None:
        query = self.vector(product, 0)
        assert set(self.order(self.over(), "cup", query)[:2]) == {product, self.N + product}
        assert self.N + product not in self.order(self.over(told=False), "cup", query)[:5]

    def test_texts_of_the_other_language_are_among_the_candidates_however_far(self) -> None:
        """Ten texts a source are taken, and all ten of the query's language are nearer."""
        assert set(self.order(self.over(), "cup", self.vector(3, 0))) >= {*range(self.N), self.N + 3}

    def test_what_has_the_words_comes_before_what_is_as_near(self) -> None:
        assert self.order(self.over(), "cup ddd", self.vector(3, 0))[:2] == [3, self.N + 3]
        assert self.order(self.over(), "杯 丑丑", self.vector(1, 1))[:2] == [self.N + 1, 1]

    def test_the_weight_is_a_setting(self) -> None:
        assert self.N + 3 not in self.order(self.over(other_script=0.0), "cup", self.vector(3, 0))[:9]

    def test_a_query_in_a_script_that_the_catalogue_lacks_is_judged_as_before(self) -> None:
        search = self.over()
        assert not search._foreign(np.arange(2 * self.N), "чашка").any()
        assert search._foreign(np.arange(2 * self.N), "cup").tolist() == [False] * self.N + [True] * self.N
        assert search._foreign(np.arange(2 * self.N), "杯").tolist() == [True] * self.N + [False] * self.N

    def test_only_what_is_allowed_is_found(self) -> None:
        search, allowed = self.over(), np.zeros(2 * self.N, dtype=bool)
        allowed[[4, self.N + 5]] = True
        found = search.retrieve([Wording("cup", ("cup",))], self.vector(3, 0)[None], NOBODY, allowed)
        assert set(found.rows[0].tolist()) == {4, self.N + 5}
