"""Concepts of shops' service and topics of help pages: what a text is about, whichever words it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
import pytest

from retrieval.passages.service import ReadPassages
from retrieval.passages.service_topics import TopicVectors, packaged_topics
from retrieval.passages.service_words import LANGUAGES, ConceptIndex, ServiceWords

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = ServiceWords.packaged()


def named(text: str, language: str = "") -> set[str]:
    """Return the concepts that a text names, by their first English name."""
    return {WORDS.concepts[number]["en"][0] for number in WORDS.read(text, language).concepts}


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ("What is the postage? How much do you charge", {"price"}),
        ("Was kostet der Versand?", {"price", "deliver"}),
        ("Wie hoch sind die Versandkosten", {"price", "deliver"}),  # a compound
        ("meine Lieferadresse stimmt nicht", {"address"}),
        ("I'm locked out and my code word is gone", {"log in"}),
        ("Ich habe mein Passwort vergessen", {"password", "forget"}),
        ("can I pay it later with instalments", {"pay later"}),
    ],
)
def test_texts_name_concepts_in_any_of_their_words(text: str, concepts: set[str]) -> None:
    assert concepts <= named(text)


@pytest.mark.parametrize("text", ["", "?", "12", "où est mon colis", "我的包裹在哪里", "x" * 5000])
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert WORDS.read(text, "fr") == (frozenset(), text)
    assert WORDS.read(text).concepts == frozenset()


def test_german_is_said_in_english_words_and_english_stays() -> None:
    assert WORDS.read("Wie storniere ich meine Bestellung?").english == "cancel order"
    assert WORDS.read("Das Paket ist nicht da", "de").english.split()[-2:] != ["nicht", "da"]
    assert WORDS.read("How do I cancel?").english == "How do I cancel?"


def test_each_concept_has_words_of_both_languages_and_none_twice() -> None:
    for concept in WORDS.concepts:
        for language in LANGUAGES:
            phrases = [phrase.casefold() for phrase in concept[language]]
            assert all(phrase.strip() for phrase in phrases)
            assert len(phrases) == len(set(phrases)), concept


def test_the_passage_with_the_rarer_concept_is_nearer() -> None:
    index = ConceptIndex.build([frozenset({0, 1}), frozenset({0}), frozenset()], [frozenset(), frozenset({2}), frozenset()], 4)
    cosines, shares = index.evidence(frozenset({1}))
    assert cosines.tolist() == pytest.approx([cosines[0], 0, 0])
    assert cosines[0] > 0.7
    assert shares.tolist() == [1, 0, 0]
    assert index.evidence(frozenset({2}))[1].tolist() == [0, 1, 0]
    assert not np.any(index.evidence(frozenset()))


def test_passages_in_german_are_read_in_english_too() -> None:
    fields = pl.DataFrame({"question": ["Was kostet die Lieferung?"] * 2, "tags": ["Porto, Gebühr"] * 2, "answer": ["4,90 Euro."] * 2})
    read = ReadPassages.of(fields, ["de", ""])
    assert [len(ways) for ways in read.ways] == [2, 1]
    assert read.ways[0][1][0] == "price deliver"
    assert read.asked[0] == read.asked[1] >= WORDS.read("Preis der Lieferung").concepts


class Letters:
    """Texts that begin with the same letter have the same vector."""

    dim = 26

    def encode(self, texts: Sequence[str], kind: Literal["passage", "query"] = "passage") -> np.ndarray:
        """Return vectors."""
        return np.eye(26, dtype=np.float32)[[ord(text[0]) - 97 for text in texts]]


def test_texts_near_examples_of_one_topic_belong_together() -> None:
    topics = TopicVectors.encode(Letters(), [["a", "b"], ["c"], ["d", "e"]])
    roots = topics.roots(Letters().encode(["a", "b", "c", "e"]), np.array([0, 1, 2, 3]))
    assert np.allclose((roots**2).sum(axis=1), 1)
    together = roots @ roots.T
    assert together[0, 1] == pytest.approx(1)
    assert together[0, 1] > 2 * max(together[0, 2], together[0, 3])
    both = topics.roots(Letters().encode(["z", "c"]), np.array([0]))
    assert both.argmax() == 1, "the nearest of a text's wordings counts"
    back = TopicVectors.of_arrays(topics.to_arrays())
    assert np.array_equal(back.vectors, topics.vectors)
    assert np.array_equal(back.starts, topics.starts)


def test_packaged_topics_have_examples_and_none_twice() -> None:
    texts = [text for topic in packaged_topics() for text in topic]
    assert min(map(len, packaged_topics())) >= 3
    assert len(texts) == len(set(texts))
    assert all(text == text.strip() != "" for text in texts)
