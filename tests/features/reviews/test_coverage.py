"""Counts of reviews without sentiment and of copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from features.reviews.coverage import review_coverage
from features.text.sentiment.words import WordModel
from tests.features.reviews.made_up import catalog, log_of, reviews_of


def test_each_kind_is_counted(tiny_bert: Path) -> None:
    items = catalog()
    log = log_of(items, ["u0"])
    texts = ["Green tea", "\N{FIRE}", "5/5", "Przesyłka dotarła szybko, świetnie zapakowana, jestem zadowolony."]
    texts += ["green tea rye loaf oat loaf", "Green tea, rye loaf, oat loaf!", "tea", "tea"]
    rows = [(f"writer-{number}", "a", number, 5 if number % 2 else None, text) for number, text in enumerate(texts)]
    tokenizer = Tokenizer.from_file(str(tiny_bert / "tokenizer.json"))
    found = review_coverage(reviews_of(rows, items, log), log, tokenizer, None)
    assert found == {"reviews": 8, "rated": 4, "without_words": 2, "foreign": 1, "copies": 1}


def test_words_that_the_classifier_knows_are_read(tiny_bert: Path) -> None:
    items = catalog()
    log = log_of(items, ["u0"])
    text = "Przesyłka dotarła szybko, świetnie zapakowana, jestem zadowolony."
    words = WordModel.fit([text] * 3 + ["źle nie działa"] * 3 + ["tak sobie"] * 3, np.repeat([2, 0, 1], 3))
    tokenizer = Tokenizer.from_file(str(tiny_bert / "tokenizer.json"))
    assert review_coverage(reviews_of([("w", "a", 0, 5, text)], items, log), log, tokenizer, words)["foreign"] == 0
