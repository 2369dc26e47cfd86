"""Help pages in a bundle: their index is read as it was made, and nothing of the shop is encoded again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from features.data.help_pages import HelpPages
from recsys.snapshot.help_texts import HelpTexts, RememberingEncoder
from retrieval.passages.index import PassageIndex

PLACES = range(12)
PAGES = HelpPages.of(
    pl.DataFrame({"question": [f"How do I do thing {i}?" for i in PLACES], "answer": [f"Press key {i}." for i in PLACES]}),
)


class Model:
    """Gives each text a vector of its own; counts the texts."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode_queries(self, texts: Any) -> Any:
        self.encoded += len(texts)
        vectors = np.stack([np.random.default_rng(list(text.encode())).normal(size=8) for text in texts])
        return SimpleNamespace(vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))


def test_the_index_answers_as_it_was_made() -> None:
    model = Model()
    stored = HelpTexts.from_files(HelpTexts.read(PAGES, model).to_files())
    before = model.encoded
    encoder = RememberingEncoder(model, dict(stored.known), remembers=False)
    read = PassageIndex.from_files(stored.index, stored.pages, encoder)
    made = PassageIndex.of(stored.pages, encoder)
    assert model.encoded == before
    for question in ("How do I do thing 7?", "press a key"):
        one, other = read.search([question]), made.search([question])
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.answers, other.answers)


def test_a_shop_without_help_pages_stores_nothing() -> None:
    assert HelpTexts.read(None, Model()).to_files() == {}
    assert len(HelpTexts.from_files({}).pages) == 0
