"""Pages: no product twice, nothing that may not be shown, the list of `recommend` for the visitor, rows that are turned over."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.errors import DataError
from ranking.blocklist import Blocklist
from ranking.merchandising.place import PAGE_KINDS, ROWS
from ranking.merchandising.rules import MerchandisingRules
from recsys.apps.storefront.pipeline import Storefront
from recsys.apps.storefront.request import MAX_ROWS, PageRequest, RowRequest, RowTurn
from recsys.recommend.request import RecommendOptions
from recsys.settings.apps.storefront import StorefrontConfig
from retrieval.collaborative.scoring import Weighting
from retrieval.related.complements import Complements
from retrieval.related.models import Related

if TYPE_CHECKING:
    from recsys.apps.storefront.answers import PageAnswer, Row

USERS = [None, "nobody", *(f"user-{number:02}" for number in range(1, 13))]
ITEMS = [f"sku-{number:02}" for number in range(1, 40)]


@pytest.fixture(scope="module")
def storefront(ready: Any) -> Storefront:
    """The tiny shop, in which three items are variants of one product and some are sold out."""
    found = ready.shop.recommender
    frame = found.snapshot.catalog.frame.with_columns(
        group_id=pl.when(pl.col("item_id").is_in(ITEMS[:3])).then(pl.lit("one product")),
        available=~pl.col("item_id").is_in(["sku-20", "sku-21"]),
    )
    n = len(frame)
    # Each item is bought together with three of the next category, the nearest most.
    apart = [11, 12, 13]
    weights = sp.diags_array([np.full(n - by, 1 / by, dtype=np.float32) for by in apart], offsets=apart, shape=(n, n)).tocsr()
    related = Related(Complements(weights, Weighting()), found.snapshot.related.buy_again)
    snapshot = replace(found.snapshot, catalog=Catalog.from_frame(frame), related=related)
    return Storefront(replace(found, snapshot=snapshot, blocklist=Blocklist(items=("sku-30",))), StorefrontConfig(depth=12))


def shown(answer: PageAnswer) -> list[str]:
    return [item.item_id for row in answer.rows for item in row.items]


def all_of(storefront: Storefront, request: PageRequest, row: Row) -> list[str]:
    """The items that follow in a row, turned over two by two."""
    found: list[str] = []
    after, rest = len(row.items), row.rest
    while rest:
        part = storefront.turn(RowTurn(request, row.name, rest, after, 2)).row
        assert [item.position for item in part.items] == list(range(after + 1, after + 1 + len(part.items)))
        found += [item.item_id for item in part.items]
        after, rest = after + len(part.items), part.rest
    return found


rows = st.builds(RowRequest, st.sampled_from(ROWS), st.integers(1, 6))
pages = st.builds(
    PageRequest,
    page=st.sampled_from(PAGE_KINDS),
    user=st.sampled_from(USERS),
    basket=st.lists(st.sampled_from([*ITEMS, "gone"]), max_size=3).map(tuple),
    item=st.sampled_from(ITEMS),
    category=st.sampled_from(["bakery", "drinks"]) | st.none(),
    viewed=st.lists(st.sampled_from([*ITEMS, "gone"]), max_size=4).map(tuple),
    rows=st.lists(st.builds(RowRequest, st.sampled_from(ROWS), st.integers(1, 6)), max_size=6, unique_by=lambda row: row.name).map(tuple),
    in_stock=st.booleans(),
    max_price=st.none() | st.floats(0, 20),
).filter(lambda page: page.page != "category" or page.category is not None)


@settings(max_examples=150, deadline=None)
@given(request=pages)
def test_no_product_stands_twice_on_a_page_nor_in_what_follows(storefront: Storefront, request: PageRequest) -> None:
    answer = storefront.answer(request)
    every = shown(answer) + [item for row in answer.rows for item in row.rest]
    assert len(every) == len(set(every))
    assert sum(item in ITEMS[:3] for item in every) <= 1  # variants of one product
    assert not {*request.basket, request.item, "sku-30"} & set(every)
    catalog = storefront.recommender.snapshot.catalog
    if request.in_stock:
        assert catalog.available[catalog.rows(every)].all()
    if request.max_price is not None:
        assert (storefront.recommender.snapshot.prices[catalog.rows(every)] <= request.max_price + 0.005).all()
    asked = [row.name for row in request.rows] or list(storefront.config.rows_of(request.page))
    assert sorted([row.name for row in answer.rows] + list(answer.left_out)) == sorted(asked)
    for row in answer.rows:
        assert 0 < len(row.items) <= dict(request.layout(storefront.config))[row.name]
        assert all(item.reason for item in row.items)


def test_the_row_for_the_visitor_is_the_list_of_recommend(storefront: Storefront) -> None:
    (expected,) = storefront.recommender.answer(RecommendOptions(k=5, in_stock=True), ["user-01"])
    config = storefront.config.model_copy(update={"category_share": 1.0})
    (row,) = Storefront(storefront.recommender, config).answer(PageRequest("home", "user-01", rows=(RowRequest("for_you", 5),))).rows
    assert [(item.item_id, item.probability, item.reason) for item in row.items] == [
        (item.item_id, item.probability, item.reason) for item in expected.items
    ]


def test_rows_without_anything_to_show_say_why(storefront: Storefront) -> None:
    answer = storefront.answer(
        PageRequest("home", None, rows=tuple(RowRequest(name) for name in ("for_you", "recently_viewed", "popular")))
    )
    assert answer.left_out == {
        "for_you": "nothing is known of the visitor",
        "recently_viewed": "no view of the visitor is known",
    }
    assert [row.name for row in answer.rows] == ["popular"]


def test_what_was_looked_at_comes_latest_first(storefront: Storefront) -> None:
    asked = PageRequest("home", viewed=("sku-05", "sku-07", "gone", "sku-05"), rows=(RowRequest("recently_viewed"),))
    answer = storefront.answer(asked)
    assert shown(answer) == ["sku-05", "sku-07"]
    assert answer.notes == ("1 of 4 items of those viewed are not in the catalogue: left out",)


def test_a_row_is_turned_over_without_repeating_or_skipping(storefront: Storefront) -> None:
    request = PageRequest("home", "user-01", rows=(RowRequest("for_you", 3), RowRequest("popular", 3)))
    answer = storefront.answer(request)
    for row in answer.rows:
        assert row.rest
        assert all_of(storefront, request, row) == list(row.rest)


def test_what_may_no_longer_be_shown_is_left_out_and_counted(storefront: Storefront) -> None:
    request = PageRequest("home", "user-01", rows=(RowRequest("popular", 3),))
    (row,) = storefront.answer(request).rows
    blocked = replace(storefront.recommender, blocklist=Blocklist(items=(row.rest[1],)))
    later = Storefront(blocked, storefront.config).turn(RowTurn(request, "popular", (*row.rest, "gone"), 3, 50)).row
    assert [item.item_id for item in later.items] == [row.rest[0], *row.rest[2:]]
    assert later.gone == 2


def test_an_item_that_its_row_does_not_find_any_more_keeps_its_place(storefront: Storefront) -> None:
    turn = RowTurn(PageRequest("home", "nobody"), "recently_viewed", ("sku-05", "sku-07"), 3, 5)
    assert [(item.position, item.item_id) for item in storefront.turn(turn).row.items] == [(4, "sku-05"), (5, "sku-07")]


def test_no_category_takes_over_a_page_while_others_have_something_to_show(storefront: Storefront) -> None:
    rows = (RowRequest("popular", 10),)

    def largest(share: float) -> int:
        config = storefront.config.model_copy(update={"category_share": share})
        answer = Storefront(storefront.recommender, config).answer(PageRequest("home", rows=rows))
        assert len(answer.rows[0].items) == 10
        return max(Counter(item.category for item in answer.rows[0].items).values())

    assert largest(0.3) <= 3 < largest(1.0)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (PageRequest("product"), "a product page needs its item"),
        (PageRequest("category"), "a category page needs its category"),
        (PageRequest("home", rows=(RowRequest("popular"), RowRequest("popular"))), "'popular' is asked for 2 times"),
        (PageRequest("home", rows=(RowRequest("popular"),) * 1000), f"1,000 rows are asked for, expected {MAX_ROWS} at most"),
        (PageRequest("product", item="nothing"), "'nothing' is not in the catalogue"),
        (PageRequest("category", category="nothing"), "no item is in category 'nothing'"),
    ],
)
def test_wrong_requests_are_refused_in_a_line(storefront: Storefront, request_: PageRequest, said: str) -> None:
    with pytest.raises(DataError, match=said.replace("(", r"\(")) as error:
        storefront.answer(request_)
    assert "\n" not in str(error.value)


def test_titles_of_rows_are_the_shops_own(storefront: Storefront) -> None:
    config = StorefrontConfig(titles={"popular": "Beliebt", "because_you_bought": "Weil Sie {} kauften"})
    rows = (RowRequest("because_you_bought", 3), RowRequest("popular", 3))
    first, second = Storefront(storefront.recommender, config).answer(PageRequest("home", "user-01", rows=rows)).rows
    assert second.title == "Beliebt"
    assert first.title.startswith("Weil Sie ")
    assert "{}" not in first.title


def test_new_items_are_those_of_the_last_weeks(storefront: Storefront) -> None:
    answer = storefront.answer(PageRequest("home", rows=(RowRequest("new_arrivals", 5),), in_stock=False))
    snapshot = storefront.recommender.snapshot
    created = snapshot.catalog.frame["created_at"].dt.epoch("s").to_numpy()
    for item in shown(answer):
        age = (snapshot.now - created[snapshot.catalog.rows([item])[0]]) / 86_400
        assert np.isnan(age) or age <= storefront.recommender.model.retrieval.arrival_days


def test_rows_beside_an_item_name_it(storefront: Storefront) -> None:
    rows = (RowRequest("bought_together", 3), RowRequest("alternatives", 3))
    together, instead = storefront.answer(PageRequest("product", item="sku-10", rows=rows, in_stock=False)).rows
    catalog = storefront.recommender.snapshot.catalog
    title = catalog.frame["title"][int(catalog.rows(["sku-10"])[0])]
    assert {item.item_id for item in together.items} == {"sku-21", "sku-22", "sku-23"}
    assert {item.reason for item in together.items} == {f"often bought together with {title}"}
    assert instead.title == f"Instead of {title}"
    category = catalog.frame["category"][int(catalog.rows(["sku-10"])[0])]
    assert {item.category for item in instead.items} == {category}
    assert not {item.item_id for item in together.items} & {item.item_id for item in instead.items}


def test_what_is_due_is_told_with_its_gap(storefront: Storefront) -> None:
    (row,) = storefront.answer(PageRequest("home", "user-01", rows=(RowRequest("buy_again", 3),))).rows
    for item in row.items:
        assert re.fullmatch(r"usually every \d+ days?, last (today|\d+ days? ago)", item.reason)
        assert item.probability == pytest.approx(item.score)


def test_a_rule_shows_what_its_row_does_not_find(storefront: Storefront) -> None:
    pins = [{"name": f"pin {row}", "item": "sku-39", "position": 1, "where": {"rows": [row]}} for row in ("buy_again", "bought_together")]
    for pin in pins:
        ruled = Storefront(storefront.recommender.with_rules(MerchandisingRules.model_validate({"pin": [pin]})), storefront.config)
        (name,) = pin["where"]["rows"]
        rows = (RowRequest("popular", 5), RowRequest(name, 3))
        answer = ruled.answer(PageRequest("product", "user-01", item="sku-10", rows=rows, in_stock=False))
        upper, row = answer.rows
        assert (row.items[0].item_id, row.items[0].rule, row.items[0].position) == ("sku-39", pin["name"], 1)
        assert row.items[0].reason
        assert [item.rule for item in row.items[1:]] == [None] * (len(row.items) - 1)
        assert "sku-39" not in {item.item_id for item in upper.items}, "kept for the row that it is pinned to"


def test_drawn_rows_say_how_probable_they_were(storefront: Storefront) -> None:
    config = storefront.config.model_copy(update={"exploration": 1.0})
    asked = PageRequest("home", rows=(RowRequest("popular", 6),))
    lists = [storefront.answer(asked, config=config).rows[0] for _ in range(20)]
    assert len({tuple(item.item_id for item in row.items) for row in lists}) > 1
    for row in lists:
        assert [item.propensity for item in row.items[:3]] == [1.0] * 3
        assert all(item.propensity == pytest.approx(1 / 6) for item in row.items[3:])
        assert not {item.item_id for item in row.items} & set(row.rest)
    pinned = storefront.recommender.with_rules(
        MerchandisingRules.model_validate({"pin": [{"name": "now", "item": "sku-39", "position": 2}]})
    )
    assert len({tuple(i.item_id for i in Storefront(pinned, config).answer(asked).rows[0].items) for _ in range(5)}) == 1


def ruled(storefront: Storefront, **rules: list[dict[str, Any]]) -> Storefront:
    return Storefront(storefront.recommender.with_rules(MerchandisingRules.model_validate(rules)), storefront.config)


def test_a_pin_for_all_rows_stands_in_the_first_that_can_show_it(storefront: Storefront) -> None:
    pin = {"name": "now", "item": "sku-17", "position": 2}
    rows = (RowRequest("buy_again", 3), RowRequest("trending", 1), RowRequest("popular", 4), RowRequest("new_arrivals", 4))
    answer = ruled(storefront, pin=[pin]).answer(PageRequest("home", rows=rows))  # nothing is due for a visitor; trending has one place
    placed = [(row.name, item.position) for row in answer.rows for item in row.items if item.item_id == "sku-17"]
    assert placed == [("popular", 2)]


def test_a_pinned_variant_takes_the_place_of_the_others(storefront: Storefront) -> None:
    pin = {"name": "now", "item": "sku-02", "position": 1, "where": {"rows": ["popular"]}}
    upper, lower = (RowRequest("recently_viewed", 3), RowRequest("popular", 3))
    answer = ruled(storefront, pin=[pin]).answer(PageRequest("home", viewed=("sku-01", "sku-09"), rows=(upper, lower)))
    assert [shown_.item_id for shown_ in answer.rows[0].items] == ["sku-09"]
    assert answer.rows[1].items[0].item_id == "sku-02"


def test_rules_hold_in_what_follows(storefront: Storefront) -> None:
    asked = PageRequest("home", rows=(RowRequest("popular", 3),), in_stock=False)
    limit = {"name": "no bread", "by": "category", "value": "bakery", "most": 0}
    catalog = storefront.recommender.snapshot.catalog
    bakery = {str(item) for item, path in zip(catalog.ids, catalog.frame["category"], strict=True) if path and path.startswith("bakery")}
    (plain,) = storefront.answer(asked).rows
    assert bakery & set(plain.rest)
    (row,) = ruled(storefront, limit=[limit]).answer(asked).rows
    assert row.rest
    assert not bakery & {*row.rest, *(item.item_id for item in row.items)}
    (row,) = ruled(storefront, bury=[{"name": "last", "categories": ["bakery"]}]).answer(asked).rows
    buried = [item in bakery for item in row.rest]
    assert buried == sorted(buried), "behind all others"


def test_rows_below_do_not_depend_on_what_chance_drew(storefront: Storefront) -> None:
    asked = PageRequest("home", "user-01", rows=(RowRequest("for_you", 4), RowRequest("popular", 4)))
    drawn = storefront.config.model_copy(update={"exploration": 1.0})
    pages = [storefront.answer(asked, config=drawn) for _ in range(30)]
    assert len({tuple(item.item_id for item in page.rows[0].items) for page in pages}) > 1
    first = Counter(page.rows[1].items[0].item_id for page in pages)
    assert len(first) == 1, "its propensity is 1"
    assert {page.rows[1].items[0].propensity for page in pages} == {1.0}


def test_what_was_looked_at_keeps_its_order_whatever_the_settings(storefront: Storefront) -> None:
    viewed = tuple(f"sku-{number:02}" for number in (5, 6, 7, 8, 15, 16))
    asked = PageRequest("home", viewed=viewed, rows=(RowRequest("recently_viewed", 6),))
    config = storefront.config.model_copy(update={"category_share": 0.1, "diversity": 0.9, "exploration": 1.0})
    assert shown(storefront.answer(asked, config=config)) == list(reversed(viewed))


def test_a_diverse_row_keeps_the_share_of_a_category(storefront: Storefront) -> None:
    config = storefront.config.model_copy(update={"category_share": 0.2, "diversity": 0.5})
    (row,) = storefront.answer(PageRequest("home", rows=(RowRequest("popular", 8),)), config=config).rows
    assert max(Counter(item.category for item in row.items).values()) <= 2
