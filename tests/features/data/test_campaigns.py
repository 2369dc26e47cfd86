"""The tables of campaigns and of customers."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from features.data.campaigns import CAMPAIGN_COLUMNS, Campaigns
from features.data.customers import CUSTOMER_COLUMNS, Customers
from features.errors import DataError

SENT = pl.DataFrame(
    {
        "campaign_id": ["b", "a", "a"],
        "user_id": ["u2", "u2", "u1"],
        "sent_at": [datetime(2026, 2, 1), None, datetime(2026, 1, 1)],
        "redeemed_at": [datetime(2026, 2, 9), None, None],
        "holdout": [None, True, False],
    }
)
PEOPLE = pl.DataFrame({"user_id": ["u2", "u1"], "consent": [True, None], "attributes": ['{"age":"34"}', '{"age":null}']})


def test_rows_are_sorted_and_a_holdout_has_the_time_of_its_campaign() -> None:
    campaigns = Campaigns.of(SENT)
    assert campaigns.frame.schema == pl.Schema(CAMPAIGN_COLUMNS)
    assert campaigns.frame.select("campaign_id", "user_id", "holdout").rows() == [("a", "u1", False), ("a", "u2", True), ("b", "u2", False)]
    assert campaigns.frame["sent_at"][1] == datetime(2026, 1, 1)
    assert Campaigns.of(SENT.reverse()).digest == campaigns.digest
    assert Campaigns.of(SENT.with_columns(offer=pl.lit("x"))).digest != campaigns.digest


def test_a_redemption_is_not_known_before_it_happens() -> None:
    known = Campaigns.of(SENT).before(datetime(2026, 2, 5))
    assert (len(known), known.frame["redeemed_at"].null_count()) == (3, 3)
    assert len(Campaigns.of(SENT).before(datetime(2026, 2, 1))) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user_id": pl.lit(None, pl.String)}, "user_id is missing in 3 of 3 rows"),
        ({"sent_at": pl.lit(None, pl.Datetime("us"))}, "sent_at is missing in 3 of 3 rows"),
        ({"cost": pl.lit(-0.5)}, "a cost of the campaigns is negative"),
    ],
)
def test_what_is_no_table_of_campaigns_is_refused(change: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Campaigns.of(SENT.with_columns(**change))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="the campaigns lack sent_at; found"):
        Campaigns.of(SENT.drop("sent_at"))
    with pytest.raises(DataError, match="the customers lack user_id; found"):
        Customers.of(PEOPLE.drop("user_id"))


def test_customers_are_sorted_and_have_their_attributes() -> None:
    customers = Customers.of(PEOPLE)
    assert customers.frame.schema == pl.Schema(CUSTOMER_COLUMNS)
    assert customers.attribute("age").rows() == [("u1", None), ("u2", "34")]
    assert customers.frame["language"].to_list() == ["", ""]
    assert Customers.of(PEOPLE.reverse()).digest == customers.digest
    with pytest.raises(DataError, match="no customer has the attribute 'income', found age"):
        customers.attribute("income")
    with pytest.raises(DataError, match="not unique"):
        Customers.of(pl.concat([PEOPLE, PEOPLE]))


def test_each_customer_is_barred_for_the_first_reason_that_holds() -> None:
    table = {"user_id": ["a", "b", "c", "d"], "consent": [True, False, None, False], "opted_out": [None, False, None, True]}
    ids = np.array(["a", "b", "c", "d", "e"], dtype=object)
    barred = {reason: ids[mask].tolist() for reason, mask in Customers.of(pl.DataFrame(table)).barred(ids).items()}
    assert barred == {"opted out": ["d"], "not in the table of customers": ["e"], "no consent": ["b"], "consent is not known": ["c"]}
    silent = Customers.of(pl.DataFrame(table).drop("consent"))
    assert not silent.has_consent
    assert {reason: ids[mask].tolist() for reason, mask in silent.barred(ids).items()} == {"opted out": ["d"]}
