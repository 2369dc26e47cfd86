"""A small shop's entries, and an encoder of hashed words, which stands for one that was trained."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from features.data.help_pages import HelpPages
from retrieval.lexical.analyzer import fold

ENTRIES = [
    ("How much does shipping cost?", "Delivery is free from 50 euros, otherwise it is 4.90.", "delivery fee, postage", "en"),
    ("How do I reset my password?", "Choose Forgot password on the sign-in page and read your mail.", "log in, locked out", "en"),
    ("Can I return opened food?", "Opened food cannot be returned for reasons of hygiene.", "", "en"),
    ("Do you sell gift cards?", "Gift cards from 10 to 200 euros are sold online.", "present", "en"),
    ("Where do I find my invoice?", "The invoice comes by mail after the delivery.", "receipt, bill", "en"),
    ("Wo ist mein Paket?", "Der Link in der Versandmail zeigt, wo die Sendung gerade ist.", "Sendungsverfolgung", "de"),
    ("Was kostet der Versand?", "Die Lieferung kostet 4,90 Euro und ist ab 50 Euro kostenlos.", "Versandkosten", "de"),
    ("Wie storniere ich eine Bestellung?", "Unter Meine Bestellungen den Punkt Stornieren wählen.", "abbestellen", "de"),
]


class HashedWords:
    """An encoder: the sum of a random vector for each word. It counts what it encodes."""

    dim = 64

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, texts: Sequence[str], kind: str = "passage") -> np.ndarray:
        self.encoded += len(texts)
        rows = [np.sum([self._word(word) for word in fold(text).split()] or [np.ones(self.dim)], axis=0) for text in texts]
        vectors = np.array(rows, dtype=np.float32).reshape(len(texts), self.dim)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def _word(self, word: str) -> np.ndarray:
        return np.random.default_rng(zlib.crc32(word.strip("?.,").encode())).normal(size=self.dim)


@pytest.fixture
def encoder() -> HashedWords:
    return HashedWords()


@pytest.fixture
def pages() -> HelpPages:
    return HelpPages.of(pl.DataFrame(ENTRIES, schema=["question", "answer", "tags", "language"], orient="row"))
