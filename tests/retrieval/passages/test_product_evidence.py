"""What speaks for a passage, and what tells whether the best one answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retrieval.passages.product_evidence import (
    FEATURES,
    SIGNALS,
    EvidenceModel,
    Logistic,
    answer_signals,
    evidence_features,
    gram_shares,
    rarity,
    word_shares,
)

MODEL = EvidenceModel(
    Logistic({"words": 3.0, "grams": 1.0, "cosine": 2.0, "length": 0.0}, -3.0), Logistic(dict.fromkeys(SIGNALS, 0.5), 0.0)
)


def test_a_rare_word_weighs_more_and_the_best_wording_counts() -> None:
    passages = [{"cord", "long"}, {"long"}, {"cable"}, set()]
    weights = {"cord": 4.0, "long": 1.0, "cable": 4.0}
    shares = word_shares([("cord", "long")], passages, weights.__getitem__)
    assert shares.tolist() == [1.0, 0.2, 0.0, 0.0]
    assert word_shares([("cord", "long"), ("cable",)], passages, weights.__getitem__).tolist() == [1.0, 0.2, 1.0, 0.0]
    assert word_shares([], passages, weights.__getitem__).tolist() == [0.0] * 4
    assert word_shares([()], passages, weights.__getitem__).tolist() == [0.0] * 4


def test_a_term_is_the_weightier_the_fewer_texts_hold_it() -> None:
    weights = [rarity(held, 1000) for held in (0, 1, 10, 500, 1000)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] > 0


@pytest.mark.parametrize("question", ["Spülmaschine", "spuelmaschine geeignet", "spulmaschine"])
def test_compounds_share_runs_of_letters(question: str) -> None:
    shares = gram_shares(question, ["spülmaschinenfest: ja", "Farbe: rot"])
    assert shares[0] > shares[1]


def test_a_review_has_no_lead_and_a_passage_of_the_shop_leads_over_the_shops_others() -> None:
    features = evidence_features(np.array([1.0, 0.0, 0.9]), np.zeros(3), np.zeros(3), ["a b", "c", "d"])
    odds = np.array([2.0, -1.0, 1.5])
    probabilities = 1 / (1 + np.exp(-odds))

    def lead(*reviews: bool) -> float:
        return float(answer_signals(probabilities, features, np.array(reviews))[SIGNALS.index("lead")])

    assert lead(False, False, False) == pytest.approx(0.5)
    assert lead(False, False, True) == pytest.approx(3.0), "what reviews say does not count against it"
    assert lead(True, False, False) == 0
    assert lead(False, True, True) == pytest.approx(8.0)


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(arrays(float, (n, len(FEATURES)), elements=st.floats(0, 1)), arrays(bool, n))))
def test_the_order_of_passages_changes_nothing(made: tuple[np.ndarray, np.ndarray]) -> None:
    features, reviews = made
    judged, turned = MODEL.judge(features, reviews), MODEL.judge(features[::-1], reviews[::-1])
    assert np.allclose(judged.passages, turned.passages[::-1])
    assert 0 <= judged.answers <= 1
    assert judged.passages[judged.best] == judged.passages.max()
    if len(np.unique(judged.passages)) == len(judged.passages):
        assert judged.answers == pytest.approx(turned.answers)
