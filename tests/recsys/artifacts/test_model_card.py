"""The model card's part on reviews, for each way in which sentiment is learned, and for models without it."""

from __future__ import annotations

from pathlib import Path
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
        "text_parts": {"towers": {"few buyers": {"idle": "nobody bought one"}}},
    },
    "search": {"learned_from": "nothing", "query_tower": {"learned_from": "nothing"}},
}
READ = {"reviews": 2000, "rated": 1900, "without_words": 30, "foreign": 500, "copies": 41}


def part(reviews: dict[str, Any]) -> list[str]:
    card = model_card("a1", ABOUT | {"reviews": reviews}, "packaged", 28, Path("no reports"))
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


def test_it_says_whom_the_towers_learned_from() -> None:
    reviews = {"reviews": {"learned_from": "nothing: there are no reviews"}}
    taught = {"towers": ABOUT["towers"] | {"teachers_ndcg@10": [0.25, 0.5]}}
    assert "learned from 2 others, whose validation NDCG@10 is 0.2500, 0.5000\n" in model_card(
        "a1", ABOUT | reviews | taught, "packaged", 28, Path("no reports")
    )
    assert "others" not in model_card("a1", ABOUT | reviews, "packaged", 28, Path("no reports"))


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


def test_it_says_that_robustness_was_not_measured() -> None:
    card = model_card("a1", ABOUT | {"reviews": {"learned_from": "nothing"}}, "packaged", 28, Path("no reports"))
    assert "## Robustness\nNot measured: `recsys evaluate robustness` does" in card


def test_it_says_what_text_parts_earn_and_why_idle_ones_are_idle() -> None:
    earned = {"change": 0.01234, "low": 0.002, "high": 0.02, "without": 0.05, "users": 1234}
    lost = earned | {"change": -0.004, "low": -0.01, "high": 0.001}
    idle = {"idle": "chance explains it"}
    parts = {
        "towers": {"well known": idle, "few buyers": earned, "never sold": idle},
        "cross-encoder": {"well known": lost, "few buyers": idle, "never sold": idle},
    }
    about = ABOUT | {"ranking": ABOUT["ranking"] | {"text_parts": parts}, "reviews": {"learned_from": "nothing"}}
    lines = model_card("a1", about, "packaged", 28, Path("no reports")).split("## What the text parts earn\n")[1].split("\n\n", 2)[1:]
    assert lines[0].splitlines() == [
        "| part | well known | few buyers | never sold |",
        "|---|---|---|---|",
        "| towers | idle | +0.0123 [+0.0020, +0.0200] on 0.0500, 1,234 users | idle |",
        "| cross-encoder | -0.0040 [-0.0100, +0.0010] on 0.0500, 1,234 users | idle | idle |",
    ]
    assert lines[1].split("\n\n")[0].splitlines() == [
        "- towers, well known and never sold: chance explains it",
        "- cross-encoder, few buyers and never sold: chance explains it",
    ]


def test_it_says_which_figures_an_earlier_model_measured() -> None:
    ranking = ABOUT["ranking"] | {"measured_by": {"towers": "abc"}}
    about = ABOUT | {"reviews": {"learned_from": "nothing"}, "ranking": ranking, "continued": CONTINUED}
    card = model_card("a1", about, "packaged", 28, Path("no reports"))
    assert "by 10.00%; measured by model abc, in its windows\n" in card
    assert "by epoch: 0.5000\n" in card
    assert "\n- towers: measured by model abc, in its calibration window\n" in card
    assert "tuning: upper in this training." in card
    assert "none in this training; in the training from nothing before it: none: not known to this version\n" in card
    about["ranking"] |= {"measured_by": {"towers": "abc", "cross-encoder": "def"}}
    assert "by epoch: 0.5000; measured by model def, in its windows\n" in model_card("a1", about, "packaged", 28, Path("no reports"))


CONTINUED = {
    "parent": "abc",
    "until": "2024-04-30T00:00",
    "generation": 3,
    "new_since": "2024-01-01T00:00",
    "kept": ["search", "cross-encoder"],
}


def windows(**continued: Any) -> list[str]:
    about = ABOUT | {"reviews": {"learned_from": "nothing: there are no reviews"}}
    about |= {"continued": CONTINUED | continued} if continued else {}
    card = model_card("a1", about, "packaged", 28, Path("no reports"))
    return card.split("## Windows\n")[1].split("\n\nCollaborative models")[0].splitlines()


def test_each_part_is_listed_with_what_it_was_fitted_on() -> None:
    rows = [row for row in windows() if row.startswith("|")]
    assert len(rows) == 2 + len(ORDER)
    assert "| cross-encoder, base booster | a day |" in rows


def test_a_model_that_went_on_says_from_which_and_what_each_part_has_seen() -> None:
    lines = windows(generation=3)
    assert "| towers | a day: events since 2024-01-01T00:00, beside earlier ones, from the weights of the earlier model |" in lines
    assert "| base booster | a day, in addition to the trees of the earlier model |" in lines
    assert not [line for line in lines if "cross-encoder" in line and line.startswith("|")]
    told = "\n".join(lines)
    assert "went on from model abc, which was trained until 2024-04-30T00:00 (UTC); it is number 3 in a row" in told
    assert "Taken over as they were: search, cross-encoder." in told


def test_a_cross_encoder_that_was_trained_on_has_its_window() -> None:
    lines = windows(kept=[])
    assert "| cross-encoder | a day |" in lines
    assert "| residual booster, which adds the cross-encoder | a day |" in lines
    assert "No part was taken over as it was." in "\n".join(lines)


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
    card = model_card("a1", ABOUT | {"towers": towers, "reviews": {"learned_from": "ratings"}}, "packaged", 28, Path("no reports"))
    assert f"- pre-training of the text encoder on the shop: {line}\n" in card
