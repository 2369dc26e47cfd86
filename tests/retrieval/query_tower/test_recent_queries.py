"""Queries that were encoded a moment ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.text.token_states import TokenStates
from retrieval.query_tower.encoded_queries import EncodedQueries
from retrieval.query_tower.recent_queries import LATEST, MOST, RecentQueries

if TYPE_CHECKING:
    from collections.abc import Sequence


class Spy:
    """Gives a text its letters' codes, a token each, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode_queries(self, texts: Sequence[str]) -> EncodedQueries:
        """Encode texts."""
        self.asked.append(list(texts))
        vectors = np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32).reshape(-1, 2)
        offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
        return EncodedQueries(vectors, TokenStates(offsets, np.array([[ord(c)] for text in texts for c in text], dtype=np.float16)))


@pytest.mark.parametrize("texts", [["tea"], ["tea", "green tea"], ["b", "a", "b"], ["one", "two", "three", "four"], []])
def test_it_gives_what_the_encoder_gives(texts: list[str]) -> None:
    spy = Spy()
    recent = RecentQueries(spy)
    for _ in range(2):
        found, expected = recent.encode_queries(texts), Spy().encode_queries(texts)
        np.testing.assert_array_equal(found.vectors, expected.vectors)
        np.testing.assert_array_equal(found.states.offsets, expected.states.offsets)
        assert [list(found.states.arrays(np.array([i]))[0][0, :, 0]) for i in range(len(texts))] == [
            [float(ord(c)) for c in text] for text in texts
        ]


def test_a_text_is_encoded_once_while_it_is_among_the_latest() -> None:
    spy = Spy()
    recent = RecentQueries(spy)
    recent.encode_queries(["where is my order"])
    recent.encode_queries(["where is my order", "where is my"])
    recent.encode_queries(["where is my"])
    assert spy.asked == [["where is my order"], ["where is my"]]
    for number in range(LATEST):
        recent.encode_queries([f"{number} apples"])
    recent.encode_queries(["where is my order"])
    assert spy.asked[-1] == ["where is my order"]
    assert len(spy.asked) == LATEST + 3


def test_many_texts_are_encoded_in_one_batch_and_not_remembered() -> None:
    spy = Spy()
    recent = RecentQueries(spy)
    many = [f"example {number}" for number in range(MOST + 1)]
    assert len(recent.encode_queries(many).vectors) == len(many)
    recent.encode_queries(many[:1])
    assert spy.asked == [many, many[:1]]
