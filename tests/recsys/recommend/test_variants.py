"""Variants of a product never flood a list: recommend, popular, basket, unsold, similar and search."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.storage.digests import of_strings
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.recommend import open
from recsys.recommend.pipeline import Recommender
from recsys.recommend.request import RecommendOptions
from recsys.service.schemas import RecommendBody
from recsys.snapshot.fingerprint import fingerprint
from recsys.snapshot.snapshot import Snapshot, recounted

OF_A_PRODUCT = 5  # items of the tiny shop are variants of a product in fives


def product(item: str) -> int:
    return int(item[-2:]) // OF_A_PRODUCT


@pytest.fixture(scope="module")
def recommender(ready: Any) -> Recommender:
    """The tiny shop, whose items are variants."""
    plain = open.open_recommender(ready.workspace)
    frame = plain.snapshot.catalog.frame
    group = pl.Series([f"product {product(item)}" for item in frame["item_id"]])
    return replace(plain, snapshot=replace(plain.snapshot, catalog=Catalog.from_frame(frame.with_columns(group_id=group))))


REQUESTS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "known": ("user-03", {}),
    "known, diverse": ("user-03", {"diversity": 0.4}),
    "unknown": (None, {}),
    "basket": (None, {"history": ("sku-02", "sku-05")}),
    "in a category": ("user-03", {"category": "tea"}),
}


@pytest.mark.parametrize("most", [1, 2, 40])
@pytest.mark.parametrize("name", list(REQUESTS))
def test_a_list_holds_few_variants_and_is_still_full(recommender: Recommender, name: str, most: int) -> None:
    user, options = REQUESTS[name]
    whole = next(recommender.answer(RecommendOptions(k=40, max_per_group=40, **options), [user])).items
    most_that_can_be = sum(min(most, count) for count in Counter(product(item.item_id) for item in whole).values())
    (answer,) = recommender.answer(RecommendOptions(k=8, max_per_group=most, **options), [user])
    products = Counter(product(item.item_id) for item in answer.items)
    assert max(products.values()) <= most
    assert len(answer.items) == min(8, most_that_can_be)


def test_one_of_a_product_is_the_default_for_evaluation_too(recommender: Recommender) -> None:
    snapshot = recommender.snapshot
    users = Histories.of_users(snapshot.log, np.arange(20), snapshot.now)
    for rows in recommender.recommend(users, 8).rows:
        products = [product(str(snapshot.catalog.ids[row])) for row in rows if row >= 0]
        assert len(products) == len(set(products)) == 8


def test_unsold_items_of_one_product_are_few(recommender: Recommender) -> None:
    snapshot = recommender.snapshot
    early = snapshot.log.between(None, int(snapshot.log.time.min()) + 1)  # hardly anything was sold then
    young = replace(recommender, snapshot=recounted(snapshot, early, recommender.model.retrieval))
    (answer,) = young.answer(RecommendOptions(k=6, unsold=True), ["user-03"])
    products = [product(item.item_id) for item in answer.items]
    assert len(products) == len(set(products)) == 6


def test_similar_items_are_other_products(recommender: Recommender) -> None:
    near = recommender.similar("sku-03", 6).items
    products = [product(match.item_id) for match in near]
    assert len(products) == len(set(products)) == 6
    assert product("sku-03") not in products
    scores = [match.score for match in near]
    assert scores == sorted(scores, reverse=True)
    own = recommender.similar("sku-03", 6, 40, variants=True).items
    assert product("sku-03") in {product(match.item_id) for match in own}
    assert "sku-03" not in {match.item_id for match in own}


@pytest.mark.parametrize("most", [1, 3])
def test_a_search_finds_few_variants(recommender: Recommender, most: int) -> None:
    (answer,) = Search(recommender).answer(SearchOptions(k=8, max_per_group=most), [("green tea", None)])
    found = answer.items
    assert len(found) == 8
    assert max(Counter(product(match.item_id) for match in found).values()) <= most


def test_a_snapshot_from_before_the_groups_opens(recommender: Recommender) -> None:
    files = dict(recommender.snapshot.to_files())
    old = pl.read_parquet(io.BytesIO(files["catalog.parquet"])).drop("group_id")
    buffer = io.BytesIO()
    old.write_parquet(buffer)
    opened = Snapshot.from_files(files | {"catalog.parquet": buffer.getvalue()})
    assert opened.catalog.groups is None
    assert opened.catalog.ids.tolist() == recommender.snapshot.catalog.ids.tolist()


def test_a_column_without_groups_does_not_change_a_fingerprint(recommender: Recommender) -> None:
    snapshot = recommender.snapshot
    plain = Catalog.from_frame(snapshot.catalog.frame.drop("group_id"))
    digest = hashlib.sha256(plain.frame.drop("group_id", "attributes", "barcode", "margin", "stock").write_json().encode())
    assert fingerprint(plain, snapshot.log) != fingerprint(snapshot.catalog, snapshot.log)
    for name in ("user", "item", "time", "event", "weight", "price"):
        digest.update(np.ascontiguousarray(getattr(snapshot.log, name)).tobytes())
    digest.update(of_strings(snapshot.log.user_ids.tolist()))
    assert fingerprint(plain, snapshot.log) == digest.hexdigest(), "as it was before the column"


def test_the_service_takes_the_limit() -> None:
    assert RecommendBody(user="u").options.max_per_group == 1
    assert RecommendBody(user="u", max_per_group=3).options.max_per_group == 3
    with pytest.raises(ValidationError):
        RecommendBody(user="u", max_per_group=0)
