"""The answer path of a search on the tiny shop: what the words ask for, what must never be shown, and what a user's past adds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.errors import DataError
from features.names import PREFERENCE, RELEVANCE
from ranking.blocklist import Blocklist
from recsys.apps.search.answers import SearchAnswer
from recsys.apps.search.pipeline import BATCH, Search
from recsys.apps.search.present import NEAREST, NO_WORDS, NONE_WITHIN, NOT_ALL, NOT_SHOWN, NOTHING, UNREAD
from recsys.apps.search.request import MAX_LENGTH, SearchOptions, checked_text
from recsys.artifacts.model import ServedModel
from recsys.recommend import open
from recsys.recommend.recent_events import recent_histories
from recsys.settings.events import EventWeights
from recsys.workspace.events import Event
from retrieval.text_search import NEAR

STRANGE = (
    *("", " ", "🍓🍓", "the of and", "\x00\x01\x1b[31m", "\u202e", "title:(", "*", "NOT (", "[a TO b]", "lone \ud800 surrogate"),
    *("'; DROP TABLE items; --", "<script>alert(1)</script>", "{{ 7 * 7 }}", "tea " * 2_500, "x" * 10_000),
)
OUT_OF_STOCK = {"sku-12", "sku-25", "sku-38"}


@pytest.fixture(scope="module")
def search(ready: Any) -> Search:
    return Search(open.open_recommender(ready.workspace))


def ask(search: Search, text: str, user: str | None = None, recent: Any = None, **options: Any) -> SearchAnswer:
    (answer,) = search.answer(SearchOptions(**options), [(text, user)], recent)
    return answer


def ids(answer: SearchAnswer) -> list[str]:
    return [item.item_id for item in answer.items]


def title(search: Search, item: str) -> str:
    catalog = search.recommender.snapshot.catalog
    return str(catalog.frame["title"][int(catalog.rows([item])[0])])


def did(search: Search, user: str, item: str, event: str) -> Any:
    return recent_histories(search.recommender.snapshot, user, [Event(user, item, event, 2_000_000_000, 1.0, None)], EventWeights())


def test_items_that_say_the_words_come_first(search: Search) -> None:
    for text, first in (("rye bread", {"sku-10", "sku-15"}), ("kitchen towel", {"sku-20"}), ("お茶", {"sku-03"})):
        answer = ask(search, text)
        assert set(ids(answer)[: len(first)]) == first
        assert answer.fallback is None
        assert [item.rank for item in answer.items] == list(range(1, 11))
        assert answer.items[0].reason.startswith("matches: ")
        scores = [item.score for item in answer.items]
        assert scores == sorted(scores, reverse=True)


def test_a_price_in_the_words_is_a_filter_that_can_be_removed(search: Search) -> None:
    answer = ask(search, "tea under 3 dollars", k=40)
    (limit,) = answer.filters
    assert (limit.key, limit.words, limit.relaxed) == ("max_price:3", "under 3 dollars", False)
    assert answer.read_as == "tea"
    assert answer.items
    assert max(item.price or 99 for item in answer.items) <= 3
    removed = ask(search, "tea under 3 dollars", k=40, ignore=(limit.key,))
    assert removed.filters == ()
    assert max(item.price or 0 for item in removed.items) > 3


def test_a_price_that_nothing_meets_is_relaxed_and_that_is_said(search: Search) -> None:
    answer = ask(search, "tea under 0.50 dollars")
    assert [one.relaxed for one in answer.filters] == [True]
    assert "tea" in answer.items[0].title
    asked = ask(search, "tea", max_price=0.5)
    assert (asked.items, asked.fallback) == ((), NOTHING), "one of the options is never relaxed"


def test_a_filter_that_only_other_items_meet_is_relaxed_too(search: Search) -> None:
    """Tea at 3 dollars is no answer to who asks for a towel."""
    below = min(item.price or 99 for item in ask(search, "towel", k=40).items if "towel" in item.title) - 0.1
    assert ask(search, f"under {below:g} dollars", k=40).items, "something is cheaper"
    answer = ask(search, f"towel under {below:g} dollars")
    assert [one.relaxed for one in answer.filters] == [True]
    assert "towel" in answer.items[0].title
    both = ask(search, f"towel in stock under {below:g} dollars")
    assert {one.key.split(":")[0]: one.relaxed for one in both.filters} == {"max_price": True, "in_stock": False}, "not more than must"
    asked = ask(search, "towel", max_price=below)
    assert (asked.fallback, asked.filters) == (NONE_WITHIN, ())


def test_what_is_not_wanted_is_a_filter_that_can_be_removed(search: Search) -> None:
    large = {item for item in ids(ask(search, "tea", k=40)) if "large" in title(search, item)}
    assert large
    for text, words in (("tea -large", "-large"), ("tea without large", "without large"), ("tea not large", "not large")):
        answer = ask(search, text, k=40)
        (one,) = answer.filters
        assert (one.key, one.label, one.words, one.relaxed, answer.read_as) == ("without:large", "without large", words, False, "tea")
        assert answer.items
        assert not large & set(ids(answer))
        removed = ask(search, text, k=40, ignore=(one.key,))
        assert removed.filters == ()
        assert large <= set(ids(removed))


def test_what_all_that_fits_has_is_not_left_out_and_that_is_said(search: Search) -> None:
    answer = ask(search, "kitchen towel -towel")
    assert [one.relaxed for one in answer.filters] == [True]
    assert "towel" in answer.items[0].title


def test_words_that_no_item_has_are_named(search: Search) -> None:
    assert ask(search, "rye bread").notes == ()
    assert ask(search, "rye bread qwertzu", verbatim=True).notes == ("no item has the word 'qwertzu'",)
    assert ask(search, "towel bread").notes == (NOT_ALL,)
    (note,) = ask(search, "tea brand: nobrand").notes[:1]
    assert "'nobrand'" in note
    assert ask(search, "qwertzu", verbatim=True).notes == (), "the fallback says it"


def test_a_query_of_filters_alone_gets_what_sells(search: Search) -> None:
    answer = ask(search, "under 5 dollars")
    assert (answer.fallback, answer.read_as, len(answer.items)) == (None, "", 10)
    assert not any("near in meaning" in item.reason or item.reason == "" for item in answer.items)
    (first, *_), (second, *_) = (search.answer(SearchOptions(), pairs) for pairs in ([("under 5 dollars", None)], [("tea", None)]))
    assert [one.items for one in search.answer(SearchOptions(), [("under 5 dollars", None), ("tea", None)])] == [first.items, second.items]


def test_a_script_that_the_encoder_does_not_read_is_no_meaning(search: Search) -> None:
    answer = ask(search, "สบู่")
    assert (answer.fallback, len(answer.items)) == (UNREAD, 10)
    assert not any("near in meaning" in item.reason for item in answer.items)


def test_markup_is_not_looked_for(search: Search) -> None:
    assert ids(ask(search, "<b>rye bread</b>")) == ids(ask(search, "rye bread"))
    assert (ask(search, "<script>alert(1)</script>").items, ask(search, "<p></p>").fallback) == ((), NO_WORDS)


def test_an_id_of_an_item_that_cannot_be_shown_is_said(search: Search) -> None:
    shown = ask(search, "sku-13")
    assert (shown.fallback, shown.notes, shown.items[0].reason) == (None, (), "its id is sku-13")
    assert ask(search, "sku-12").fallback == NOT_SHOWN, "out of stock"
    assert ask(search, "sku-13", max_price=0.5).fallback == NOTHING


@pytest.mark.parametrize("text", ["sku-13", "SKU-13", " #sku-13 "])
def test_an_id_finds_the_item_and_what_is_like_it(search: Search, text: str) -> None:
    answer = ask(search, text)
    assert ids(answer)[0] == "sku-13"
    assert len(set(ids(answer))) == 10


@pytest.mark.parametrize("text", ["rye bread", "sku-10"])
def test_a_blocked_item_is_never_shown(search: Search, text: str) -> None:
    assert ids(ask(search, text))[0] in ("sku-10", "sku-15")
    blocked = Search(replace(search.recommender, blocklist=Blocklist(items=("sku-10",))))
    assert "sku-10" not in ids(ask(blocked, text, k=40))
    assert len(ids(ask(blocked, text))) == 10


@pytest.mark.parametrize("text", ["rye bread", "sku-10"])
def test_a_disliked_item_is_not_shown_to_who_dislikes_it(search: Search, text: str) -> None:
    disliked = did(search, "user-01", "sku-10", "dislike")
    assert "sku-10" in ids(ask(search, text, "user-01", k=40))
    assert "sku-10" not in ids(ask(search, text, "user-01", disliked, k=40))


@pytest.mark.parametrize("text", ["oat cookie", "お茶", "sku-12", "fresh berry in stock"])
def test_what_is_out_of_stock_is_not_shown(search: Search, text: str) -> None:
    found = ids(ask(search, text, k=40))
    assert OUT_OF_STOCK.isdisjoint(found)
    assert found


def test_options_narrow_the_list(search: Search) -> None:
    snapshot = search.recommender.snapshot
    assert all(item.category == "bakery" for item in ask(search, "tea", category="bakery").items)
    assert set(ids(ask(search, "tea", min_price=10, max_price=10.5))) == {"sku-34", "sku-35", "sku-36"}
    brands = dict(snapshot.catalog.frame.select("item_id", "brand").rows())
    assert {brands[item] for item in ids(ask(search, "tea", brand="ACME"))} == {"acme"}
    assert "sku-10" not in ids(ask(search, "rye bread", k=40, exclude=("sku-10",)))
    wrongs: tuple[dict[str, Any], ...] = ({"brand": "nobrand"}, {"category": "cars"}, {"exclude": ("sku-99",)})
    for wrong in wrongs:
        with pytest.raises(DataError, match=r"nobrand|cars|sku-99"):
            ask(search, "tea", **wrong)


def test_of_two_items_with_one_text_a_user_gets_the_own_first(search: Search, shop: Any) -> None:
    """Words cannot tell them apart; what was bought does."""
    bought: dict[str, set[str]] = {}
    for user, item in shop.events.filter(event="purchase").select("user_id", "item_id").iter_rows():
        bought.setdefault(user, set()).add(item)
    twins = {"sku-00", "sku-01"}
    first = []
    for user, items in bought.items():
        if len(items & twins) == 1:
            found = ids(ask(search, "green tea small", user, k=40))
            (own,), (other,) = items & twins, twins - items
            first.append(found.index(own) < found.index(other))
    assert len(first) > 5
    assert np.mean(first) > 0.7
    assert len({ids(ask(search, "green tea small", user))[0] for user in bought}) > 1


def test_an_unknown_user_gets_what_nobody_in_particular_gets(search: Search) -> None:
    unknown, nobody = ask(search, "rye bread", "who-is-this"), ask(search, "rye bread")
    assert (unknown.user_id, unknown.items) == ("who-is-this", nobody.items)
    assert all("bought" not in item.reason for item in nobody.items)


def test_what_a_user_just_did_counts(search: Search) -> None:
    before = ask(search, "rye bread", "new", explain=True)
    after = ask(search, "rye bread", "new", did(search, "new", "sku-15", "purchase"), explain=True)
    assert PREFERENCE not in dict(before.items[0].contributions)
    assert all(PREFERENCE in dict(item.contributions) for item in after.items)
    assert any("bought" in item.reason for item in after.items if item.item_id == "sku-15")


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("user", [None, "user-03"])
def test_any_text_is_answered(search: Search, text: str, user: str | None) -> None:
    answer = ask(search, text, user, k=3)
    assert answer.query == text
    assert len(answer.items) in (0, 3)
    assert all(np.isfinite(item.score) for item in answer.items)
    if not answer.items:
        assert answer.fallback == NO_WORDS


def test_words_that_no_item_has_are_answered_by_meaning_and_that_is_said(search: Search) -> None:
    answer = ask(search, "qwertz", verbatim=True)
    assert answer.fallback == NEAREST
    assert len(answer.items) == 10
    assert all("near in meaning" in item.reason for item in answer.items)


def test_a_typo_is_mended_unless_the_text_is_taken_as_typed(search: Search) -> None:
    mended = ask(search, "kitchn towel")
    assert mended.corrections == (("kitchn", "kitchen"),)
    assert mended.read_as == "kitchen towel"
    typed = ask(search, "kitchn towel", verbatim=True)
    assert (typed.corrections, typed.read_as) == ((), "kitchn towel")
    assert mended.items[0].item_id == "sku-20"


def test_several_queries_in_one_call_equal_single_calls(search: Search) -> None:
    texts = ("rye bread", "sku-13", "tea under 3 dollars", "", "tea under 0.5 dollars", "🍓", "qwertz")
    queries = [(text, user) for user in (None, "user-03", "user-30", "who", "user-41") for text in texts]
    assert len(queries) > BATCH
    together = search.answer(SearchOptions(k=6), queries)
    for answer, (text, user) in zip(together, queries, strict=True):
        alone = ask(search, text, user, k=6)
        assert ids(answer) == ids(alone)
        assert (answer.read_as, answer.filters, answer.facets, answer.fallback) == (
            alone.read_as,
            alone.filters,
            alone.facets,
            alone.fallback,
        )
        assert [item.reason for item in answer.items] == [item.reason for item in alone.items]
    assert search.answer(SearchOptions(), []) == []


@pytest.mark.parametrize("k", [1, 41, 10**9])
def test_a_list_is_as_long_as_asked_or_as_the_shop_has(search: Search, k: int) -> None:
    available = int(search.recommender.snapshot.catalog.available.sum())
    found = ids(ask(search, "tea", k=k))
    assert len(found) == len(set(found)) == min(k, available)


def test_words_are_searched_after_the_prompt_of_queries(ready: Any) -> None:
    plain, prompted = (Search(open.open_recommender(ready.workspace)) for _ in range(2))
    model = prompted.recommender.model
    assert isinstance(model, ServedModel)
    model.__dict__["query"] = replace(model.query, prompt="sweet ")
    vector = prompted.recommender.model.encode_queries(["carrot"]).vectors
    assert np.allclose(vector, plain.recommender.model.encode_queries(["sweet carrot"]).vectors, atol=1e-6)
    dense = [[dict(item.contributions)[RELEVANCE] for item in ask(one, "carrot", explain=True).items] for one in (plain, prompted)]
    assert not np.allclose(*dense, atol=1e-3)


def test_an_item_named_by_its_id_is_above_whatever_lies_beside_it(search: Search) -> None:
    items = ask(search, "sku-03", explain=True).items
    named, *others = (dict(item.contributions)[RELEVANCE] for item in items)
    assert items[0].item_id == "sku-03"
    assert others
    nearest = (1 + search.text_search.config.category) / NEAR  # cosine 1 with the query, in a category that is as near
    assert named > max(nearest, *others)


def test_the_text_of_a_request_is_checked() -> None:
    assert checked_text(" tea ") == " tea "
    for text in ("", " \n", "x" * (MAX_LENGTH + 1)):
        with pytest.raises(DataError, match="the text"):
            checked_text(text)


def test_a_reason_names_the_words_in_whatever_form_they_are(search: Search) -> None:
    assert "matches: oat cookie" in ask(search, "oat cookies", k=1).items[0].reason
