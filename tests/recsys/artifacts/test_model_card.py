"""The model card's part on reviews, for each way in which sentiment is learned, and for models without it."""

from __future__ import annotations

from typing import Any

import pytest

from recsys.artifacts.model_card import model_card
from tests.recsys.training.test_windows import ORDER

ABOUT: dict[str, Any] = {
    "until": "2024-05-30T00:00",
    "seed": 0,
    "device": "cpu",
    "data": {"items": 1, "texts": 1, "users": 1, "events": 1},
    "windows": dict.fromkeys(ORDER, "a day"),
    "towers": {"tuning": "upper", "validation_ndcg@10": [0.1]},
    "ranking": {
        "reads_towers": True,
        "towers_save": 0.1,
        "cross_encoder_loss": [0.5],
        "candidates_hold": 0.5,
        "calibration_bought": 1,
        "calibration_pairs": 2,
    },
    "search": {"learned_from": "nothing", "query_tower": {"learned_from": "nothing"}},
}
READ = {"reviews": 2000, "rated": 1900, "without_words": 30, "foreign": 500, "copies": 41}


def part(reviews: dict[str, Any]) -> list[str]:
    card = model_card("a1", ABOUT | {"reviews": reviews}, "packaged", 28)
    return card.split("## Reviews\n")[1].split("\n\n## ")[0].splitlines()


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("ratings", "ratings"),
        ("few-shot", "few ratings and packaged sentences"),
        ("packaged sentences", "packaged sentences alone: no review has words and a rating"),
    ],
)
def test_it_says_what_sentiment_was_learned_from_and_what_gets_none(way: str, told: str) -> None:
    lines = part({"learned_from": way, "trained": 900, "held_out": 90, "counts": [100, 200, 1500]} | READ)
    counts = "100 negative, 200 neutral and 1,500 positive distinct texts with a rating, of which 90 only calibrate"
    assert lines[0] == f"- sentiment: learned from {told}; {counts}"
    assert "`recsys evaluate reviews`" in lines[1]
    assert lines[2:] == [
        "- of 2,000 reviews, 1.5% have no words and 25.0% are in a language that is not read: they get no sentiment",
        "- 41 are copies of an earlier review and count in no figure",
    ]


def test_a_shop_without_reviews_has_one_line() -> None:
    assert part({"learned_from": "nothing: there are no reviews"}) == ["- sentiment: learned from nothing: there are no reviews"]


@pytest.mark.parametrize(
    ("polarity", "told"),
    [
        (
            {"labels": 1200, "judged": 240, "accuracy": 0.771, "of_sentences": 0.6304, "kept": True},
            "learned from 1,200 labels; of the 240 that judge and do not train, "
            "it tells 77.1% right, and the sentiment of the sentence 63.0%; it is used",
        ),
        (
            {"labels": 144, "judged": 28, "accuracy": 0.5, "of_sentences": 0.5, "kept": False},
            "learned from 144 labels; of the 28 that judge and do not train, "
            "it tells 50.0% right, and the sentiment of the sentence 50.0%; it is not used, because it is not better beyond chance",
        ),
        (
            {"labels": 7, "kept": False, "lacking": "7 usable labels, expected at least 100"},
            "not learned: 7 usable labels, expected at least 100; a mention has the sentiment of its sentence",
        ),
    ],
)
def test_it_says_what_labels_of_terms_brought(polarity: dict[str, Any], told: str) -> None:
    assert part({"learned_from": "few-shot", "polarity": polarity})[-1] == f"- polarity of aspects: {told}"


@pytest.mark.parametrize(
    ("report", "line"),
    [
        ({"kept": False, "why": "pretrain.steps is 0"}, "none: pretrain.steps is 0"),
        (
            {
                "kept": True,
                "pairs": {"title and category": 1200, "bought together": 60},
                "held_out_mrr": [0.1, 0.25],
                "ndcg@10_of_untrained_towers": [0.01, 0.0123],
            },
            "1,200 of title and category, 60 of bought together; mean reciprocal rank of held-out pairs 0.100 to 0.250, "
            "NDCG@10 of untrained towers 0.0100 to 0.0123; kept",
        ),
        (None, "none: not known to this version"),
    ],
)
def test_it_says_what_pre_training_earned(report: dict[str, Any] | None, line: str) -> None:
    towers = ABOUT["towers"] | ({} if report is None else {"pretraining": report})
    card = model_card("a1", ABOUT | {"towers": towers, "reviews": {"learned_from": "ratings"}}, "packaged", 28)
    assert f"- pre-training of the text encoder on the shop: {line}\n" in card
