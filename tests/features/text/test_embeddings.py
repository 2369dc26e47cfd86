"""Item vectors: what an update gives is what a build from nothing gives."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.errors import BundleError, ModelError
from features.text.embeddings import ItemVectors, TextVectors, update

DIM = 8


def encode(texts: list[str]) -> np.ndarray:
    """A vector of the text alone."""
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in texts]
    vectors = np.array([np.random.default_rng(seed).standard_normal(DIM) for seed in seeds], dtype=np.float32).reshape(-1, DIM)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def catalog(titles: dict[str, str]) -> Catalog:
    return Catalog.from_frame(
        pl.DataFrame({"item_id": list(titles), "title": list(titles.values())}, schema={"item_id": pl.String, "title": pl.String})
    )


def same(one: ItemVectors, other: ItemVectors) -> bool:
    texts, twins = TextVectors.of(one), TextVectors.of(other)
    return one.ids.tolist() == other.ids.tolist() and texts.to_files() == twins.to_files()


shops = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["milk", "bread", "soap", "cheese"]), max_size=8)


@given(st.lists(shops, min_size=1, max_size=5))
def test_any_edits_end_like_a_build_from_nothing(history):
    vectors = None
    for titles in history:
        before = vectors
        vectors, count = update(catalog(titles), encode, "e1", before)
        known = set() if before is None else {h.tobytes() for h in before.hashes}
        assert count == len({h.tobytes() for h in vectors.hashes} - known)
        assert same(vectors, update(catalog(titles), encode, "e1")[0])
        assert np.array_equal(vectors.vectors, encode([titles[item] for item in vectors.ids]))


def test_items_that_swap_texts_swap_vectors_without_encoding():
    first, _ = update(catalog({"a": "milk", "b": "soap"}), encode, "e1")
    swapped, count = update(catalog({"a": "soap", "b": "milk"}), encode, "e1", first)
    assert count == 0
    assert np.array_equal(swapped.vectors, first.vectors[::-1])


def test_a_text_is_encoded_once_and_only_when_new():
    asked = []

    def spy(texts: list[str]) -> np.ndarray:
        asked.append(texts)
        return encode(texts)

    first, count = update(catalog({"a": "milk", "b": "soap", "c": "milk"}), spy, "e1")
    assert (asked, count) == ([["milk", "soap"]], 2)
    _, count = update(catalog({"a": "milk", "b": "soap", "d": "bread"}), spy, "e1", first)
    assert (asked[1:], count) == ([["bread"]], 1)
    _, count = update(catalog({"a": "soap"}), spy, "e1", first)
    assert (asked[2:], count) == ([], 0)


def test_another_encoder_encodes_all_again():
    first, _ = update(catalog({"a": "milk"}), encode, "e1")
    second, count = update(catalog({"a": "milk"}), lambda texts: -encode(texts), "e2", first)
    assert count == 1
    assert np.array_equal(second.vectors, -first.vectors)
    assert second.fingerprint == "e2"


def test_an_empty_catalogue():
    vectors, count = update(catalog({}), encode, "e1")
    assert (len(vectors), vectors.dim, count) == (0, DIM, 0)


@pytest.mark.parametrize("answer", [np.ones((1, DIM)), np.ones((2, DIM + 1)), np.ones(2)])
def test_an_encoder_that_answers_in_another_shape(answer):
    first, _ = update(catalog({"a": "milk"}), encode, "e1")
    with pytest.raises(ModelError, match="the encoder returned"):
        update(catalog({"b": "soap", "c": "bread"}), lambda _: answer, "e1", first)


def test_files_round_trip_with_odd_ids():
    vectors, _ = update(catalog({"a,b": "milk", 'q"': "soap", "é\n": "bread", "": "x", "twin": "milk"}), encode, "e1")
    texts = TextVectors.from_files(TextVectors.of(vectors).to_files())
    assert len(texts) == 4
    assert np.array_equal(texts.vectors[texts.text_of], vectors.vectors)
    assert np.array_equal(texts.hashes[texts.text_of], vectors.hashes)
    assert texts.fingerprint == vectors.fingerprint


@pytest.mark.parametrize("name", ["vectors.safetensors", "about.json"])
def test_broken_files_are_refused(name):
    files = TextVectors.of(update(catalog({"a": "milk"}), encode, "e1")[0]).to_files()
    for broken in ({**files, name: files[name][:20]}, {k: v for k, v in files.items() if k != name}):
        with pytest.raises(BundleError, match="cannot be read"):
            TextVectors.from_files(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array(["a"], dtype=object)}, "do not fit together"),
        ({"hashes": np.zeros((2, 8), np.uint8)}, "do not fit together"),
        ({"ids": np.array(["a", "a"], dtype=object)}, "is duplicated"),
        ({"vectors": np.array([[1, 0], [2, 0]], np.float32)}, "1 of 2 item vectors are not of length 1, 'b' first"),
        ({"vectors": np.array([[1, 0], [np.nan, 0]], np.float32)}, "1 of 2 item vectors are not of length 1, 'b' first"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    good = {"ids": np.array(["a", "b"], dtype=object), "vectors": np.eye(2, dtype=np.float32), "hashes": np.zeros((2, 16), np.uint8)}
    ItemVectors(**good, fingerprint="e1")
    with pytest.raises(ModelError, match=message):
        ItemVectors(**good | change, fingerprint="e1")
