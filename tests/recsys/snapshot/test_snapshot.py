"""A refresh after any edits equals a build from nothing, and encodes no text twice; a snapshot comes back from its files."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY
from features.names import PRICE
from features.text.template import item_texts
from recsys.artifacts.model import Model
from recsys.snapshot.encode import Encoded, EncodeOptions, distinct_hashes, encode_catalog
from recsys.snapshot.snapshot import Snapshot, recounted, take_snapshot, with_related
from retrieval.related.complements import ComplementRetriever
from retrieval.related.models import Related

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = ("tea", "rye bread", "apple", "red apple", "soap", "お茶", "")
IDS = st.sampled_from([f"i{n}" for n in range(8)])
TITLES = st.sampled_from(WORDS[:-1])
EDITS = st.one_of(
    st.tuples(st.just("set"), IDS, TITLES),  # a new item, or another text
    st.tuples(st.just("swap"), IDS, IDS),
    st.tuples(st.just("remove"), IDS, st.just("")),
    st.tuples(st.just("price"), IDS, st.just("")),
)


@pytest.fixture(scope="module")
def model(tiny_settings: Any) -> Model:
    return Model.untrained(tiny_settings)


def catalog_of(shop: dict[str, tuple[str, float]]) -> Catalog:
    rows = [{"item_id": item, "title": title, "price": price} for item, (title, price) in shop.items()]
    return Catalog.from_frame(pl.DataFrame(rows, {"item_id": pl.String, "title": pl.String, "price": pl.Float64}))


def edited(shop: dict[str, tuple[str, float]], edits: list[tuple[str, str, str]]) -> dict[str, tuple[str, float]]:
    shop = dict(shop)
    for kind, item, other in edits:
        if kind == "set":
            shop[item] = (other, 1.0)
        elif kind == "swap" and item in shop and other in shop:
            shop[item], shop[other] = shop[other], shop[item]
        elif kind == "remove" and len(shop) > 1:
            shop.pop(item, None)
        elif kind == "price" and item in shop:
            shop[item] = (shop[item][0], shop[item][1] + 1)
    return shop


@contextmanager
def counted(model: Model) -> Iterator[list[str]]:
    """The texts that go through the lower layers."""
    texts: list[str] = []
    original = model.encoder.token_states

    def token_states(some: list[str], progress: Any = None) -> Any:
        texts.extend(some)
        return original(some, progress)

    model.encoder.token_states = token_states  # type: ignore[method-assign]
    try:
        yield texts
    finally:
        del model.encoder.token_states


def encode(catalog: Catalog, model: Model, previous: Encoded | None = None) -> Encoded:
    """With a cache of its own: what is known is known from `previous` alone."""
    with TemporaryDirectory() as cache:
        return encode_catalog(catalog, model, Path(cache), previous, EncodeOptions(states=True))


def assert_same(one: Encoded, other: Encoded) -> None:
    assert one.vectors.ids.tolist() == other.vectors.ids.tolist()
    assert np.array_equal(one.vectors.hashes, other.vectors.hashes)
    assert np.allclose(one.vectors.vectors, other.vectors.vectors, atol=1e-5)
    assert one.vectors.fingerprint == other.vectors.fingerprint
    assert np.allclose(one.search.vectors, other.search.vectors, atol=1e-5)
    assert one.search.fingerprint == other.search.fingerprint
    assert one.states is not None
    assert other.states is not None
    assert np.array_equal(one.states.offsets, other.states.offsets)
    assert one.states.states.dtype == other.states.states.dtype == np.float16
    assert np.allclose(one.states.states, other.states.states, atol=5e-3)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(IDS, st.tuples(TITLES, st.just(1.0)), min_size=1), st.lists(EDITS, max_size=6))
def test_after_any_edits_as_if_built_from_nothing(model, shop, edits):
    before, after = catalog_of(shop), catalog_of(edited(shop, edits))
    known = encode(before, model)
    with counted(model) as texts:
        refreshed = encode(after, model, known)
    new = set(item_texts(after).to_list()) - set(item_texts(before).to_list())
    assert sorted(texts) == sorted(new)
    assert refreshed.encoded == len(new)
    assert_same(refreshed, encode(after, model))


def test_states_are_in_the_order_of_the_texts(model):
    """The state of each item's text is what the encoder makes of that very text."""
    catalog = catalog_of({f"i{n}": (title, 1.0) for n, title in enumerate([*WORDS[:-1], "tea"])})
    encoded = encode(catalog, model)
    assert encoded.states is not None
    assert len(encoded.states) == len(WORDS) - 1 == encoded.encoded
    place = {key: i for i, key in enumerate(distinct_hashes(encoded.vectors.hashes))}
    for row, text in enumerate(item_texts(catalog).to_list()):
        alone = model.encoder.token_states([text]).select(np.array([0]), model.item_tokens)
        mine = encoded.states.select(np.array([place[encoded.vectors.hashes[row].tobytes()]]))
        assert np.allclose(mine.states, alone.states, atol=5e-3)
        vector = model.tower.item_vectors(model.encoder.pool(model.encoder.token_states([text])))[0]
        assert np.allclose(encoded.vectors.vectors[row], vector, atol=5e-3)


def test_a_text_that_went_and_came_back_is_read_from_the_cache(model, tmp_path):
    first, without = catalog_of({"a": ("tea", 1), "b": ("soap", 1)}), catalog_of({"a": ("tea", 1)})
    known = encode_catalog(first, model, tmp_path, options=EncodeOptions(states=True))
    with counted(model) as texts:
        again = encode_catalog(
            first, model, tmp_path, encode_catalog(without, model, tmp_path, known, EncodeOptions(states=True)), EncodeOptions(states=True)
        )
    assert texts == []
    assert again.encoded == 1  # a vector had to be made, from kept states
    assert_same(again, known)


def test_vectors_of_another_model_are_not_taken_over(model, tiny_settings, shop):
    narrow = tiny_settings.model_copy(update={"encoder": tiny_settings.encoder.model_copy(update={"max_tokens": 6})})
    known = encode(shop.catalog, Model.untrained(narrow))
    again = encode(shop.catalog, model, known)
    assert again.encoded == len(set(item_texts(shop.catalog).to_list())) == 39
    assert_same(again, encode(shop.catalog, model))


@pytest.fixture(scope="module")
def snapshot(model, shop, tiny_settings) -> Snapshot:
    return take_snapshot(shop.catalog, shop.log, shop.log.end, model, encode(shop.catalog, model), tiny_settings.indexing)


def test_comes_back_from_its_files(snapshot):
    files = snapshot.to_files()
    again = Snapshot.from_files(files)
    assert again.to_files() == files
    assert again.now == snapshot.now
    assert again.catalog.frame.equals(snapshot.catalog.frame)
    assert np.array_equal(again.text_of, snapshot.text_of)


@settings(max_examples=3, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 39), TITLES), min_size=1, max_size=3))
def test_search_after_some_texts_have_changed_is_as_built_from_nothing(model, shop, tiny_settings, snapshot, edits):
    titles = shop.catalog.frame["title"].to_list()
    for row, title in edits:
        titles[row] = title
    after, end, index = Catalog(shop.catalog.frame.with_columns(title=pl.Series(titles))), shop.log.end, tiny_settings.indexing
    known, continued = encode(shop.catalog, model), replace(index, previous=snapshot.lexical)
    one = take_snapshot(after, shop.log, end, model, encode(after, model, known), continued)
    other = take_snapshot(after, shop.log, end, model, encode(after, model), index)
    mine, theirs = one.to_files(), other.to_files()
    assert {name: mine[name] for name in mine if "/lexical/" in name} == {name: theirs[name] for name in theirs if "/lexical/" in name}
    assert any("/lexical/" in name for name in mine)
    assert mine.keys() == theirs.keys()
    assert np.allclose(one.search_texts.vectors, other.search_texts.vectors, atol=1e-5)
    assert np.array_equal(one.search_texts.text_of, other.search_texts.text_of)


def test_twins_share_one_text(snapshot):
    assert snapshot.text_of[0] == snapshot.text_of[1]
    assert len(snapshot.text_vectors) == len(snapshot.catalog) - 1
    assert np.array_equal(snapshot.vectors_of(np.array([[0, 1]]))[0, 0], snapshot.text_vectors[snapshot.text_of[1]])


def test_a_price_is_the_catalogues_or_what_was_paid(snapshot, shop, model, tiny_settings):
    hidden = shop.catalog.frame.with_columns(price=pl.when(pl.col("item_id") != "sku-03").then("price"))
    catalog = Catalog(hidden)
    other = take_snapshot(catalog, shop.log, shop.log.end, model, encode(catalog, model), tiny_settings.indexing)
    assert snapshot.prices[3] == 2.25
    assert other.prices[3] == 2.25  # everybody paid it
    assert np.array_equal(other.prices, snapshot.prices)


def test_prices_of_a_bundle_stored_as_float32_are_exact(snapshot, shop):
    paid = np.round(np.arange(len(shop.catalog)) * 1.01 + 0.99, 2)
    bare = Catalog(shop.catalog.frame.with_columns(price=pl.lit(None, pl.Float64)))
    stats = replace(snapshot.stats, columns=snapshot.stats.columns | {PRICE: paid.astype(np.float32)})
    log = replace(snapshot.log, price=snapshot.log.price.astype(np.float32))
    read = Snapshot.from_files(replace(snapshot, catalog=bare, stats=stats, log=log).to_files())
    assert np.array_equal(read.prices, paid)
    assert np.array_equal(read.log.price, snapshot.log.price, equal_nan=True)


def test_nothing_after_now_is_in_it(model, shop, tiny_settings):
    now = shop.log.end - 40 * DAY
    encoded = encode(shop.catalog, model)
    whole = take_snapshot(shop.catalog, shop.log, now, model, encoded, tiny_settings.indexing)
    cut = take_snapshot(shop.catalog, shop.log.between(None, now), now, model, encoded, tiny_settings.indexing)
    assert whole.to_files() == cut.to_files()
    assert whole.log.end <= now


def test_related_items_are_fitted_for_bundles_alone_and_again_where_the_log_is_recounted(model, snapshot, shop):
    assert not any(name.startswith("related/") for name in snapshot.to_files())
    nobody = Histories.of_baskets([[0, 1]], snapshot.now)
    assert not snapshot.related.complements.scores(nobody).any()
    whole = with_related(snapshot)
    again = Snapshot.from_files(whole.to_files())
    assert again.related.built
    assert again.related.to_files() == whole.related.to_files()
    assert len(whole.related.buy_again.gap) == len(shop.catalog)
    found = ComplementRetriever(again.related.complements, again.category_texts).retrieve(nobody, 3)
    assert found.rows.shape == (1, 3)
    rows = np.arange(shop.log.n_users)
    left = snapshot.log.without_users(rows[::2])
    assert recounted(whole, left, model.retrieval).related.to_files() == Related.fit(left, whole.category_texts, whole.now).to_files()
    assert not recounted(snapshot, left, model.retrieval).related.built
