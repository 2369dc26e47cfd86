"""The made shop's help pages and its customers' questions."""

from __future__ import annotations

import polars as pl

from eval.simulation.help_shop.shop import TYPING_ERRORS, HelpShop


def test_each_entry_has_five_questions_one_of_them_with_typing_errors() -> None:
    shop = HelpShop.load()
    assert shop.pages.language.value_counts().sort("language").rows() == [("de", 40), ("en", 40)]
    assert shop.questions.group_by("row").agg(pl.len(), pl.col(TYPING_ERRORS).sum()).drop("row").unique().rows() == [(5, 1)]
    assert (shop.pages.language.gather(shop.answers) == shop.questions["language"]).all()
    assert shop.unanswered.group_by("language").len().sort("language").rows() == [("de", 30), ("en", 30)]


def test_no_question_is_an_entrys_own_or_there_twice() -> None:
    shop = HelpShop.load()
    texts = pl.concat([shop.pages.question, shop.questions["text"], shop.unanswered["text"]]).str.to_lowercase()
    assert texts.is_unique().all()
    assert shop.pages.link.is_unique().all()
