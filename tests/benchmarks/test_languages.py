"""Search and cold items across languages, over goods that are translated by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from benchmarks.languages import OTHER, TARGET, Catalogues, goods, in_languages, in_one_language, purchases, queries, ratio
from features.data.catalog import Catalog
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts
from tests.benchmarks.encoders import multilingual

if TYPE_CHECKING:
    pass

CHINESE = r"\p{Han}"


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Catalogues:
    return Catalogues(multilingual(), tmp_path_factory.mktemp("languages"))


def test_every_product_is_told_whole_in_both_languages() -> None:
    table, asked = goods(), queries()
    assert len(table) == 200
    assert len(asked) == 60
    assert set(asked["item_id"]) <= set(table["item_id"])
    for frame in (table, asked):
        for name in frame.columns:
            assert frame[name].null_count() == 0
            assert frame[name].n_unique() == len(frame) or name.startswith("category")
            has = frame[name].str.contains(CHINESE)
            assert has.all() if name.endswith("_zh") else not has.any(), name


@pytest.mark.parametrize("language", list(OTHER))
def test_no_query_is_a_part_of_its_products_title(language: str) -> None:
    table = queries().join(goods(), on="item_id")
    for typed, title in table.select(f"query_{language}", f"title_{language}").rows():
        assert typed.casefold() not in title.casefold()


def test_every_other_product_may_speak_another_language() -> None:
    items = in_languages(["zh" if place % 2 else "en" for place in range(200)])
    assert items["title"].str.contains(CHINESE).to_list() == [bool(place % 2) for place in range(200)]
    assert purchases(items)["item_id"].to_list() == items["item_id"].to_list()


def test_a_ratio_is_that_of_two_recalls() -> None:
    same, other = np.array([1.0, 1, 1, 1, 0]), np.array([1.0, 1, 0, 0, 0])
    assert ratio(other, same)[0] == pytest.approx(0.5)
    assert ratio(same, same) == (1.0, 1.0, 1.0)
    low, high = ratio(other, same)[1:]
    assert low < 0.5 < high


def test_a_query_finds_products_of_the_other_language_nearly_as_well(catalogues: Catalogues) -> None:
    for name, other, same in catalogues.rows():
        assert same.mean() > 0.7, name
        assert ratio(other, same)[0] >= TARGET, (name, other.mean(), same.mean())


def test_an_unsold_product_of_the_other_language_stands_beside_what_was_bought() -> None:
    """What a customer bought has English titles; the same shelf's Chinese products, never sold, are the nearest by their vectors."""
    encoder = TextEncoder.pretrained(EncoderConfig(model=multilingual()))
    vectors = {one: encoder.encode(item_texts(Catalog.from_frame(in_one_language(one))).to_list()) for one in OTHER}
    shelf = goods()["category_en"].to_numpy()
    found = []
    for name in np.unique(shelf):
        own = np.flatnonzero(shelf == name)
        bought, unsold = own[:3], np.setdiff1d(np.arange(200), own[:3])
        taste = vectors["en"][bought].mean(axis=0)
        best = unsold[np.argsort(-(vectors["zh"][unsold] @ taste))[:5]]
        found.append(np.mean(shelf[best] == name))
    assert np.mean(found) > 0.5  # 3.6% by chance


def test_the_same_product_is_nearest_across_languages() -> None:
    encoder = TextEncoder.pretrained(EncoderConfig(model=multilingual()))
    english, chinese = (encoder.encode(pl.Series(goods()[f"title_{one}"]).to_list()) for one in OTHER)
    nearest = (english @ chinese.T).argmax(axis=1)
    assert np.mean(nearest == np.arange(200)) > 0.75
