"""Plans: limits are kept, the holdout is drawn by default among the chosen, and what is not known is said."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from eval.experiment.splits import in_b
from features.behavior.campaigns import SendHistory, seconds
from features.data.campaigns import Campaigns
from features.data.customers import Customers
from features.errors import ConfigError, DataError
from recsys.apps.campaigns.planning.offers import Offer
from recsys.apps.campaigns.planning.plan import EXPECTED_VALUE, Plan, plan_campaign, plan_on
from recsys.apps.campaigns.planning.plan_file import write_plan
from recsys.apps.campaigns.planning.request import PlanRequest
from recsys.settings.settings import Settings
from tests.recsys.apps.campaigns.made_up import DAYS, START, MadeShop, made_shop, redeemed, sent

if TYPE_CHECKING:
    from collections.abc import Callable

OFFERS = (Offer("10% off", None, None, 0.2, 1.0, 6.0), Offer("tea", None, "Tea", 0.1, 0.5, 3.0))
REQUEST = PlanRequest(OFFERS, budget=60.0, holdout=0.2)


@pytest.fixture(scope="module")
def shop() -> MadeShop:
    """A shop with three campaigns without a holdout; those who buy often redeem."""
    shop, rng = made_shop(), np.random.default_rng(4)
    often = np.diff(shop.log.offsets) / np.diff(shop.log.offsets).max()
    frames = [
        sent(shop.users, day, f"c{day}", redeemed_at=redeemed(shop.users, day, rng, 0.6 * often), offer=("10% off", "tea")[day % 2])
        for day in (101, 140, 181)
    ]
    return replace(shop, campaigns=Campaigns.of(pl.concat(frames)))


def planned(shop: Any, settings: Settings, request: PlanRequest = REQUEST) -> Plan:
    return plan_campaign(shop, settings, request)


def with_settings(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update={"campaigns": settings.campaigns.model_copy(update=values)})


def test_a_plan_keeps_the_budget_and_holds_out_by_the_hash(shop: MadeShop, small_settings: Settings) -> None:
    plan = planned(shop, small_settings)
    report, frame = plan.report, plan.frame
    assert 0 < report.cost <= 60
    assert frame["holdout"].to_list() == in_b(frame["user_id"], report.campaign_id, 0.2).tolist()
    assert 0 < frame["holdout"].sum() < frame.height
    assert report.sent == frame.height - frame["holdout"].sum() == sum(offer.sent for offer in report.offers)
    assert frame.height + sum(report.left_out.values()) == report.customers == 300
    assert frame.filter("holdout")["cost"].sum() == 0
    assert report.profit.low < report.profit.value < report.profit.high
    assert report.holdout is not None
    assert report.holdout.detectable > 0
    assert report.send_at == "2025-08-29"


def test_the_holdout_is_like_those_who_are_written_to(shop: MadeShop, small_settings: Settings) -> None:
    frame = planned(shop, small_settings, replace(REQUEST, budget=200.0, holdout=0.5)).frame
    means = frame.group_by("holdout").agg(pl.col(EXPECTED_VALUE).mean()).sort("holdout")[EXPECTED_VALUE]
    assert means[1] == pytest.approx(means[0], rel=0.35)
    assert set(frame.filter("holdout")["offer"]) == set(frame.filter(~pl.col("holdout"))["offer"])


def test_a_plan_from_tables_of_a_moment_knows_nothing_later(shop: MadeShop, small_settings: Settings) -> None:
    moment = START + timedelta(days=200)
    late = shop.log.between(seconds(moment), None).with_known_users().user_ids[:30]
    log = shop.log.where(~(np.isin(shop.log.user, shop.log.user_rows(late.tolist())) & (shop.log.time < seconds(moment))))
    history = replace(shop, log=log).history
    then = SendHistory(log.between(None, seconds(moment)).with_known_users(), shop.catalog, history.campaigns.before(moment))
    plan = plan_on(then, None, small_settings, replace(REQUEST, send_at=moment))
    assert plan.report.customers == then.log.n_users < len(shop.users)
    assert not set(plan.frame["user_id"]) & set(late)
    assert plan.report.send_at == f"{moment:%Y-%m-%d}"


def test_without_a_holdout_anywhere_the_plan_is_by_response_and_says_why(shop: MadeShop, small_settings: Settings) -> None:
    report = planned(shop, small_settings).report
    assert (report.by, report.response) == ("response", "redeemed")
    assert "uplift" not in "\n".join(report.lines())
    assert any("no earlier campaign had a holdout" in note for note in report.notes)
    assert any("would have bought anyway" in note for note in report.notes)


def test_no_holdout_only_where_asked_for_and_said(shop: MadeShop, small_settings: Settings) -> None:
    plan = planned(shop, small_settings, replace(REQUEST, holdout=0.0))
    assert not plan.frame["holdout"].any()
    assert plan.report.holdout is None
    assert any(note.startswith("no holdout, as asked for: nobody will be able to tell") for note in plan.report.notes)


def test_a_difference_that_cannot_be_is_not_promised(shop: MadeShop, small_settings: Settings) -> None:
    few = planned(shop, small_settings, replace(REQUEST, holdout=0.02)).report
    assert few.holdout is not None
    assert few.holdout.customers < 20
    assert math.isnan(few.holdout.detectable)
    assert any(line.startswith("holdout: 2%") and line.endswith("no difference will be found") for line in few.lines())
    assert few.to_dict()["holdout"]["detectable"] is None
    enough = planned(shop, small_settings, replace(REQUEST, budget=200.0, holdout=0.4)).report.holdout
    assert enough is not None
    assert 0 < enough.detectable <= max(enough.rate, 1 - enough.rate)


@pytest.mark.parametrize("holdout", [1e-9, 0.02])
def test_a_holdout_too_small_to_tell_anything_is_said(shop: MadeShop, small_settings: Settings, holdout: float) -> None:
    report = planned(shop, small_settings, replace(REQUEST, holdout=holdout)).report
    held = sum(offer.held for offer in report.offers)
    assert held < 20
    assert any(f"{held} customer" in note and "held out, expected at least 20" in note for note in report.notes)


def test_the_smallest_group_is_kept_of_those_who_are_written_to(shop: MadeShop, small_settings: Settings) -> None:
    report = planned(shop, small_settings, replace(REQUEST, min_group=40)).report
    assert all(offer.sent == 0 or offer.sent >= 40 for offer in report.offers)
    assert report.cost <= 60


def trial(effect: float, users: int = 600) -> MadeShop:
    """A shop whose earlier campaign had a holdout of half and made more customers buy tea."""
    bare = made_shop(users, seed=1)
    held = in_b(bare.users, "old", 0.5)
    rng = np.random.default_rng(2)
    extra = [user for user, out in zip(bare.users, held, strict=True) if not out and rng.random() < effect]
    tea = sent(extra, 203).select(
        "user_id", pl.col("sent_at").alias("timestamp"), item_id=pl.lit("i0"), value=pl.lit(5.0), quantity=pl.lit(1.0)
    )
    shop = made_shop(users, seed=1, extra=tea)
    return replace(shop, campaigns=Campaigns.of(sent(shop.users, 200, "old", holdout=held, offer="tea", category="Tea")))


def test_an_earlier_holdout_makes_it_a_plan_by_uplift(small_settings: Settings) -> None:
    report = planned(trial(0.5), small_settings, replace(REQUEST, offers=(OFFERS[1],))).report
    assert (report.by, report.response) == ("uplift", "bought")
    assert any("campaign old, offer tea" in note and "more customers bought than in its holdout" in note for note in report.notes)
    assert report.offers[0].earned < report.offers[0].responses
    assert not any("no earlier campaign had a holdout" in note for note in report.notes)


def test_an_earlier_campaign_that_brought_nothing_is_named_as_the_reason(small_settings: Settings) -> None:
    with pytest.raises(DataError, match="earn its cost, by what an earlier campaign brought beyond its holdout, within a budget of 60"):
        planned(trial(0.0), small_settings, replace(REQUEST, offers=(replace(OFFERS[1], cost=2.9, margin=0.1),)))


def test_everybody_in_an_earlier_holdout_tells_no_uplift(shop: MadeShop, small_settings: Settings) -> None:
    held = replace(shop, campaigns=Campaigns.of(sent(shop.users, 100, "old", holdout=True)))
    report = planned(held, small_settings).report
    assert report.by == "response"
    assert any("no campaign was sent before" in note or "redemptions are too few" in note for note in report.notes)


def test_no_sends_in_the_log_is_planned_by_purchases_and_said(shop: MadeShop, small_settings: Settings) -> None:
    report = planned(replace(shop, campaigns=None), small_settings).report
    assert (report.by, report.response) == ("response", "bought")
    assert any(note.startswith("no campaign was sent before: a response is a purchase") for note in report.notes)
    assert report.holdout is not None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"budget": 0.0}, "the budget is 0, expected more than 0"),
        ({"budget": -5.0}, "the budget is -5"),
        ({"budget": float("nan")}, "the budget is nan"),
        ({"holdout": 1.0}, "everybody would be in the holdout"),
        ({"holdout": -0.1}, "the holdout is -0.1"),
        ({"offers": ()}, "the plan has no offers"),
        ({"min_group": 0}, "the smallest group is 0"),
    ],
)
def test_what_cannot_be_asked_for(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        replace(REQUEST, **change)


def test_a_budget_or_a_margin_that_buys_nothing_is_said(shop: MadeShop, small_settings: Settings) -> None:
    for request in (replace(REQUEST, budget=0.01), replace(REQUEST, offers=(Offer("10% off", None, None, 5.0, 0.0, 0.1),))):
        with pytest.raises(DataError, match="no offer is expected to earn its cost within a budget"):
            planned(shop, small_settings, request)


def test_a_name_that_is_there_already_is_refused(shop: MadeShop, small_settings: Settings) -> None:
    with pytest.raises(DataError, match="the campaign 'c101' is there already"):
        planned(shop, small_settings, replace(REQUEST, campaign_id="c101"))


def test_one_customer_is_too_little_to_learn_from(small_settings: Settings) -> None:
    with pytest.raises(DataError, match="nothing can be learned of responses"):
        planned(made_shop(1), small_settings)


def consents(users: list[str], told: Callable[[int], tuple[bool | None, bool | None]]) -> Customers:
    values = [told(number) for number in range(len(users))]
    table = {"user_id": users, "consent": [one[0] for one in values], "opted_out": [one[1] for one in values]}
    return Customers.of(pl.DataFrame(table, schema_overrides={"consent": pl.Boolean, "opted_out": pl.Boolean}))


def test_consent_opting_out_and_strangers(shop: MadeShop, small_settings: Settings) -> None:
    # The last ten customers are not in the table.
    table = consents(shop.users[:-10], lambda n: ((True, False, None)[n % 3], n % 30 == 0))
    plan = planned(replace(shop, customers=table), small_settings)
    allowed = {user for n, user in enumerate(shop.users[:-10]) if n % 3 == 0 and n % 30}
    assert set(plan.frame["user_id"]) <= allowed
    left_out = plan.report.left_out
    assert (left_out["opted out"], left_out["not in the table of customers"], left_out["no consent"]) == (10, 10, 97)
    assert left_out["consent is not known"] == 96
    assert plan.report.consent == "only customers with consent are written to"


@pytest.mark.parametrize("listed", [False, True])
def test_unknown_consent_is_said(shop: MadeShop, small_settings: Settings, listed: bool) -> None:
    table = consents(shop.users, lambda n: (None, n == 0)) if listed else None
    report = planned(replace(shop, customers=table), small_settings).report
    assert report.consent.startswith("nothing is known of consent")
    assert report.left_out.get("opted out", 0) == int(listed)


def test_contact_limit_rest_and_running_campaigns(shop: MadeShop, small_settings: Settings) -> None:
    some = shop.users[:100]
    assert shop.campaigns is not None
    recent = [sent(some, DAYS - back, f"r{back}") for back in (20, 10)]
    frame = pl.concat([shop.campaigns.frame, *recent], how="diagonal_relaxed")
    busy = replace(shop, campaigns=Campaigns.of(frame))
    told = planned(busy, small_settings, replace(REQUEST, contacts=2, within_days=28)).report
    assert told.left_out["written to 2 times or more within 28 days"] == 100
    assert not set(some) & set(planned(busy, small_settings, replace(REQUEST, contacts=2)).frame["user_id"])
    rested = planned(busy, with_settings(small_settings, rest_days=15)).report
    assert rested.left_out["written to less than 15 days ago"] == 100
    free = planned(busy, small_settings).report
    assert any(note.startswith("100 customers are in a campaign of the last 28 days") for note in free.notes)
    with pytest.raises(DataError, match="none of 300 customers may be written to"):
        planned(replace(shop, campaigns=Campaigns.of(sent(shop.users, DAYS - 5))), small_settings, replace(REQUEST, contacts=1))


def test_exposure_of_groups_is_kept_and_told(shop: MadeShop, small_settings: Settings) -> None:
    often = np.diff(shop.log.offsets) > np.median(np.diff(shop.log.offsets))
    groups = ["old" if one else "young" for one in often]
    groups[:3] = ["other"] * 3
    table = pl.DataFrame({"user_id": shop.users, "attributes": [f'{{"age": "{name}"}}' for name in groups]})
    aged = replace(shop, customers=Customers.of(table))
    unequal, equal = (planned(aged, with_settings(small_settings, sensitive=("age",), exposure_gap=gap)).report for gap in (1.0, 0.05))
    assert max(abs(gap.gap) for gap in unequal.exposure) > 0.05
    assert max(abs(gap.gap) for gap in equal.exposure) <= 0.05
    assert equal.profit.value < unequal.profit.value
    assert {gap.group for gap in equal.exposure} == {"old", "young"}
    assert any("too small to compare: other (3)" in note for note in equal.notes)
    assert set(equal.offer_gaps) == {"discount", "cost"}
    few = replace(equal.exposure[0], gap=0.125, low=math.nan, high=math.nan)
    lines = list(replace(equal, exposure=[few]).lines())
    assert any("+12.5% (interval not known, expected at least 20 customers)" in line for line in lines)
    assert not any("nan" in line for line in lines if "note" not in line)
    one = planned(aged, with_settings(small_settings, sensitive=("age",)), replace(REQUEST, offers=OFFERS[:1])).report
    assert "discount: 1.00 for all groups alike" in list(one.lines())
    with pytest.raises(ConfigError, match=r"campaigns\.sensitive: no customer has the attribute 'income'"):
        planned(aged, with_settings(small_settings, sensitive=("income",)))
    with pytest.raises(ConfigError, match=r"campaigns\.sensitive needs a table of customers"):
        planned(shop, with_settings(small_settings, sensitive=("age",)))


@pytest.mark.parametrize(("suffix", "read"), [(".csv", pl.read_csv), (".jsonl", pl.read_ndjson), (".parquet", pl.read_parquet)])
def test_the_file_of_a_plan_is_one_of_campaigns(
    shop: MadeShop, small_settings: Settings, tmp_path: Path, suffix: str, read: Callable[[Path], pl.DataFrame]
) -> None:
    plan = planned(shop, small_settings)
    write_plan(plan.frame, tmp_path / f"plan{suffix}")
    found = read(tmp_path / f"plan{suffix}")
    assert found.height == plan.frame.height
    names = {"user_id", "campaign_id", "sent_at", "offer", "cost", "holdout", "redeemed_at", EXPECTED_VALUE}
    assert names <= set(found.columns)
    assert Campaigns.of(plan.frame).frame["holdout"].sum() == plan.frame["holdout"].sum()
    with pytest.raises(DataError, match=r"expected a name that ends in \.csv"):
        write_plan(plan.frame, tmp_path / "plan.xlsx")


def test_the_same_seed_gives_the_same_plan_and_json_has_no_nan(shop: MadeShop, small_settings: Settings) -> None:
    first, second = (planned(shop, small_settings) for _ in range(2))
    assert first.frame.equals(second.frame)
    assert json.loads(json.dumps(first.report.to_dict(), allow_nan=False))["by"] == "response"
