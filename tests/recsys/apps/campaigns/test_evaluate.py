"""The judgement of responses: past to future, beside the baselines, and what cannot be judged is said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.campaigns import Campaigns
from features.errors import DataError
from features.progress import silent
from recsys.apps.campaigns.evaluate import AUC, BEFORE, OURS, REGRESSION, evaluate_campaigns, evaluate_history
from recsys.settings.settings import Settings
from tests.recsys.apps.campaigns.made_up import MadeShop, made_shop, redeemed, sent


@pytest.fixture(scope="module")
def shop() -> MadeShop:
    shop, rng = made_shop(200), np.random.default_rng(4)
    often = np.diff(shop.log.offsets) / np.diff(shop.log.offsets).max()
    days = (60, 95, 130, 165, 200)
    frames = [sent(shop.users, day, f"c{day}", redeemed_at=redeemed(shop.users, day, rng, 0.7 * often)) for day in days]
    return replace(shop, campaigns=Campaigns.of(pl.concat(frames)))


def test_each_campaign_is_judged_by_what_was_known_before_it(shop: MadeShop, small_settings: Settings) -> None:
    report = evaluate_history(shop.history, small_settings, 0, silent)
    assert list(report.slices) == ["c95", "c130", "c165", "c200"]
    assert any(note.startswith("campaign c60 is left out: before it, 0 sends") for note in report.notes)
    assert set(report.metrics) == {OURS, BEFORE, REGRESSION}
    assert report.metrics[OURS][AUC].value > 0.55
    content = json.loads(report.to_json())
    assert set(content) == {"metrics", "slices", "baselines", "differences", "notes"}
    gap = content["differences"][BEFORE][AUC]["value"]
    assert gap == pytest.approx(content["metrics"][AUC]["value"] - content["baselines"][BEFORE]["metrics"][AUC]["value"])
    assert report.table().row_count == 5


def test_what_comes_later_does_not_change_the_judgement_of_an_earlier_campaign(shop: MadeShop, small_settings: Settings) -> None:
    assert shop.campaigns is not None
    early = shop.campaigns.frame.filter(pl.col("campaign_id") != "c200")
    whole = evaluate_history(shop.history, small_settings, 0, silent)
    cut = evaluate_history(replace(shop, campaigns=Campaigns.of(early)).history, small_settings, 0, silent)
    assert cut.slices == {name: metrics for name, metrics in whole.slices.items() if name != "c200"}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (lambda frame: None, "the shop has no campaigns to judge"),
        (lambda frame: frame.with_columns(holdout=pl.lit(value=True)), "nobody was written to"),
        (lambda frame: frame.with_columns(redeemed_at=pl.lit(None, pl.Datetime("us"))), "nothing of the campaigns was redeemed"),
        (lambda frame: frame.filter(pl.col("campaign_id") == "c60"), "no campaign can be judged"),
    ],
)
def test_what_cannot_be_judged_is_one_line(shop: MadeShop, small_settings: Settings, frame: Any, expected: str) -> None:
    assert shop.campaigns is not None
    rows = frame(shop.campaigns.frame)
    other: Any = replace(shop, campaigns=None if rows is None else Campaigns.of(rows))
    with pytest.raises(DataError, match=expected):
        evaluate_campaigns(other, small_settings)
