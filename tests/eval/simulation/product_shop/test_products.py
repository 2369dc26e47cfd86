"""The made shop's products, and what its customers ask about them."""

from __future__ import annotations

import polars as pl

from benchmarks.product_judge import answered, languages_of, made_pairs
from eval.simulation.product_shop.shop import ProductShop
from retrieval.lexical.analyzer import Analyzer


def test_every_answer_is_a_passage_of_its_product_and_some_questions_have_none() -> None:
    shop = ProductShop.load()
    pairs = made_pairs(shop)
    told = shop.questions["answers"].list.len().to_numpy()
    counted = [int(pairs.answers[first:end].sum()) for first, end in zip(pairs.offsets[:-1], pairs.offsets[1:], strict=True)]
    assert counted == told.tolist(), "each answer is found once, word for word"
    assert 0.1 < 1 - answered(pairs).mean() < 0.3
    assert shop.questions.select("item", "text").is_unique().all()
    assert set(shop.questions["item"]) == set(shop.products["item"])


def test_a_title_that_the_question_names_is_no_passage() -> None:
    shop = ProductShop.load()
    pairs, titles = made_pairs(shop), dict(shop.products.select("item", "title").iter_rows())
    languages = dict(zip(shop.products["item"], map(Analyzer, languages_of(shop.products)), strict=True))
    for i, (item, text) in enumerate(shop.questions.select("item", "text").iter_rows()):
        named = set(languages[item].tokens(text)) & set(languages[item].tokens(titles[item]))
        texts = [pairs.passages[j] for j in pairs.passage[pairs.offsets[i] : pairs.offsets[i + 1]]]
        assert (titles[item] in texts) == (not named), text


def test_reviews_are_marked_as_customers_words() -> None:
    shop = ProductShop.load()
    pairs = made_pairs(shop)
    by_customers = {pairs.passages[i] for i in pairs.passage[pairs.by_customers]}
    own = shop.products.select(pl.concat_str("title", "attributes", "description", separator="\n"))["title"].str.join("\n").item()
    assert by_customers
    assert not any(text in own for text in by_customers)
