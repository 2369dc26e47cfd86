"""Copies, repeats and floods are left out, and honest reviews are not."""

from __future__ import annotations

from features.names import COPIED, FLOOD, MANY_BY_ONE, NEWER_OF_SAME
from features.reviews.authenticity import FLOOD_REVIEWS, MOST_A_DAY, marks
from tests.features.reviews.made_up import catalog, log_of, reviews_of

LONG = "It boils water very quickly and looks lovely"


def marked(rows: list, buyers: list[str]) -> list[str | None]:
    items = catalog()
    log = log_of(items, buyers)
    return marks(reviews_of(rows, items, log), log).to_list()


def test_a_long_text_counts_once_whoever_wrote_it_and_a_short_one_always() -> None:
    rows = [("u1", "a", 1, 5, LONG), ("u2", "b", 2, 5, f"{LONG.upper()}!!"), ("u3", "a", 3, 5, "Very good"), ("u4", "b", 4, 5, "Very good")]
    assert marked(rows, ["u1"]) == [None, COPIED, None, None]


def test_of_an_authors_reviews_of_an_item_the_newest_counts() -> None:
    rows = [("u1", "a", 1, 5, "Good at first"), ("u1", "b", 2, 5, "Fine"), ("u1", "a", 9, 1, "Broke later"), (None, "a", 3, 5, "So so")]
    assert marked(rows, ["u1"]) == [NEWER_OF_SAME, None, None, None]


def test_an_author_who_writes_all_day_does_not_count() -> None:
    items = ("a", "b", "c")
    rows = [("busy", items[n % 3], 5 + n / 1440, 5, f"text {n}") for n in range(MOST_A_DAY + 1)]
    reasons = marked([*rows, ("calm", "a", 5, 4, "fine")], ["calm"])
    assert reasons.count(None) == 1
    assert set(reasons) <= {None, MANY_BY_ONE, NEWER_OF_SAME}


def flood(kind: str) -> list:
    return [(None if kind == "nobody" else f"{kind}{n}", "a", 50 + n / 1440, 1, f"bad {n}") for n in range(FLOOD_REVIEWS)]


def test_a_flood_of_authors_who_bought_nothing_is_left_out_where_most_authors_are_buyers() -> None:
    buyers = [f"buyer{n}" for n in range(40)]
    honest = [(buyer, "a", n, 4, f"good {n}") for n, buyer in enumerate(buyers)]
    assert marked(honest + flood("stranger"), buyers).count(FLOOD) == FLOOD_REVIEWS
    assert marked(honest + flood("buyer1"), [*buyers, *(f"buyer1{n}" for n in range(FLOOD_REVIEWS))]).count(FLOOD) == 0


def test_nothing_is_said_of_authors_where_few_are_buyers_or_nobody_is_named() -> None:
    strangers = [(f"visitor{n}", "a", n, 4, f"good {n}") for n in range(40)]
    assert set(marked(strangers + flood("stranger"), ["u1"])) == {None}
    assert set(marked(flood("nobody"), ["u1"])) == {None}
