"""Every reason is true of the data: a shop small enough to check each sentence, and each kind of claim in turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from features.behavior.item_stats import ItemStats
from features.behavior.recent_buyers import RecentBuyers
from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import Interactions
from features.data.times.clock import Kind
from features.data.times.step_time import with_step_time
from ranking.ranker import with_features
from ranking.reasons import GROUPS, Reasons, group_weights
from retrieval.candidates import Candidates
from retrieval.collaborative.ease import EASE, EASEConfig

NOW = datetime(2024, 5, 1)
ITEMS = {
    "bread": ("rye bread", "bakery", "nord"),
    "cake": ("apple cake", "bakery", None),
    "milk": ("oat milk", "food|drinks", "acme"),
    "soap": ("hand soap", None, "acme"),
    "tea": ("green tea", "food|drinks", "acme"),
    "vase": ("glass vase", "home", None),
}
# user, item, days before NOW, event
EVENTS = [
    *[("ann", "tea", days, "purchase") for days in (49, 37, 25, 13)],  # every 12 days
    ("ann", "tea", 2, "view"),  # only looked
    ("ann", "milk", 13, "purchase"),
    ("ann", "cake", 1, "cart"),  # not bought after all
    ("ann", "vase", 0.01, "purchase"),  # minutes ago
    ("bob", "tea", 3, "purchase"),
    ("bob", "milk", 3, "purchase"),
    ("bob", "soap", 0.3, "purchase"),
    ("cid", "bread", 5, "purchase"),
    ("cid", "cake", 5, "purchase"),
    ("cid", "bread", 4, "purchase"),
    ("dan", "bread", 6, "purchase"),
    ("dan", "cake", 6, "purchase"),
    ("dan", "tea", 30, "purchase"),
    ("eve", "bread", 2, "purchase"),
    *[("eve", "soap", days, "view") for days in (3, 2, 1)],  # a looker
]
# Texts as near as their directions: tea and milk, bread and cake.
VECTORS = {"bread": (1, 0, 0.2), "cake": (1, 0, 0), "milk": (0.1, 1, 0), "soap": (0, 0, 1), "tea": (0, 1, 0.1), "vase": (-1, 0, 0)}
USERS = ("ann", "bob", "cid", "dan", "eve")
BOUGHT = {user: {item for who, item, _, event in EVENTS if who == user and event == "purchase"} for user in USERS}
TITLES = {title: item for item, (title, *_) in ITEMS.items()}


class Shop:
    """Six items, five users."""

    def __init__(self, kind: Kind = "times") -> None:
        rows = [{"item_id": item, "title": title, "category": category, "brand": brand} for item, (title, category, brand) in ITEMS.items()]
        self.catalog = Catalog.from_frame(pl.DataFrame(rows))
        log = [
            {"user_id": user, "item_id": item, "timestamp": NOW - timedelta(days=days), "event": event}
            for user, item, days, event in EVENTS
        ]
        self.log = with_step_time(Interactions.from_frame(pl.DataFrame(log), self.catalog), kind)
        vectors = np.array([VECTORS[item] for item in self.catalog.ids], dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.now = int((NOW - datetime(1970, 1, 1)).total_seconds())
        self.stats = ItemStats.fit(self.log, self.catalog, self.now)
        ease = EASE.fit(self.log, EASEConfig(l2=1, min_buyers=1))
        buyers = RecentBuyers.of(self.log, self.stats, self.now)
        self.reasons = Reasons(self.catalog, self.log, ease, vectors, np.arange(len(ITEMS)), buyers)

    def candidates(self, users: list[str], items: list[str]) -> Candidates:
        histories = Histories.of_users(self.log, self.log.user_rows(users), self.now)
        rows = np.tile(self.catalog.rows(items), (len(users), 1))
        return with_features(Candidates(histories, rows, np.zeros(rows.shape, np.float32)), self.stats)

    def reason(self, user: str, item: str, *strongest: str) -> str:
        """The reason when these groups moved the score most, in this order; others pulled it down."""
        candidates = self.candidates([user], [item])
        strength = {group: 1.0 / (1 + place) for place, group in enumerate(strongest)}
        names = {group: names[0] + ("count" if names[0].endswith("_") else "") for group, names in GROUPS.items()}
        contributions = {name: np.full((1, 1), strength.get(group, -1.0), np.float32) for group, name in names.items()}
        return self.reasons.sentences(candidates, grouped(contributions))[0][0]


def grouped(contributions: dict[str, np.ndarray]) -> np.ndarray:
    """What features added, (b, k) each, summed by group."""
    return np.tensordot(group_weights([*contributions]).T, np.array([*contributions.values()], np.float32), 1)


@pytest.fixture(scope="module")
def small() -> Shop:
    return Shop()


EXPECTED = [
    # ann looked at tea two days ago; what is counted is what she bought.
    ("ann", "tea", "repeat", "bought 4 times, about every 12 days, last 13 days ago"),
    ("ann", "milk", "repeat", "bought once, 13 days ago"),
    ("ann", "vase", "repeat", "bought once, just now"),
    ("bob", "soap", "repeat", "bought once, today"),
    ("cid", "bread", "repeat", "bought 2 times, about every 1 day, last 4 days ago"),
    ("bob", "tea", "repeat", "bought once, 3 days ago"),
    ("dan", "milk", "item_knn", "bought together with green tea"),
    ("eve", "cake", "item_knn", "bought together with rye bread"),
    ("eve", "cake", "close", "close to rye bread that you bought"),
    ("dan", "milk", "close", "close to green tea that you bought"),
    ("ann", "milk", "category", "you often buy from drinks"),
    ("ann", "milk", "brand", "you often buy acme"),
    ("ann", "soap", "brand", "you often buy acme"),
    ("ann", "bread", "popular", "popular this week: 3 buyers"),
]


@pytest.mark.parametrize(("user", "item", "group", "sentence"), EXPECTED)
def test_says_what_moved_the_score_most(small, user, item, group, sentence):
    assert small.reason(user, item, group) == sentence


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        (["purchase"], "bought 416 times, about every 1 day, last 1 day ago"),
        (["view"], "bought 416 times, about every 1 day, last 1 day ago"),
        ([], "bought 416 times, about every 1 day, last 1 day ago"),
    ],
)
def test_counts_are_of_all_purchases_however_many_events_came_between(small, others, sentence):
    """A reseller buys tea on 416 days, and 20 other things after each; a history ends at 5,000 events."""
    rows = []
    for day in range(1, 417):
        rows.append(("rex", "tea", NOW - timedelta(days=day), "purchase"))
        rows += [("rex", "soap", NOW - timedelta(days=day, minutes=-minute), kind) for kind in others for minute in range(1, 21)]
    log = Interactions.from_frame(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "event"], orient="row"), small.catalog)
    histories = Histories.of_users(log, log.user_rows(["rex"]), small.now)
    candidates = with_features(Candidates(histories, small.catalog.rows(["tea"])[None], np.zeros((1, 1), np.float32)), small.stats)
    assert small.reasons.sentences(candidates, grouped({"own_count": np.ones((1, 1), np.float32)})) == [[sentence]]


UNTRUE = [
    ("ann", "cake", "repeat"),  # in the cart, never bought
    ("eve", "soap", "repeat"),  # looked at three times
    ("eve", "milk", "item_knn"),  # nobody has bought milk with what eve bought
    ("ann", "cake", "category"),
    ("eve", "tea", "brand"),  # looked at soap of that brand, bought none
    ("ann", "vase", "category"),  # bought once: not often
    ("cid", "soap", "category"),  # has none
    ("ann", "vase", "brand"),  # has none
    ("ann", "milk", "popular"),  # one buyer this week
    ("ann", "tea", "price"),
]


@pytest.mark.parametrize(("user", "item", "group"), UNTRUE)
def test_an_untrue_sentence_gives_way_to_the_next(small, user, item, group):
    then = small.reason(user, item, group, "close")
    assert then.startswith("close to ")
    for word in {"repeat": ["bought once", "times"], "item_knn": ["item_knn"], "popular": ["popular"]}.get(group, ["often"]):
        assert word not in then


def test_nothing_is_called_close_to_what_was_only_looked_at(small):
    """eve bought bread and looked at soap; dan never saw soap."""
    assert small.reason("eve", "vase", "close") == "close to rye bread that you bought"


@pytest.mark.parametrize("group", ["item_knn", "close", "category", "brand", "repeat"])
def test_no_reason_speaks_of_what_the_user_dislikes(small, group):
    """ann has bought tea, milk and a vase, and turned against tea."""
    candidates = small.candidates(["ann"], ["bread", "cake", "milk", "soap", "vase"])
    against = Histories.of_baskets([small.catalog.rows(["tea"]).tolist()], small.now)
    against = replace(candidates, users=replace(candidates.users, disliked=against))
    strength = np.zeros((len(GROUPS), 1, 5), np.float32)
    strength[list(GROUPS).index(group)] = 1
    tea = int(small.catalog.rows(["tea"])[0])
    named = {row for reason in small.reasons.explain(candidates, strength)[0] for row in reason.named}
    assert group == "repeat" or tea in named, "else the test shows nothing"
    reasons = small.reasons.explain(against, strength)[0]
    assert not any(tea in reason.named or "green tea" in reason.text for reason in reasons)


@pytest.mark.parametrize(("group", "words"), [("item_knn", "bought together with "), ("close", "close to ")])
def test_the_other_thing_is_another_and_was_bought(small, group, words):
    sentences = [
        (user, item, sentence) for user in USERS for item in ITEMS if (sentence := small.reason(user, item, group)).startswith(words)
    ]
    assert len(sentences) > 3
    for user, item, sentence in sentences:
        other = TITLES[sentence.removeprefix(words).removesuffix(" that you bought")]
        assert other != item
        assert other in BOUGHT[user]
        assert group == "close" or any({item, other} <= basket for basket in BOUGHT.values())


def test_a_brand_that_nearly_everything_has_says_nothing(small):
    national = Catalog(small.catalog.frame.with_columns(brand=pl.lit("National")))
    candidates = small.candidates(["ann"], ["milk"])
    sentences = replace(small.reasons, catalog=national).sentences(candidates, grouped({"brand_count": np.ones((1, 1), np.float32)}))
    assert sentences == [["2 buyers in the last 28 days"]]


@pytest.mark.parametrize(
    ("user", "item", "sentence"),
    [
        ("ann", "tea", "2 buyers in the last 28 days"),
        ("dan", "soap", "1 buyer in the last 28 days"),
        ("bob", "bread", "3 buyers in the last 28 days"),
    ],
)
def test_what_lowered_the_score_is_no_reason(small, user, item, sentence):
    """Though it is true: that ann bought tea, that milk is bought with it, that three people bought bread this week."""
    assert small.reason(user, item) == sentence
    assert small.reason(user, item, "price") == sentence, "what raised it has no sentence"


def test_an_arrival_is_said_to_be_new(small):
    """Whatever else moved its score."""
    candidates = small.candidates(["dan"], ["milk", "soap"])
    arrival = replace(candidates, features=candidates.features | {"arrival": np.array([[0.9, np.nan]], np.float32)})
    sentences = small.reasons.sentences(arrival, grouped({"tower": np.ones((1, 2), np.float32)}))
    assert sentences == [["new here, close to green tea that you bought", "close to rye bread that you bought"]]


def test_the_stronger_group_comes_first(small):
    assert small.reason("ann", "milk", "brand", "repeat") == "you often buy acme"
    assert small.reason("ann", "milk", "repeat", "brand") == "bought once, 13 days ago"


def test_features_of_one_group_are_taken_together(small):
    """Two half-strong features of the item's past beat one that is stronger than either."""
    candidates = small.candidates(["ann"], ["tea"])
    strong = {name: np.full((1, 1), value) for name, value in (("own_last", 0.6), ("own_gap", 0.6), ("tower", 1.0))}
    sentences = small.reasons.sentences(candidates, grouped(strong))
    assert sentences == [["bought 4 times, about every 12 days, last 13 days ago"]]


def test_without_a_model_any_true_sentence_is_given(small):
    nothing = np.zeros((len(GROUPS), 1, 1), np.float32)
    assert small.reasons.sentences(small.candidates(["ann"], ["tea"]), nothing) == [
        ["bought 4 times, about every 12 days, last 13 days ago"]
    ]


def test_padding_has_no_reason_and_each_user_has_reasons_from_their_purchases(small):
    candidates = small.candidates(["ann", "cid"], ["tea", "bread"]).take(np.array([[0, 1, -1], [1, -1, -1]]))
    strong = {"own_count": np.ones((2, 3), np.float32)}
    sentences = small.reasons.sentences(candidates, grouped(strong))
    assert sentences[0] == ["bought 4 times, about every 12 days, last 13 days ago", "3 buyers in the last 28 days", ""]
    assert sentences[1] == ["bought 2 times, about every 1 day, last 4 days ago", "", ""]


def test_a_basket_of_this_moment_was_bought_just_now(small):
    """What lies in a basket is what the visitor is buying."""
    rows = small.catalog.rows(["milk", "bread"])[None]
    candidates = Candidates(Histories.of_baskets([small.catalog.rows(["tea"]).tolist()], small.now), rows, np.zeros((1, 2), np.float32))
    strong = {"tower": np.ones((1, 2), np.float32)}
    sentences = small.reasons.sentences(with_features(candidates, small.stats), grouped(strong))
    assert sentences == [["close to green tea that you bought", "close to green tea that you bought"]]


DATED = {"tea": "bought 4 times, about every 12 days, last 13 days ago", "milk": "bought once, 13 days ago"}
KINDS: list[tuple[Kind, dict[str, str]]] = [
    ("times", {**DATED, "vase": "bought once, just now"}),
    ("dates", {**DATED, "vase": "bought once, today"}),
    ("visits", {**DATED, "vase": "bought once, just now"}),
    ("steps", {"tea": "bought 4 times", "milk": "bought once", "vase": "bought once"}),
]


@pytest.mark.parametrize(("kind", "said"), KINDS)
def test_days_are_told_where_the_log_has_them_and_only_there(kind: Kind, said: dict[str, str]) -> None:
    shop = Shop(kind)
    assert {item: shop.reason("ann", item, "repeat") for item in said} == said
    popular = shop.reason("ann", "bread", "popular")
    assert popular == ("popular: 3 buyers" if kind == "steps" else "popular this week: 3 buyers")
    assert shop.reason("ann", "tea") == ("3 buyers" if kind == "steps" else "2 buyers in the last 28 days")


def test_a_basket_after_an_order_alone_is_of_this_moment() -> None:
    shop = Shop("steps")
    basket = Histories.of_baskets([shop.catalog.rows(["tea"]).tolist()], shop.now)
    known = Histories.of_users(shop.log, shop.log.user_rows(["ann"]), shop.now).then(basket)
    rows = shop.catalog.rows(["tea", "milk"])[None]
    candidates = with_features(Candidates(known, rows, np.zeros(rows.shape, np.float32)), shop.stats)
    sentences = shop.reasons.sentences(candidates, grouped({"own_count": np.ones((1, 2), np.float32)}))
    assert sentences == [["bought 5 times, last just now", "bought once"]]


def test_what_reviews_praise_is_told_where_nothing_of_the_user_explains_the_item(small):
    said = "87% of 120 reviews on its quality praise it"
    reasons = replace(small.reasons, praise=dict.fromkeys(range(len(ITEMS)), said))
    histories = Histories.of_users(small.log, small.log.user_rows(["ann"]), small.now)
    rows = small.catalog.rows([min(set(ITEMS) - BOUGHT["ann"]), min(BOUGHT["ann"])])[None]
    candidates = with_features(Candidates(histories, rows, np.zeros((1, 2), np.float32)), small.stats)
    strong = grouped({"own_count": np.ones((1, 2), np.float32)})
    told, before = reasons.sentences(candidates, strong)[0], small.reasons.sentences(candidates, strong)[0]
    assert told[0] == said
    assert before[0] != said
    assert told[1] == before[1], "ann bought it herself"


def test_repeats_are_what_the_user_bought_and_likes(small):
    """The same sentences as with reasons of all kinds, and nothing of other items."""
    candidates = small.candidates(["ann", "bob"], ["tea", "milk", "cake", "soap"])
    told = small.reasons.sentences(candidates, grouped({"own_count": np.ones((2, 4), np.float32)}))
    said = small.reasons.repeats(candidates)
    assert said[0][:2] == told[0][:2]
    assert said[0][2:] == ["", ""]
    assert [bool(text) for text in said[1]] == ["bought" in text for text in told[1]]
