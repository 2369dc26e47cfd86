"""Features of a customer and an offer before it is sent: what they count, and that nothing later changes them."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.behavior.campaigns import SEND_FEATURES, SendHistory
from features.behavior.deals import DEAL_FEATURES, deal_features
from features.data.campaigns import Campaigns
from features.data.catalog import Catalog
from features.data.interactions import Interactions
from features.names import (
    CONTACT_RECENCY,
    CONTACTS,
    CONTACTS_28,
    DEAL_SHARE,
    OFFER_CONTACTS,
    OFFER_RATE,
    RECENCY,
    REDEMPTION_RATE,
    REDEMPTION_RECENCY,
    REDEMPTIONS,
    TARGET_LINES,
    TARGET_RECENCY,
    TARGET_SHARE,
)

NOW = datetime(2025, 6, 1)
CATALOG = Catalog.from_frame(
    pl.DataFrame({"item_id": ["tea", "mug", "rye"], "title": "x", "category": ["Drinks|Tea", "Home", "Bread"]}),
)


def log_of(rows: list[tuple[str, str, int, float]]) -> Interactions:
    """Purchases: customer, item, days before `NOW` (negative: after it), value."""
    table = {
        "user_id": [row[0] for row in rows],
        "item_id": [row[1] for row in rows],
        "timestamp": [NOW - timedelta(days=row[2]) for row in rows],
        "value": [row[3] for row in rows],
        "quantity": [1.0] * len(rows),
    }
    return Interactions.from_frame(pl.DataFrame(table), CATALOG)


def campaigns_of(rows: list[tuple[str, int, str, int | None, bool]]) -> Campaigns:
    """Sends: customer, days before `NOW`, offer, days before `NOW` of the redemption, whether held out."""
    return Campaigns.of(
        pl.DataFrame(
            {
                "campaign_id": [f"c{row[1]}" for row in rows],
                "user_id": [row[0] for row in rows],
                "sent_at": [NOW - timedelta(days=row[1]) for row in rows],
                "offer": [row[2] for row in rows],
                "redeemed_at": [None if row[3] is None else NOW - timedelta(days=row[3]) for row in rows],
                "holdout": [row[4] for row in rows],
            },
            schema_overrides={"redeemed_at": pl.Datetime("us")},
        )
    )


LOG = log_of([("ann", "tea", 10, 5.0), ("ann", "mug", 30, 8.0), ("bob", "rye", 3, 2.0), ("ann", "tea", -5, 9.0)])
SENT = campaigns_of(
    [
        ("ann", 90, "A", 80, False),
        ("ann", 20, "B", None, False),
        ("bob", 20, "A", -2, False),  # redeemed after NOW
        ("bob", 15, "A", None, True),
        ("ann", -3, "A", -4, False),  # after NOW
    ]
)


def features(user: str, offer: str | None = "A", item: str | None = None, category: str | None = None) -> dict[str, float]:
    table = pl.DataFrame(
        {"user_id": [user], "offer": [offer], "item_id": [item], "category": [category]},
        schema=dict.fromkeys(("user_id", "offer", "item_id", "category"), pl.String),
    )
    return dict(zip(SEND_FEATURES, SendHistory(LOG, CATALOG, SENT).at(table, NOW)[0].tolist(), strict=True))


def test_contacts_and_redemptions_are_those_before_the_moment() -> None:
    ann = features("ann")
    assert (ann[CONTACTS], ann[CONTACTS_28], ann[REDEMPTIONS], ann[OFFER_CONTACTS]) == (2, 1, 1, 1)
    assert (ann[CONTACT_RECENCY], ann[REDEMPTION_RECENCY]) == (20, 80)
    bob = features("bob")
    assert (bob[CONTACTS], bob[REDEMPTIONS]) == (1, 0), "the holdout is no contact, and a later redemption is not known"


def test_rates_start_from_the_common_one() -> None:
    rate = (1 + 1) / (3 + 2)  # a redemption of three sends
    assert features("ann")[REDEMPTION_RATE] == pytest.approx((1 + 5 * rate) / 7)
    assert features("new")[REDEMPTION_RATE] == pytest.approx(rate)
    assert features("new", offer="A")[OFFER_RATE] == pytest.approx((1 + 5 * rate) / 7)
    assert features("new", offer="never made")[OFFER_RATE] == pytest.approx(rate)


@pytest.mark.parametrize(("item", "category"), [("tea", None), (None, "Drinks|Tea"), (None, "drinks"), (None, "TEA ")])
def test_purchases_of_what_the_offer_is_for(item: str | None, category: str | None) -> None:
    ann = features("ann", item=item, category=category)
    assert (ann[TARGET_LINES], ann[TARGET_SHARE], ann[TARGET_RECENCY]) == (1, 0.5, 10)
    bob = features("bob", item=item, category=category)
    assert (bob[TARGET_LINES], bob[TARGET_SHARE]) == (0, 0)
    assert np.isnan(bob[TARGET_RECENCY])


def test_an_offer_for_everything_has_no_target_and_a_stranger_no_past() -> None:
    stranger = features("new")
    assert np.isnan(stranger[TARGET_SHARE])
    assert np.isnan(stranger[RECENCY])
    assert stranger[CONTACTS] == 0


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob", "cy"]), st.sampled_from(["tea", "rye"]), st.integers(-30, 0), st.floats(1, 9)), max_size=8
    ),
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob"]), st.integers(-30, -1), st.sampled_from(["A", "C"]), st.none(), st.booleans()), max_size=5
    ),
)
def test_nothing_after_the_moment_changes_the_features(
    purchases: list[tuple[str, str, int, float]], sends: list[tuple[str, int, str, int | None, bool]]
) -> None:
    past = [("ann", "tea", 10, 5.0), ("ann", "mug", 30, 8.0), ("bob", "rye", 3, 2.0)]
    known = [("ann", 90, "A", 80, False), ("bob", 20, "A", None, False)]
    asked = pl.DataFrame({"user_id": ["ann", "bob"], "offer": ["A", "C"], "item_id": ["tea", None], "category": [None, "Bread"]})
    before = SendHistory(log_of(past), CATALOG, campaigns_of(known)).at(asked, NOW)
    after = SendHistory(log_of(past + purchases), CATALOG, campaigns_of(known + sends)).at(asked, NOW)
    np.testing.assert_array_equal(before, after)


def test_deals_are_lines_below_the_usual_price_of_the_item() -> None:
    full = [("ann", "tea", day, 10.0) for day in (5, 6, 7, 8, 9)]
    log = log_of([*full, ("bob", "tea", 4, 7.0), ("bob", "rye", 4, 1.0), ("cy", "tea", -1, 1.0)])
    found = deal_features(log, int((NOW - datetime(1970, 1, 1)).total_seconds()))
    assert set(found) == set(DEAL_FEATURES)
    ann, bob = log.user_rows(["ann", "bob"])
    assert (found[DEAL_SHARE][ann], found[DEAL_SHARE][bob]) == (0, 1), "an item that sold once has no usual price"
    assert np.isnan(found[DEAL_SHARE][log.user_rows(["cy"])[0]])


def test_customers_are_told_alike_alone_and_among_others() -> None:
    log = log_of([("ann", "tea", 10, 5.0), ("ann", "mug", 30, 8.0), ("bob", "rye", 3, 2.0), ("bob", "tea", 40, 6.0)])
    history = SendHistory(log, CATALOG, campaigns_of([("ann", 90, "A", 80, False)]))
    asked = pl.DataFrame({"user_id": ["bob", "new", "ann"], "offer": "A", "item_id": None, "category": ["Bread", None, "Bread"]})
    asked = asked.with_columns(pl.col("item_id").cast(pl.String))
    together = history.at(asked, NOW)
    for row in range(3):
        np.testing.assert_array_equal(history.at(asked[row : row + 1], NOW), together[row : row + 1])
