"""What a campaign brought: a known effect is found, none is not found more often than chance, and what cannot be told is said."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from eval.experiment.aa_test import flat
from eval.experiment.splits import in_b
from features.data.campaigns import Campaigns
from features.errors import DataError
from recsys.apps.campaigns.outcome import NO_HOLDOUT, SPEND, TARGET_BUYERS, CampaignOutcome, outcome_of
from recsys.settings.settings import Settings
from tests.recsys.apps.campaigns.made_up import DAYS, MadeShop, made_shop, sent

DAY = 180


def with_effect(effect: float, users: int = 800, share: float = 0.3) -> MadeShop:
    """A shop with a campaign that made a share of those who were written to buy tea for 20."""
    bare = made_shop(users, seed=1)
    held, rng = in_b(bare.users, "spring", share), np.random.default_rng(2)
    extra = [user for user, out in zip(bare.users, held, strict=True) if not out and rng.random() < effect]
    bought = sent(extra, DAY + 3).select("user_id", pl.col("sent_at").alias("timestamp"))
    tea = bought.with_columns(item_id=pl.lit("i0"), value=pl.lit(20.0), quantity=pl.lit(1.0))
    shop = made_shop(users, seed=1, extra=tea)
    return replace(shop, campaigns=Campaigns.of(sent(shop.users, DAY, holdout=held, category="Tea", cost=0.5)))


def read(shop: MadeShop, settings: Settings, share: float | None = 0.3) -> CampaignOutcome:
    return outcome_of(shop.history, "spring", settings, share)


def test_a_known_effect_is_found(small_settings: Settings) -> None:
    found = read(with_effect(0.4), small_settings)
    extra = found.effects[SPEND]
    assert extra.low < 8 < extra.high, "0.4 x 20"
    assert extra.low > 0
    assert found.effects[TARGET_BUYERS].low > 0
    assert found.profit is not None
    assert found.profit.low < found.sent * 8 - found.cost < found.profit.high
    assert found.cost == pytest.approx(0.5 * 800)
    assert found.split is not None
    assert found.split > 0.001
    assert found.variance_left < 1
    assert sum(segment.sent for segment in found.segments) == found.sent
    assert not any("not told from chance" in note for note in found.notes)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["held"] == found.held


def test_the_margin_is_taken_of_the_extra_spend(small_settings: Settings) -> None:
    shop = with_effect(0.4)
    whole = read(shop, small_settings)
    part = small_settings.model_copy(update={"campaigns": small_settings.campaigns.model_copy(update={"margin": 0.25})})
    quarter = read(shop, part)
    assert whole.profit is not None
    assert quarter.profit is not None
    assert quarter.profit.value + quarter.cost == pytest.approx((whole.profit.value + whole.cost) / 4)
    assert any("set campaigns.margin" in note for note in whole.notes)
    assert not any("set campaigns.margin" in note for note in quarter.notes)


def test_campaigns_without_an_effect_are_called_a_success_or_a_failure_in_one_of_twenty(small_settings: Settings) -> None:
    shop, runs, alarms = made_shop(200), 200, 0
    for run in range(runs):
        held = in_b(shop.users, f"aa/{run}", 0.3)
        trial = replace(shop, campaigns=Campaigns.of(sent(shop.users, DAY, holdout=held)))
        extra = read(trial, small_settings).effects[SPEND]
        alarms += not extra.low <= 0 <= extra.high
    assert flat(alarms, runs)


def test_without_a_holdout_responses_alone_are_shown(small_settings: Settings) -> None:
    shop = made_shop(100)
    found = read(replace(shop, campaigns=Campaigns.of(sent(shop.users, DAY))), small_settings)
    assert found.effects == {}
    assert found.profit is None
    assert NO_HOLDOUT in found.notes
    assert "lift" not in "\n".join(found.lines())


def test_too_few_on_one_side_is_said(small_settings: Settings) -> None:
    shop = made_shop(100)
    held = [number < 5 for number in range(100)]
    found = read(replace(shop, campaigns=Campaigns.of(sent(shop.users, DAY, holdout=held))), small_settings, 0.05)
    assert any("fewer than 20 customers on one side" in note for note in found.notes)
    assert any("not known, expected at least 20 customers on both sides" in line for line in found.lines())
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["profit"]["low"] is None


def test_a_split_that_was_not_planned_is_said(small_settings: Settings) -> None:
    found = read(with_effect(0.0), small_settings, share=0.5)
    assert found.split is not None
    assert found.split < 0.001
    assert any("are not the planned ones" in note for note in found.notes)
    assert not any("are not the planned ones" in note for note in read(with_effect(0.0), small_settings).notes)


def test_overlapping_campaigns_are_counted(small_settings: Settings) -> None:
    shop = with_effect(0.0, users=200)
    assert shop.campaigns is not None
    others = [sent(shop.users[:30], DAY - 10, "mail"), sent(shop.users[:5], DAY + 10, "push"), sent(shop.users, DAY - 60, "old")]
    frame = pl.concat([shop.campaigns.frame, *others], how="diagonal_relaxed")
    found = read(replace(shop, campaigns=Campaigns.of(frame)), small_settings)
    assert "30 customers were in another campaign within 28 days too (mail, push)" in found.notes


def test_a_customer_on_both_sides_and_unknown_costs_are_said(small_settings: Settings) -> None:
    shop = made_shop(100)
    both = pl.concat([sent(shop.users[:60], DAY), sent(shop.users[59:], DAY + 2, holdout=True)], how="diagonal_relaxed")
    found = read(replace(shop, campaigns=Campaigns.of(both)), small_settings, 0.4)
    assert (found.sent, found.held) == (60, 40)
    assert any(note.startswith("1 customer is in the holdout and written to at once") for note in found.notes)
    assert any(note.startswith("the cost of 101 of 101 rows is not known") for note in found.notes)
    assert any(note.startswith("it was sent over 3 days") for note in found.notes)


def test_a_log_that_ends_too_early_is_said(small_settings: Settings) -> None:
    shop = made_shop(100)
    late = replace(shop, campaigns=Campaigns.of(sent(shop.users, DAYS - 10)))
    assert any(re.search(r"the log ends (9|10) days after it was sent, expected 28", note) for note in read(late, small_settings).notes)


@pytest.mark.parametrize(
    ("rows", "name", "expected"),
    [
        ({}, "sprang", "there is no campaign 'sprang'"),
        ({"holdout": True}, "spring", "everybody in campaign 'spring' was held out"),
        ({"sent_at": pl.datetime(2026, 1, 1)}, "spring", "the log ends before campaign 'spring' was sent"),
    ],
)
def test_what_cannot_be_read_is_one_line(small_settings: Settings, rows: dict[str, Any], name: str, expected: str) -> None:
    shop = made_shop(50)
    campaigns = Campaigns.of(sent(shop.users, DAY).with_columns(**rows) if "sent_at" in rows else sent(shop.users, DAY, **rows))
    with pytest.raises(DataError, match=expected):
        outcome_of(replace(shop, campaigns=campaigns).history, name, small_settings)


def test_one_customer(small_settings: Settings) -> None:
    shop = made_shop(1)
    found = read(replace(shop, campaigns=Campaigns.of(sent(shop.users, DAY))), small_settings)
    assert (found.sent, found.held) == (1, 0)


def test_a_log_without_purchases_after_the_sends_is_refused(small_settings: Settings) -> None:
    far = DAYS + 30
    late = sent(["u000"], far + 40).select(
        "user_id", pl.col("sent_at").alias("timestamp"), item_id=pl.lit("i0"), value=pl.lit(5.0), quantity=pl.lit(1.0)
    )
    shop = made_shop(60, extra=late)
    shop = replace(shop, campaigns=Campaigns.of(sent(shop.users, far, holdout=[n < 25 for n in range(60)])))
    with pytest.raises(
        DataError, match="the log has no purchase of anybody within 28 days after campaign 'spring' was sent, expected some"
    ):
        read(shop, small_settings)


def test_customers_whom_the_log_lacks_are_said(small_settings: Settings) -> None:
    shop = made_shop(60)
    strangers = [f"stranger{n}" for n in range(25)]
    held = [n % 2 == 0 for n in range(85)]
    some = replace(shop, campaigns=Campaigns.of(sent([*shop.users, *strangers], DAY, holdout=held)))
    assert any("25 of 85 customers of campaign 'spring' are not in the log" in note for note in read(some, small_settings).notes)
    assert not any("not in the log" in note for note in read(with_effect(0.0), small_settings).notes)
    none = replace(shop, campaigns=Campaigns.of(sent(strangers, DAY, holdout=held[:25])))
    with pytest.raises(DataError, match="25 of 25 customers of campaign 'spring' are not in the log, expected those who had bought before"):
        read(none, small_settings)
