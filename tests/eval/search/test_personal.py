"""The personal protocol: who asks for what, in which forms, and what counts as relevant."""

import numpy as np
import polars as pl
import pytest

from eval.search.personal import FORMS, personal_queries, type_queries
from eval.search.product_types import ProductTypes
from eval.search.query_set import sample
from features.data.catalog import Catalog
from features.data.interactions import DAY
from features.data.split import Split
from features.errors import DataError


def catalog_of(*rows: tuple[str, str | None]) -> Catalog:
    ids = [f"i{number:02}" for number in range(len(rows))]
    return Catalog.from_frame(pl.DataFrame({"item_id": ids, "title": [row[0] for row in rows], "category": [row[1] for row in rows]}))


def test_titles_that_differ_in_their_size_alone_name_a_type():
    catalog = catalog_of(
        ("Ripe Olives, 6 OZ", "Grocery|Olives"),
        ("Ripe Olives, 2.25 OZ", "Grocery|Olives"),
        ("Ripe Olives", "Grocery|Olives"),
        ("Cola 12 x 33 cl", "Drinks"),
        ("Cola 1.5 l", "Drinks"),
        ("Cola 500 ml", "Drinks"),
    )
    types = ProductTypes.of(catalog)
    assert types.words == ("cola", "ripe olives")
    assert types.of_item.tolist() == [1, 1, 1, 0, 0, 0]


def test_where_titles_are_names_of_single_products_the_leaf_of_the_category_names_the_type():
    catalog = catalog_of(("Sony WH-1000", "Audio|Head Phones"), ("Bose QC 45", "Audio|Head Phones"), ("Gift card", None))
    types = ProductTypes.of(catalog)
    assert types.words == ("head phones",)
    assert types.of_item.tolist() == [0, 0, -1]


@pytest.fixture
def split(shop):
    return Split.by_time(shop.log, shop.log.end - 28 * DAY)


def test_relevant_is_what_the_household_bought_of_the_type_after_the_cut(shop, split):
    found = personal_queries(shop.catalog, split, most=40)
    types = ProductTypes.of(shop.catalog)
    rows = split.history.user_rows(list(found.users))
    as_typed = found.slices["as it is"]
    for place in np.flatnonzero(as_typed).tolist():
        kind = types.words.index(found.queries[place])
        bought = split.labels.item[split.labels.user == rows[place]]
        expected = sorted({int(item) for item in bought if types.of_item[item] == kind})
        assert found.judgments.pairs.item[found.judgments.pairs.user == place].tolist() == expected
        assert expected
    assert as_typed.sum() == 40 // len(FORMS)


def test_every_form_of_a_pair_has_the_same_household_and_the_same_items(shop, split):
    found = personal_queries(shop.catalog, split, most=80)
    firsts = np.flatnonzero(found.slices["as it is"])
    for first, end in zip(firsts.tolist(), [*firsts[1:].tolist(), len(found)], strict=True):
        assert len(set(found.users[first:end])) == 1
        items = [found.judgments.pairs.item[found.judgments.pairs.user == place].tolist() for place in range(first, end)]
        assert items == [items[0]] * len(items)
    forms = np.stack([found.slices[form] for form in FORMS if form in found.slices])
    assert (forms.sum(axis=0) == 1).all()
    assert (found.slices["head"] ^ found.slices["tail"]).all()


def test_the_same_seed_draws_the_same_and_another_does_not(shop, split):
    one, same, other = (personal_queries(shop.catalog, split, most=40, seed=seed) for seed in (1, 1, 2))
    assert (one.queries, one.users) == (same.queries, same.users)
    assert one.users != other.users


def test_what_lies_after_the_window_changes_nothing_but_what_is_relevant(shop, split):
    """The types that are head are those that sold before the cut."""
    found = personal_queries(shop.catalog, split, most=10**6)
    fewer = split.labels.where(np.arange(len(split.labels)) % 2 == 0)
    less = personal_queries(shop.catalog, Split(split.history, fewer, split.cut, split.end), most=10**6)
    head, head_again = ({q for q, is_head in zip(one.queries, one.slices["head"], strict=True) if is_head} for one in (found, less))
    assert head_again <= head


def test_a_shop_without_types_is_told_so(shop, split):
    bare = Catalog.from_frame(shop.items.with_columns(title=pl.col("item_id"), category=pl.lit(None, pl.String)))
    with pytest.raises(DataError, match="give items categories"):
        personal_queries(bare, split)


def test_type_queries_are_judged_by_all_items_of_the_type(shop):
    found = type_queries(shop.catalog)
    types = ProductTypes.of(shop.catalog)
    assert found.queries
    for place, query in enumerate(found.queries):
        items = found.judgments.pairs.item[found.judgments.pairs.user == place]
        assert items.tolist() == np.flatnonzero(types.of_item == types.words.index(query)).tolist()


def test_a_sample_is_sorted_and_distinct_and_no_larger_than_asked():
    places = np.array([9, 3, 7, 1])
    assert sample(places, 10, 0).tolist() == [1, 3, 7, 9]
    assert len(set(sample(places, 2, 0).tolist())) == 2
